// @ts-check
// One event, opened: its crop, scores and facts, and the whole frame read back from Kafka while that is kept.
import { isAbort } from "../lib/api.js";
import { chip } from "../lib/colours.js";
import { find, make, say } from "../lib/dom.js";
import { ago, exact, percent } from "../lib/format.js";
import { bars } from "./bars.js";
import { detectionOf, drawOver, overlay } from "./overlay.js";

/** @typedef {import("../lib/types.js").DetectedEvent} DetectedEvent */
/** @typedef {(event: DetectedEvent, step: number) => DetectedEvent | null} Neighbour */

// What the dialog has a place for. Any other field of the API stands among the facts, under its own name.
const PLACED = new Set(
  `id stream run frame file index timestamp time_us label confidence boundingbox landmarks scores model partition
  offset url crop_url frame_url`.split(/\s+/),
);

/** Reading a whole frame, which may be given up. */
class FrameReader {
  constructor() {
    this.asking = new AbortController();
    /** @type {string | null} */
    this.address = null;
  }

  /**
   * The whole frame with the box drawn over it, or why there is none.
   * @param {DetectedEvent} event
   */
  figure(event) {
    const image = make("img", { alt: `Whole frame ${event.frame} of ${event.stream}`, hidden: true });
    const over = overlay();
    const words = make("figcaption", {}, "Loading the frame from Kafka…");
    image.addEventListener("load", () => {
      drawOver(over, [detectionOf(event)], image.naturalWidth, image.naturalHeight);
      image.hidden = false;
      words.hidden = true;
    });
    this.#load(event, image, words);
    return make("figure", { class: "whole" }, image, over, words);
  }

  /**
   * @param {DetectedEvent} event
   * @param {HTMLImageElement} image
   * @param {HTMLElement} words
   */
  async #load(event, image, words) {
    const { signal } = this.asking;
    try {
      const answer = await fetch(event.frame_url, { signal });
      if (!answer.ok) {
        const problem = await answer.json().catch(() => ({}));
        say(words, `Frame not available: ${problem.detail ?? `the server returned ${answer.status}`}.`);
        return;
      }
      const blob = await answer.blob();
      if (signal.aborted) return;
      this.address = URL.createObjectURL(blob);
      image.src = this.address;
    } catch (error) {
      if (!isAbort(error)) say(words, "Frame not available: cannot reach the server.");
    }
  }

  close() {
    this.asking.abort();
    if (this.address !== null) URL.revokeObjectURL(this.address);
    this.address = null;
  }
}

class EventDialog {
  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.dialog = dialog;
    this.frame = new FrameReader();
    /** @type {Neighbour} */
    this.neighbour = () => null;
    /** @type {DetectedEvent | null} */
    this.event = null;
    dialog.addEventListener("close", () => this.frame.close());
    addEventListener("hashchange", () => dialog.close()); // as by the browser's Back
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // beside it
    });
    dialog.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowLeft") this.#step(-1);
      if (key === "ArrowRight") this.#step(1);
    });
  }

  /**
   * @param {DetectedEvent} event
   * @param {Neighbour} neighbour
   */
  open(event, neighbour) {
    this.neighbour = neighbour;
    this.#show(event);
    this.dialog.showModal();
  }

  /** @param {number} by */
  #step(by) {
    const next = this.event && this.neighbour(this.event, by);
    if (!next) return;
    this.#show(next);
    find(".close", this.dialog).focus();
  }

  /** @param {DetectedEvent} event */
  #show(event) {
    this.frame.close();
    this.frame = new FrameReader();
    this.event = event;
    this.dialog.dataset.id = event.id;
    const title = make("h2", { id: "event-heading" }, chip(event.label), ` ${percent(event.confidence)}`);
    const close = { type: "button", class: "close", autofocus: true, click: () => this.dialog.close() };
    const header = make("header", {}, title, this.#button("← Newer", -1), this.#button("Older →", 1));
    header.append(make("button", close, "Close"));
    const scores = bars((event.scores ?? []).map(({ label, score, confidence }) => [label, score ?? confidence]));
    const about = make("div", { class: "about" }, cropOf(event));
    about.append(make("section", { "aria-label": "Best scores" }, scores), this.#facts(event));
    this.dialog.replaceChildren(header, make("div", { class: "body" }, this.frame.figure(event), about));
  }

  /**
   * @param {string} words
   * @param {number} by
   */
  #button(words, by) {
    const disabled = !this.event || !this.neighbour(this.event, by);
    return make("button", { type: "button", click: () => this.#step(by), disabled }, words);
  }

  /** @param {DetectedEvent} event */
  #facts(event) {
    const streamLink = `#/stream/${encodeURIComponent(event.stream)}`;
    /** @type {Record<string, string | HTMLElement>} */
    const rows = {
      Stream: make("a", { href: streamLink, click: () => this.dialog.close() }, event.stream),
      Time: `${exact(event.time_us)} (${ago(event.time_us)})`,
      Frame: `#${event.frame} of run ${event.run}`,
      ...(event.file ? { File: event.file } : {}),
      Model: event.model,
      Box: event.boundingbox ? event.boundingbox.join(", ") : "whole frame",
      Kafka: `partition ${event.partition}, offset ${event.offset}`,
    };
    for (const [name, value] of Object.entries(event)) {
      if (!PLACED.has(name) && value !== null) rows[name] = String(value);
    }
    const list = make("dl", { class: "facts" });
    for (const [name, value] of Object.entries(rows)) list.append(make("dt", {}, name), make("dd", {}, value));
    return list;
  }
}

/** @param {DetectedEvent} event */
function cropOf(event) {
  const crop = make("img", { class: "crop", src: event.crop_url, alt: `Crop: ${event.label}` });
  const none = make("p", { class: "quiet" }, "This event has no crop.");
  crop.addEventListener("error", () => crop.replaceWith(none));
  return crop;
}

/** @type {EventDialog | null} */
let mounted = null;

/**
 * Use this dialog for events.
 * @param {HTMLDialogElement} dialog
 */
export function mountEventDialog(dialog) {
  mounted = new EventDialog(dialog);
}

/**
 * Open an event; `next(event, -1 or 1)` gives the newer or the older one beside it, or null.
 * @param {DetectedEvent} event
 * @param {Neighbour} next
 */
export function openEvent(event, next = () => null) {
  mounted?.open(event, next);
}
