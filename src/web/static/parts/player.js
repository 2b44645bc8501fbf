// @ts-check
// One moving picture (MJPEG). There is at most one on the page: browsers open six connections to a server.
import { make } from "../lib/dom.js";

const RETRY_CHECKS = 3;

export class Player {
  /** @param {HTMLElement} note  shown while something is wrong */
  constructor(note) {
    this.image = make("img", { class: "live", alt: "", width: 640, height: 360 });
    this.note = note;
    /** @type {string | null} */
    this.stream = null;
    this.checksWithoutPicture = 0;
    this.#hide(true);
    this.image.addEventListener("load", () => this.#hide(false));
  }

  /** @param {boolean} hidden  its space stays */
  #hide(hidden) {
    this.image.classList.toggle("none", hidden);
  }

  /** @param {string} stream */
  play(stream) {
    this.stream = stream;
    this.image.alt = `Live picture of ${stream} with detection boxes`;
    if (!document.hidden) this.#ask();
  }

  /** End the connection: Chrome does so when the address is another one, not when the element goes. */
  stop() {
    this.image.src = "";
    this.#hide(true);
  }

  close() {
    this.stream = null;
    this.stop();
  }

  #ask() {
    if (this.stream !== null) this.image.src = `/video/${encodeURIComponent(this.stream)}?since=${Date.now()}`;
  }

  /**
   * Check whether the picture still comes, and ask again for one that does not.
   * @param {boolean} wasAway
   */
  check(wasAway) {
    if (this.stream === null || document.hidden) return;
    // A picture that was cut off fires no event in Chrome: it is complete, and has no size.
    const broken = this.image.complete && !this.image.naturalWidth;
    if (wasAway || (broken && this.checksWithoutPicture % RETRY_CHECKS === 0)) this.#ask();
    this.checksWithoutPicture = broken ? this.checksWithoutPicture + 1 : 0;
    this.#hide(!this.image.naturalWidth);
    this.note.hidden = this.checksWithoutPicture < 2;
  }
}

/** A figure with a player in it. */
export function screen() {
  const words = make("span", { hidden: true, class: "broken" }, "No picture. Retrying…");
  const player = new Player(words);
  const element = make("figure", { class: "picture" }, player.image, make("figcaption", {}, words));
  return { element, player };
}
