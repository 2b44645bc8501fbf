// @ts-check
// Choice of a period: the time until now, of some length, or from one moment to another.
import { make } from "../lib/dom.js";

/** @typedef {[value: string, text: string][]} Periods */

/** @type {Periods} */
export const RECENT = [
  ["15m", "last 15 min"],
  ["1h", "last hour"],
  ["24h", "last 24 h"],
  ["7d", "last 7 days"],
];
const CUSTOM = "between";

/**
 * A moment as `datetime-local` has it, in local time, or "" where it is none.
 * @param {string} text
 */
function local(text) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - 60000 * date.getTimezoneOffset()).toISOString().slice(0, 19);
}

/** @param {string} text */
function utc(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

/**
 * A form field with its name above it.
 * @param {string} text
 * @param {Element} input
 */
export function labelled(text, input) {
  return make("label", {}, make("span", {}, text), input);
}

export class PeriodChoice {
  /**
   * @param {() => void} change
   * @param {Periods} periods
   */
  constructor(change, periods) {
    this.custom = make("option", { value: CUSTOM }, "custom…");
    this.periods = make("select", { change: () => this.#chosen() });
    this.periods.append(...periods.map(([value, text]) => make("option", { value }, text)), this.custom);
    this.since = make("input", { type: "datetime-local", step: 1, change });
    this.until = make("input", { type: "datetime-local", step: 1, change });
    this.between = make("span", { class: "between", hidden: true });
    this.between.append(labelled("From", this.since), labelled("To", this.until));
    this.elements = [labelled("Time", this.periods), this.between];
    this.change = change;
  }

  get value() {
    if (this.periods.value !== CUSTOM) return { since: this.periods.value, until: "" };
    return { since: utc(this.since.value), until: utc(this.until.value) };
  }

  /** Whether a custom period is chosen that has neither a start nor an end. */
  get isUndecided() {
    return this.periods.value === CUSTOM && !this.since.value && !this.until.value;
  }

  set value({ since = "", until = "" }) {
    if (!until && /^\d+[smhdw]$/.test(since) && ![...this.periods.options].some(({ value }) => value === since))
      this.custom.before(make("option", { value: since }, `last ${since}`));
    const known = !until && [...this.periods.options].some(({ value }) => value === since);
    this.periods.value = known ? since : CUSTOM;
    this.between.hidden = known;
    this.since.value = known ? "" : local(since);
    this.until.value = known ? "" : local(until);
  }

  #chosen() {
    this.between.hidden = this.periods.value !== CUSTOM;
    if (this.between.hidden) this.change();
    else this.since.focus();
  }
}
