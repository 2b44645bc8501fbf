// @ts-check
// A period: when each label was seen, and for what share of the time.
import { all, ask, isAbort, messageOf, query } from "../lib/api.js";
import { find, make, note, say } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { linkTo } from "../lib/route.js";
import { server } from "../lib/server.js";
import { nameInput } from "../parts/filters.js";
import { labelled, PeriodChoice, RECENT } from "../parts/period.js";
import { showShares } from "../parts/shares.js";
import { boundsOf, EVERY_MS, MOST_EPISODES } from "../parts/strip.js";
import { drawTimeline } from "../parts/timeline.js";

/** @typedef {{ since: string, until: string, stream: string }} Chosen */

class AnalysisView {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.stats = find(".stats", section);
    this.timeline = find(".bands", section);
    this.updated = find(".updated", section);
    const change = () => {
      location.hash = linkTo("analysis", { ...this.period.value, stream: this.stream.value.trim() });
    };
    this.period = new PeriodChoice(change, RECENT);
    this.stream = nameInput("stream", { change });
    const form = make("form", { class: "filters", "aria-label": "Period", submit: stay }, ...this.period.elements);
    form.append(labelled("Stream", this.stream));
    find(".choice", section).replaceChildren(form);
    this.asking = new AbortController();
    this.timer = 0;
  }

  /** @param {import("../lib/types.js").Route} route */
  show({ filters: { since = "24h", until = "", stream = "" } }) {
    this.hide();
    this.period.value = { since, until };
    this.stream.value = stream;
    this.asking = new AbortController();
    this.#load({ since, until, stream }, this.asking.signal);
  }

  hide() {
    this.asking.abort();
    clearTimeout(this.timer);
  }

  /**
   * @param {Chosen} chosen
   * @param {AbortSignal} signal
   */
  async #load(chosen, signal) {
    try {
      if (!document.hidden && server.awaySince === null) await this.#draw(chosen, signal);
    } catch (problem) {
      if (isAbort(problem)) return;
      this.stats.replaceChildren(note(messageOf(problem), "", "bad"));
    }
    if (!signal.aborted && !chosen.until) this.timer = setTimeout(() => this.#load(chosen, signal), EVERY_MS);
  }

  /**
   * @param {Chosen} chosen
   * @param {AbortSignal} signal
   */
  async #draw({ since, until, stream }, signal) {
    const stats = await ask("/stats" + query({ since, until, stream }), { signal });
    showShares(this.stats, stats);
    const [start, end] = boundsOf({ since, until });
    const [episodes, more] = await all("/episodes", { since, until, stream }, "episodes", MOST_EPISODES, signal);
    drawTimeline(this.timeline, episodes, start, end, { more, named: !stream });
    say(this.updated, until ? "" : `Updated ${clock(1000 * Date.now())}`);
  }
}

/** @param {Event} event */
function stay(event) {
  event.preventDefault();
}

/** @type {import("../lib/types.js").Mount} */
export function mount(section) {
  return new AnalysisView(section);
}
