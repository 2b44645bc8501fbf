// One moving picture (MJPEG). There is at most one on the page: browsers open six connections to a server.
import { make } from "./dom.js";

const TRY_AGAIN_LOOKS = 3;

export class Player {
  /** `note` is an element that shows what is wrong. */
  constructor(note) {
    this.image = make("img", { class: "live", alt: "", width: 640, height: 360 });
    this.note = note;
    this.stream = null;
    this.looksWithoutPicture = 0;
    this.#hide(true);
    this.image.addEventListener("load", () => this.#hide(false));
  }

  /** Its place stays. */
  #hide(hidden) {
    this.image.classList.toggle("none", hidden);
  }

  play(stream) {
    this.stream = stream;
    this.image.alt = `Live picture of ${stream}, with boxes around what is seen`;
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
    this.image.src = `/video/${encodeURIComponent(this.stream)}?since=${Date.now()}`;
  }

  /** Look whether the picture still comes, and ask again for one that does not. */
  look(wasAway) {
    if (this.stream === null || document.hidden) return;
    // A picture that was cut off fires no event in Chrome: it is complete, and has no size.
    const broken = this.image.complete && !this.image.naturalWidth;
    if (wasAway || (broken && this.looksWithoutPicture % TRY_AGAIN_LOOKS === 0)) this.#ask();
    this.looksWithoutPicture = broken ? this.looksWithoutPicture + 1 : 0;
    this.#hide(!this.image.naturalWidth);
    this.note.hidden = this.looksWithoutPicture < 2;
  }
}

/** A figure with a place for the picture, and the player in it. */
export function screen() {
  const words = make("span", { hidden: true, class: "broken" }, "No picture now: it is asked for again.");
  const player = new Player(words);
  const element = make("figure", { class: "picture" }, player.image, make("figcaption", {}, words));
  return { element, player };
}
