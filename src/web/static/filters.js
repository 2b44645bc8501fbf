// What the log shows: by stream, label, time and confidence. The address of the page holds it, so it can be kept.
import { has, server, watch } from "./server.js";
import { find, make, say } from "./dom.js";
import { query } from "./api.js";

const NAMES = ["stream", "label", "since", "until", "min_confidence"];
const PERIODS = [
  ["", "any time"],
  ["15m", "last 15 min"],
  ["1h", "last hour"],
  ["24h", "last 24 h"],
  ["7d", "last 7 days"],
];

/** Only what is set, as the server wants it. */
export function wanted(filters) {
  return Object.fromEntries(NAMES.filter((name) => filters[name]).map((name) => [name, filters[name]]));
}

/** Whether an event that comes in now belongs to the log. */
export function matches(event, { stream, label, min_confidence: least }) {
  return (
    (!stream || event.stream === stream) && (!label || event.label === label) && event.confidence >= Number(least ?? 0)
  );
}

/** An address on this page with these filters. */
export function linkTo(view, filters) {
  return `#/${view}${query(wanted(filters))}`;
}

/** A moment as `datetime-local` has it, in the place's own time, or "" where it is none. */
function local(text) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - 60000 * date.getTimezoneOffset()).toISOString().slice(0, 19);
}

function utc(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

function labelled(text, input) {
  return make("label", {}, make("span", {}, text), input);
}

/** Choice of a period: a length of time back from now, or from a moment until another. */
export class PeriodChoice {
  constructor(change, periods = PERIODS) {
    this.other = make("option", { value: "between" }, "from … until …");
    this.periods = make("select", { change: () => this.#chosen() });
    this.periods.append(...periods.map(([value, text]) => make("option", { value }, text)), this.other);
    this.since = make("input", { type: "datetime-local", step: 1, change });
    this.until = make("input", { type: "datetime-local", step: 1, change });
    this.between = make("span", { class: "between", hidden: true });
    this.between.append(labelled("From", this.since), labelled("Until", this.until));
    this.elements = [labelled("Time", this.periods), this.between];
    this.change = change;
  }

  get value() {
    if (this.periods.value !== "between") return { since: this.periods.value, until: "" };
    return { since: utc(this.since.value), until: utc(this.until.value) };
  }

  /** Whether a period with a start or an end is chosen, and neither is said. */
  get isUndecided() {
    return this.periods.value === "between" && !this.since.value && !this.until.value;
  }

  set value({ since = "", until = "" }) {
    if (!until && /^\d+[smhdw]$/.test(since) && ![...this.periods.options].some(({ value }) => value === since))
      this.other.before(make("option", { value: since }, `last ${since}`));
    const known = !until && [...this.periods.options].some(({ value }) => value === since);
    this.periods.value = known ? since : "between";
    this.between.hidden = known;
    this.since.value = known ? "" : local(since);
    this.until.value = known ? "" : local(until);
  }

  #chosen() {
    this.between.hidden = this.periods.value !== "between";
    if (this.between.hidden) this.change();
    else this.since.focus();
  }
}

/** The form of the filters, and the links that download what they let through. */
export class FilterForm {
  constructor(host, change) {
    const changed = () => change(this.value);
    this.stream = make("input", {
      list: "stream-names",
      autocomplete: "off",
      placeholder: "all",
      change: changed,
      "aria-label": "Stream",
    });
    this.label = make("input", {
      list: "label-names",
      autocomplete: "off",
      placeholder: "all",
      change: changed,
      "aria-label": "Label",
    });
    this.least = make("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.05,
      value: 0,
      input: () => this.#tell(),
      change: changed,
    });
    this.shown = make("output", {}, "0 %");
    this.period = new PeriodChoice(changed);
    this.clear = make("button", { type: "button", click: () => change({}) }, "Clear");
    this.form = make("form", { class: "filters", role: "search", "aria-label": "Filter of the events", submit: stay });
    const sure = make("label", { class: "sure" }, make("span", {}, "At least ", this.shown), this.least);
    this.form.append(
      labelled("Stream", this.stream),
      labelled("Label", this.label),
      ...this.period.elements,
      sure,
      this.clear,
    );
    this.downloads = make("p", { class: "downloads" }, "Download: ");
    this.csv = make("a", { download: "events.csv" }, "CSV");
    this.lines = make("a", { download: "events.jsonl" }, "JSON lines");
    this.downloads.append(this.csv, " · ", this.lines);
    host.replaceChildren(this.form, this.downloads);
  }

  get value() {
    const least = Number(this.least.value);
    const given = { stream: this.stream.value.trim(), label: this.label.value.trim(), ...this.period.value };
    return wanted({ ...given, min_confidence: least > 0 ? String(least) : "" });
  }

  set value(filters) {
    this.stream.value = filters.stream ?? "";
    this.label.value = filters.label ?? "";
    this.period.value = filters;
    this.least.value = filters.min_confidence ?? 0;
    this.clear.disabled = Object.keys(wanted(filters)).length === 0;
    this.csv.href = `/events.csv${query(wanted(filters))}`;
    this.lines.href = `/events.jsonl${query(wanted(filters))}`;
    this.csv.hidden = !has("/events.csv");
    this.#tell();
  }

  #tell() {
    say(this.shown, `${Math.round(100 * this.least.value)} %`);
  }
}

function stay(event) {
  event.preventDefault();
  document.activeElement?.dispatchEvent(new Event("change"));
}

/** Offer the names of streams and labels that are known, in every form. */
export function offerNames() {
  const lists = [find("#stream-names"), find("#label-names")];
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
