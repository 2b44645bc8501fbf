// Files that become streams of their own: sent, put through Kafka, classified; then their page shows what was seen.
import { ask, send } from "./api.js";
import { strip } from "./analysis.js";
import { find, make, note, say } from "./dom.js";
import { confirmed, framesWords } from "./erase.js";
import { count, exact } from "./format.js";
import { Log } from "./log.js";
import { has } from "./server.js";

const EVERY_MS = 500;
const said = find("#said");
const list = find("#uploads");
const sending = find("#sending");
const WORDS = {
  waiting: "Waits for its turn",
  sending: "Its frames are being sent to Kafka",
  classifying: "Its frames are being classified",
  done: "Done",
  failed: "Failed",
};

/** Send a file, showing how far it is, and go to its page. */
export async function upload(file) {
  const bar = make("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
  const words = make("span", {}, `${file.name}: 0 %`);
  const asking = new AbortController();
  const stop = make("button", { type: "button", click: () => asking.abort() }, "Stop");
  const item = make("p", {}, words, bar, stop);
  sending.append(item);
  const progress = (share) => {
    bar.value = share;
    say(words, share < 1 ? `${file.name}: ${Math.round(100 * share)} %` : `${file.name}: sent, it is looked at`);
  };
  try {
    const made = await send("/uploads", file, { progress, signal: asking.signal });
    location.hash = `#/uploads/${encodeURIComponent(made.id)}`;
    say(said, `${file.name} was sent.`);
  } catch (problem) {
    say(said, problem.name === "AbortError" ? "Stopped: nothing is kept." : `Not taken: ${problem.message}`);
    said.className = problem.name === "AbortError" ? "" : "bad";
  }
  item.remove();
}

function stateOf({ state, error, sent, classified, total }) {
  if (state === "failed") return `Failed: ${error || "the log of the server says why"}`;
  const frames = total === null ? count(classified, "frame") : `${classified} of ${count(total, "frame")}`;
  const parts = {
    sending: `${sent} ${total === null ? "" : `of ${total} `}sent`,
    classifying: `${frames} classified`,
    done: frames,
  };
  return [WORDS[state] ?? state, parts[state]].filter(Boolean).join(" · ");
}

/** The list of what was kept. */
export async function listUploads() {
  if (!has("/uploads")) return;
  try {
    const { uploads } = await ask("/uploads");
    const items = uploads.map((item) => {
      const link = make("a", { href: `#/uploads/${encodeURIComponent(item.id)}` }, item.title);
      return make("li", {}, link, ` ${stateOf(item)} · ${exact(item.time_us)}`);
    });
    list.replaceChildren(
      ...(items.length ? items : [make("li", {}, note("Nothing was kept yet: drop a video on this page."))]),
    );
  } catch (problem) {
    list.replaceChildren(make("li", {}, note(problem.message, "", "bad")));
  }
}

/** The page of one upload. */
export class UploadPage {
  constructor(section) {
    this.heading = find("h2", section);
    this.state = find(".state", section);
    this.bars = { sent: find(".sent", section), classified: find(".classified", section) };
    this.strip = find(".bands", section);
    this.log = new Log(find(".log", section), "Its events", "No events of it yet.");
    this.remove = find(".remove", section);
    this.remove.addEventListener("click", () => this.#delete());
    this.ends = [];
  }

  show(open, id = "") {
    for (const end of this.ends) end();
    this.ends = [];
    this.log.close();
    clearTimeout(this.timer);
    this.id = open ? id : null;
    this.last = undefined;
    if (!open) return;
    say(this.heading, "Upload");
    say(this.state, "Looking…");
    this.remove.hidden = true;
    this.log.open({ stream: id });
    this.ends.push(strip(this.strip, id, ""));
    this.#poll(id);
  }

  async #poll(id) {
    try {
      const upload = await ask(`/uploads/${encodeURIComponent(id)}`);
      if (this.id !== id) return;
      const was = this.last;
      this.last = upload.state;
      this.#fill(upload);
      const over = upload.state === "done" || upload.state === "failed";
      if (over && was !== upload.state && was !== undefined) this.#again(id);
      if (over) return;
    } catch (problem) {
      if (this.id !== id) return;
      say(this.state, problem.status === 404 ? "There is no such upload: it may have been deleted." : problem.message);
      if (problem.status === 404) return;
    }
    this.timer = setTimeout(() => this.#poll(id), EVERY_MS);
  }

  /** All of it is there now: read it once more. */
  #again(id) {
    this.log.open({ stream: id });
    this.ends.pop()?.();
    this.ends.push(strip(this.strip, id, ""));
  }

  #fill(upload) {
    say(this.heading, upload.title);
    say(this.state, stateOf(upload));
    this.state.classList.toggle("bad", upload.state === "failed");
    this.remove.hidden = false;
    for (const [name, bar] of Object.entries(this.bars)) {
      const total = upload.total ?? 0;
      bar.hidden = upload.state === "done" || upload.state === "failed";
      if (total) bar.value = Math.min(1, upload[name] / total);
      else bar.removeAttribute("value");
    }
  }

  async #delete() {
    const id = this.id;
    const sure = await confirmed(
      `Delete this upload, with its events and crops? ${framesWords()} This cannot be undone.`,
    );
    if (!sure) return;
    try {
      await ask(`/uploads/${encodeURIComponent(id)}`, { method: "DELETE" });
      location.hash = "#/try";
    } catch (problem) {
      say(this.state, problem.message);
    }
  }
}
