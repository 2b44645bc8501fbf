// @ts-check
// An image that is chosen, dropped or pasted is analyzed, or saved as a stream. Videos always become streams.
import { ask, messageOf, Problem, send } from "../lib/api.js";
import { find, make, note, say } from "../lib/dom.js";
import { exact } from "../lib/format.js";
import { has, met, server } from "../lib/server.js";
import { Results, titleOf } from "../parts/results.js";
import { stateOf, upload } from "../parts/uploading.js";
import { Webcam } from "../parts/webcam.js";

const VIDEO = /\.(mp4|m4v|mov|avi|mkv|webm|mpe?g|ts)$/i;

/** @param {File} file */
function isVideo(file) {
  return file.type.startsWith("video/") || VIDEO.test(file.name);
}

/**
 * What to tell people about an image that was not analyzed.
 * @param {unknown} problem
 */
function wordsOf(problem) {
  if (!(problem instanceof Problem) || problem.status === 0 || problem.status === 401) return messageOf(problem);
  return problem.retryAfter === null ? `Not analyzed: ${problem.message}.` : `Busy: ${problem.message}.`;
}

class TryItView {
  /** @param {HTMLElement} section */
  constructor(section) {
    /** @type {HTMLFormElement} */
    this.form = find("#ask", section);
    /** @type {HTMLInputElement} */
    this.input = find("input[type=file]", section);
    this.button = find("button", this.form);
    this.keep = find("#keep", section);
    this.said = find("#said", section);
    this.sending = find("#sending", section);
    this.uploads = find("#uploads", section);
    this.results = new Results(section);
    const tell = (/** @type {string} */ text, bad = false) => this.#tell(text, bad);
    this.webcam = new Webcam(section, { say: tell, wordsOf, keep: (...result) => this.results.add(...result) });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.take([...(this.input.files ?? [])]);
    });
    addEventListener("paste", ({ clipboardData }) => this.take([...(clipboardData?.files ?? [])]));
    this.#acceptDrops(find("#drop"));
  }

  show() {
    this.#listUploads();
  }

  hide() {
    this.webcam.stop();
  }

  /**
   * Take these files: images one after the other, a video as a stream.
   * @param {File[]} files
   */
  async take(files) {
    if (!files.length) return;
    this.button.disabled = true;
    location.hash = "#/try";
    if (server.health === null) this.#tell("Waiting for the server…");
    await met;
    for (const file of files) {
      if (isVideo(file) || this.keep.checked || !has("/predict")) await this.#upload(file);
      else await this.#analyze(file);
    }
    this.button.disabled = false;
  }

  /** @param {string} text */
  #tell(text, bad = false) {
    say(this.said, text);
    this.said.className = bad ? "bad" : "";
  }

  /** @param {File} file */
  async #analyze(file) {
    if (this.#isTooLarge(file)) return;
    this.#tell("Analyzing…");
    try {
      const prediction = await send("/predict", file);
      this.results.add(file, file.name, prediction);
      this.#tell(titleOf(prediction));
    } catch (problem) {
      this.#tell(wordsOf(problem), true);
    }
  }

  /** @param {File} file */
  async #upload(file) {
    if (!has("/uploads")) this.#tell("This server accepts no uploads. You can only analyze images.", true);
    else if (!this.#isTooLarge(file)) await upload(file, this.sending, (text, bad) => this.#tell(text, bad));
  }

  /**
   * Whether it is larger than allowed, if the limit is known; says so.
   * @param {File} file
   */
  #isTooLarge(file) {
    const bytes = isVideo(file) ? 1e6 * (server.about.max_video_mb ?? 0) : Number(this.form.dataset.maxBytes ?? 0);
    if (!bytes || file.size <= bytes) return false;
    this.#tell(`This file is too large: ${(file.size / 1e6).toFixed(1)} MB. The limit is ${bytes / 1e6} MB.`, true);
    return true;
  }

  async #listUploads() {
    if (!has("/uploads")) return;
    try {
      const { uploads } = await ask("/uploads");
      const items = /** @type {import("../lib/types.js").Upload[]} */ (uploads).map((item) => {
        const link = make("a", { href: `#/uploads/${encodeURIComponent(item.id)}` }, item.title);
        return make("li", {}, link, ` ${stateOf(item)} · ${exact(item.time_us)}`);
      });
      const empty = make("li", {}, note("Nothing saved yet. Drop a video on this page."));
      this.uploads.replaceChildren(...(items.length ? items : [empty]));
    } catch (problem) {
      this.uploads.replaceChildren(make("li", {}, note(messageOf(problem), "", "bad")));
    }
  }

  /**
   * A file may be dropped anywhere on the page.
   * @param {HTMLElement} hint
   */
  #acceptDrops(hint) {
    const holdsFiles = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0;
    const over = (/** @type {number} */ by) => {
      depth = Math.max(0, depth + by);
      hint.hidden = depth === 0;
    };
    addEventListener("dragenter", (event) => holdsFiles(event) && over(1));
    addEventListener("dragleave", (event) => holdsFiles(event) && over(-1));
    addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      over(-depth);
      this.take([...(event.dataTransfer?.files ?? [])]);
    });
  }
}

/** @type {import("../lib/types.js").Mount} */
export function mount(section) {
  return new TryItView(section);
}
