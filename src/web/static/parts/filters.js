// @ts-check
// The form of the filters of a log: stream, label, time and confidence, and the downloads of what they let pass.
import { query } from "../lib/api.js";
import { find, make, say } from "../lib/dom.js";
import { setFilters } from "../lib/route.js";
import { has, server, watch } from "../lib/server.js";
import { labelled, PeriodChoice, RECENT } from "./period.js";

/** @typedef {import("../lib/types.js").Filters} Filters */

/**
 * A field for the name of a stream or label, which offers those that are known.
 * @param {"stream" | "label"} kind
 * @param {Record<string, any>} [attributes]
 */
export function nameInput(kind, attributes = {}) {
  return make("input", { list: `${kind}-names`, autocomplete: "off", placeholder: "all", ...attributes });
}

export class FilterForm {
  /**
   * @param {HTMLElement} host
   * @param {(filters: Filters) => void} change
   */
  constructor(host, change) {
    const changed = () => change(this.value);
    this.stream = nameInput("stream", { change: changed, "aria-label": "Stream" });
    this.label = nameInput("label", { change: changed, "aria-label": "Label" });
    const range = { type: "range", min: 0, max: 1, step: 0.05, value: 0, input: () => this.#say(), change: changed };
    this.least = make("input", range);
    this.leastWords = make("output", {}, "0 %");
    this.period = new PeriodChoice(changed, [["", "any time"], ...RECENT]);
    this.clear = make("button", { type: "button", click: () => change({}) }, "Clear");
    const sure = make("label", { class: "sure" }, make("span", {}, "Min. confidence ", this.leastWords), this.least);
    const form = { class: "filters", role: "search", "aria-label": "Filter events", submit: stay };
    this.form = make("form", form, labelled("Stream", this.stream), labelled("Label", this.label));
    this.form.append(...this.period.elements, sure, this.clear);
    this.csv = make("a", { download: "events.csv" }, "CSV");
    this.lines = make("a", { download: "events.jsonl" }, "JSON Lines");
    host.replaceChildren(this.form, make("p", { class: "downloads" }, "Download: ", this.csv, " · ", this.lines));
  }

  /** @returns {Filters} */
  get value() {
    const least = Number(this.least.value);
    const given = { stream: this.stream.value.trim(), label: this.label.value.trim(), ...this.period.value };
    return setFilters({ ...given, min_confidence: least > 0 ? String(least) : "" });
  }

  set value(filters) {
    const set = setFilters(filters);
    this.stream.value = set.stream ?? "";
    this.label.value = set.label ?? "";
    this.period.value = { since: set.since ?? "", until: set.until ?? "" };
    this.least.value = set.min_confidence ?? "0";
    this.clear.disabled = Object.keys(set).length === 0;
    this.csv.href = `/events.csv${query({ ...set })}`;
    this.lines.href = `/events.jsonl${query({ ...set })}`;
    this.csv.hidden = !has("/events.csv");
    this.#say();
  }

  #say() {
    say(this.leastWords, `${Math.round(100 * Number(this.least.value))} %`);
  }
}

/** @param {Event} event */
function stay(event) {
  event.preventDefault();
  document.activeElement?.dispatchEvent(new Event("change"));
}

/**
 * Offer the names of streams and labels that are known, in every form.
 * @param {ParentNode} root
 */
export function offerNames(root) {
  const lists = [find("#stream-names", root), find("#label-names", root)];
  const known = ["", ""];
  watch(() => {
    const names = [server.streams.map(({ stream }) => stream), server.about.labels ?? []];
    names.forEach((values, index) => {
      if (known[index] === values.join("\n")) return;
      known[index] = values.join("\n");
      lists[index].replaceChildren(...values.map((value) => make("option", { value })));
    });
  });
}
