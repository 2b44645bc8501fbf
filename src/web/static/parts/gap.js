// @ts-check
// A row of the log in place of events that are left out: how many, of which time, and a button that loads them.
import { make, say } from "../lib/dom.js";
import { clock, count, iso } from "../lib/format.js";
import { linkTo } from "../lib/route.js";

export class Gap {
  /**
   * Events after `fromUs` and before `toUs` that are not shown.
   * @param {number} fromUs
   * @param {number} toUs
   * @param {number | null} missing  how many, null where nobody knows
   * @param {string | null} cursor  leads to them; without one, `toUs` does
   * @param {import("../lib/types.js").Filters} filters
   * @param {(gap: Gap) => void} load
   */
  constructor(fromUs, toUs, missing, cursor, filters, load) {
    this.fromUs = fromUs;
    this.toUs = toUs;
    this.missing = missing;
    this.cursor = cursor;
    this.filters = filters;
    this.words = make("span");
    this.button = make("button", { type: "button", click: () => load(this) }, "Load them");
    this.link = make("a", {}, "Filter this period");
    this.element = make("li", { class: "gap" }, this.words, this.button, this.link);
    this.#write();
  }

  #write() {
    const which = this.missing === null ? "Events" : count(this.missing, "event");
    say(this.words, `${which} not shown, from ${clock(this.fromUs)} to ${clock(this.toUs)}`);
    const period = { since: iso(this.fromUs + 1), until: iso(this.toUs) };
    this.link.href = linkTo("events", { ...this.filters, ...period });
    this.element.dataset.us = String(this.toUs);
  }

  /**
   * Its newest events are shown now, back to a moment.
   * @param {number} toUs
   * @param {number | null} missing
   * @param {string | null} cursor
   */
  shrink(toUs, missing, cursor) {
    this.toUs = toUs;
    this.missing = missing;
    this.cursor = cursor;
    this.#write();
  }

  /** @param {boolean} busy */
  set busy(busy) {
    this.button.disabled = busy;
    say(this.button, busy ? "Loading…" : "Load them");
  }

  /** @param {string} message */
  fail(message) {
    say(this.words, `Not loaded: ${message}`);
  }
}
