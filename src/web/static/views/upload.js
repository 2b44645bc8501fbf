// @ts-check
// One upload: how far it is, and what was seen in it.
import { ask, messageOf, Problem } from "../lib/api.js";
import { find, say } from "../lib/dom.js";
import { confirmed } from "../parts/confirm.js";
import { EventLog } from "../parts/event-log.js";
import { framesWords } from "../parts/retention.js";
import { startStrip } from "../parts/strip.js";
import { stateOf } from "../parts/uploading.js";

/** @typedef {import("../lib/types.js").Upload} Upload */

const POLL_MS = 500;

/** @param {string | null} state */
const isOver = (state) => state === "done" || state === "failed";

class UploadView {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.heading = find("h2", section);
    this.state = find(".state", section);
    /** @type {["sent" | "classified", HTMLProgressElement][]} */
    this.bars = [
      ["sent", find(".sent", section)],
      ["classified", find(".classified", section)],
    ];
    this.bands = find(".bands", section);
    this.log = new EventLog(find(".log", section), "Events", "No events yet.");
    this.remove = find(".remove", section);
    this.remove.addEventListener("click", () => this.#delete());
    this.stopStrip = () => {};
    this.timer = 0;
    /** @type {string | null} */
    this.id = null;
    /** @type {string | null} */
    this.last = null; // state
  }

  /** @param {import("../lib/types.js").Route} route */
  show({ name: id }) {
    this.hide();
    this.id = id;
    this.last = null;
    say(this.heading, "Upload");
    say(this.state, "Loading…");
    this.remove.hidden = true;
    this.#read(id);
    this.#poll(id);
  }

  hide() {
    this.id = null;
    clearTimeout(this.timer);
    this.stopStrip();
    this.log.close();
  }

  /**
   * Read its events and episodes from the start.
   * @param {string} id
   */
  #read(id) {
    this.stopStrip();
    this.log.close();
    this.log.open({ stream: id });
    this.stopStrip = startStrip(this.bands, id, "");
  }

  /** @param {string} id */
  async #poll(id) {
    try {
      /** @type {Upload} */
      const upload = await ask(`/uploads/${encodeURIComponent(id)}`);
      if (this.id !== id) return;
      const was = this.last;
      this.last = upload.state;
      this.#fill(upload);
      if (isOver(upload.state)) {
        if (was !== null && was !== upload.state) this.#read(id); // all of it is there now
        return;
      }
    } catch (problem) {
      if (this.id !== id) return;
      const gone = problem instanceof Problem && problem.status === 404;
      say(this.state, gone ? "Upload not found. It may have been deleted." : messageOf(problem));
      if (gone) return;
    }
    this.timer = setTimeout(() => this.#poll(id), POLL_MS);
  }

  /** @param {Upload} upload */
  #fill(upload) {
    say(this.heading, upload.title);
    say(this.state, stateOf(upload));
    this.state.classList.toggle("bad", upload.state === "failed");
    this.remove.hidden = false;
    for (const [name, bar] of this.bars) {
      bar.hidden = isOver(upload.state);
      if (upload.total) bar.value = Math.min(1, upload[name] / upload.total);
      else bar.removeAttribute("value");
    }
  }

  async #delete() {
    const id = this.id;
    const question = `Delete this upload, with its events and crops? ${framesWords()} This cannot be undone.`;
    if (id === null || !(await confirmed(question))) return;
    try {
      await ask(`/uploads/${encodeURIComponent(id)}`, { method: "DELETE" });
      location.hash = "#/try";
    } catch (problem) {
      say(this.state, messageOf(problem));
    }
  }
}

/** @type {import("../lib/types.js").Mount} */
export function mount(section) {
  return new UploadView(section);
}
