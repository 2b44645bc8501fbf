// The analysis of a period: shares of each label, and the timeline.
import { all, ask, query } from "./api.js";
import { find, make, note, say } from "./dom.js";
import { clock } from "./format.js";
import { PeriodChoice } from "./filters.js";
import { server } from "./server.js";
import { showStats } from "./stats.js";
import { drawTimeline } from "./timeline.js";

const PERIODS = [
  ["15m", "last 15 min"],
  ["1h", "last hour"],
  ["24h", "last 24 h"],
  ["7d", "last 7 days"],
];
const SECONDS = { m: 60, h: 3600, d: 86400 };
const MOST = 2000; // stretches drawn
const EVERY_MS = 15000;

/** Where a period begins and ends now, in microseconds. */
function boundsOf({ since, until }) {
  const length = /^(\d+)([mhd])$/.exec(since);
  const end = until ? 1000 * Date.parse(until) : 1000 * Date.now();
  const start = length ? end - 1e6 * Number(length[1]) * SECONDS[length[2]] : 1000 * Date.parse(since);
  return Number.isNaN(start) ? [end - 86400e6, end] : [start, end];
}

export class Analysis {
  constructor(section, change) {
    this.stats = find(".stats", section);
    this.timeline = find(".bands", section);
    this.updated = find(".updated", section);
    this.period = new PeriodChoice(() => change({ ...this.period.value, stream: this.stream.value.trim() }), PERIODS);
    this.stream = make("input", { list: "stream-names", autocomplete: "off", placeholder: "all" });
    this.stream.addEventListener("change", () => this.period.change());
    const named = make("label", {}, make("span", {}, "Stream"), this.stream);
    const form = make("form", { class: "filters", "aria-label": "Period", submit: (event) => event.preventDefault() });
    form.append(...this.period.elements, named);
    find(".choice", section).replaceChildren(form);
    this.asking = null;
    this.timer = 0;
  }

  show(open, { since = "24h", until = "", stream = "" } = {}) {
    this.asking?.abort();
    clearTimeout(this.timer);
    if (!open) return;
    this.period.value = { since, until };
    this.stream.value = stream;
    this.#load({ since, until, stream });
  }

  async #load(chosen) {
    this.asking = new AbortController();
    const { signal } = this.asking;
    try {
      if (!document.hidden && server.awaySince === null) await this.#draw(chosen, signal);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.stats.replaceChildren(note(problem.message, "", "bad"));
    }
    if (!signal.aborted && !chosen.until) this.timer = setTimeout(() => this.#load(chosen), EVERY_MS);
  }

  async #draw({ since, until, stream }, signal) {
    const stats = await ask("/stats" + query({ since, until, stream }), { signal });
    showStats(this.stats, stats);
    const [start, end] = boundsOf({ since, until });
    const [episodes, more] = await all("/episodes", { since, until, stream }, "episodes", MOST, signal);
    drawTimeline(this.timeline, episodes, start, end, { more, named: !stream });
    say(this.updated, until ? "" : `as of ${clock(1000 * Date.now())}`);
  }
}

/** A strip of the time until now, of one stream or ("") of all, brought up to date until what it returns is called. */
export function strip(host, stream, since = "1h") {
  const asking = new AbortController();
  let timer = 0;
  const load = async () => {
    try {
      if (!document.hidden) {
        const [episodes, more] = await all("/episodes", { since, stream }, "episodes", MOST, asking.signal);
        const [start, end] = episodes.length && !since ? span(episodes) : boundsOf({ since });
        drawTimeline(host, episodes, start, end, { more, named: stream === "", table: false });
      }
    } catch (problem) {
      if (problem.name === "AbortError") return;
      host.replaceChildren(note(problem.message, "", "bad"));
    }
    if (!asking.signal.aborted) timer = setTimeout(load, EVERY_MS);
  };
  load();
  return () => {
    asking.abort();
    clearTimeout(timer);
  };
}

/** From the first to the last moment of these episodes. */
function span(episodes) {
  const start = Math.min(...episodes.map((episode) => episode.start_us));
  const end = Math.max(...episodes.map((episode) => episode.end_us));
  return [start, Math.max(end, start + 1e6)];
}
