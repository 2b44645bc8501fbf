// The log of events: it fills by itself while it is looked at from its top, and can be read back page by page.
import { ask, query } from "./api.js";
import { find, make, note, say } from "./dom.js";
import { openEvent } from "./event.js";
import { follow } from "./feed.js";
import { matches, wanted } from "./filters.js";
import { count, iso } from "./format.js";
import { rowOf } from "./row.js";

const LIVE_ROWS = 200; // kept while the log moves
const MOST_ROWS = 1000; // after reading back
const PAGE = 50;
const TOP_PX = 4;

export class Log {
  constructor(host, heading = "Live log", empty = "") {
    this.empty = empty;
    this.rows = new Map();
    this.waiting = new Map();
    this.paused = false;
    this.filters = {};
    this.asking = null;
    this.ends = () => {};
    this.#build(host, heading);
  }

  #build(host, heading) {
    this.pause = make("button", { type: "button", "aria-pressed": "false", click: () => this.#togglePause() }, "Pause");
    this.pill = make("button", { type: "button", class: "pill", hidden: true, click: () => this.#toTop() });
    this.list = make("ol");
    this.state = make("div", { class: "state" });
    this.older = make("button", { type: "button", class: "older", hidden: true, click: () => this.#page() }, "Older");
    this.scroller = make("div", {
      class: "scroller",
      tabindex: 0,
      role: "region",
      "aria-label": `${heading}, newest first`,
    });
    this.scroller.append(this.list, this.state, this.older);
    this.scroller.addEventListener("scroll", () => this.#flushAtTop(), { passive: true });
    this.list.addEventListener("focusout", () => setTimeout(() => this.#flushAtTop()));
    this.left = make("span", { class: "quiet" });
    const head = make("header", {}, make("h3", {}, heading), this.left, this.pause);
    host.replaceChildren(head, make("div", { class: "frame" }, this.pill, this.scroller));
  }

  /** Show what these filters let through, from now on. */
  async open(filters) {
    this.close();
    this.filters = filters;
    this.left.textContent = "";
    this.pause.hidden = Boolean(filters.until);
    this.ends = follow({
      events: (events, leftOut) => this.#take(events, leftOut),
      again: () => this.#refill(),
    });
    this.#clear();
    await this.#page();
  }

  close() {
    this.ends();
    this.ends = () => {};
    this.asking?.abort();
    this.asking = null;
  }

  #clear() {
    this.rows.clear();
    this.waiting.clear();
    this.list.replaceChildren();
    this.cursor = null;
    this.#showPill();
  }

  async #refill() {
    // What came while nobody listened is in the store.
    try {
      const { events } = await ask("/events" + query({ ...wanted(this.filters), limit: PAGE }));
      this.#take(events, 0);
    } catch {
      // The next gap is filled again.
    }
  }

  async #page() {
    const asking = new AbortController();
    this.asking?.abort();
    this.asking = asking;
    this.older.disabled = true;
    if (!this.rows.size) this.state.replaceChildren(note("Looking…"));
    const last = this.list.lastElementChild;
    // After lines were let go there is no cursor: the time of the last one says where to go on.
    const from = this.cursor ? { cursor: this.cursor } : last ? { until: iso(Number(last.dataset.us) + 1000) } : {};
    try {
      const address = "/events" + query({ ...wanted(this.filters), ...from, limit: PAGE });
      const { events, next_cursor: cursor } = await ask(address, { signal: asking.signal });
      this.cursor = cursor;
      this.#insert(events);
      this.older.hidden = cursor === null || this.rows.size >= MOST_ROWS;
      this.#showState(cursor !== null);
    } catch (problem) {
      if (problem.name !== "AbortError") this.state.replaceChildren(note(problem.message, "", "bad"));
    }
    this.older.disabled = false;
  }

  #showState(more) {
    this.state.replaceChildren();
    if (this.rows.size >= MOST_ROWS && more) {
      this.state.append(note(`The ${MOST_ROWS} newest are here: choose an earlier time to see older ones.`));
    } else if (!this.rows.size && this.empty) {
      this.state.append(note(this.empty));
    } else if (!this.rows.size && Object.keys(wanted(this.filters)).length) {
      this.state.append(note("No event like this. Choose a longer time, or fewer filters."));
    } else if (!this.rows.size) {
      this.state.append(
        note("No events yet: they come here by themselves once a stream runs. Start one: ", "framewatch up"),
      );
    }
  }

  #take(events, leftOut) {
    if (this.filters.until) return;
    const fresh = events.filter((event) => matches(event, this.filters) && !this.rows.has(event.id));
    if (leftOut) say(this.left, "one a second of each label; all are stored");
    if (this.#still()) {
      for (const event of fresh) this.waiting.set(event.id, event);
      for (const id of this.waiting.keys()) {
        if (this.waiting.size <= LIVE_ROWS) break;
        this.waiting.delete(id);
        this.overflow = true;
      }
      this.#showPill();
    } else if (fresh.length) {
      this.#insert(fresh);
      this.#trim();
      this.state.replaceChildren();
    }
  }

  /** Whether lines must stay where they are: somebody reads further down, paused, or goes by the keyboard. */
  #still() {
    return this.paused || this.scroller.scrollTop > TOP_PX || find(":focus-visible", this.list) !== null;
  }

  #flushAtTop() {
    if (this.waiting.size && !this.#still()) this.#flush();
  }

  #flush() {
    const events = [...this.waiting.values()];
    this.waiting.clear();
    this.#insert(events);
    this.#trim();
    this.#showPill();
  }

  #toTop() {
    if (this.paused) this.#togglePause();
    this.scroller.focus({ preventScroll: true });
    this.scroller.scrollTop = 0;
    this.#flush();
  }

  #togglePause() {
    this.paused = !this.paused;
    this.pause.setAttribute("aria-pressed", String(this.paused));
    say(this.pause, this.paused ? "Go on" : "Pause");
    this.#flushAtTop();
  }

  #showPill() {
    this.pill.hidden = this.waiting.size === 0;
    const more = this.overflow && this.waiting.size ? "+" : "";
    if (!this.waiting.size) this.overflow = false;
    say(this.pill, `${count(this.waiting.size, "new", "new").replace(" ", `${more} `)}`);
  }

  /** Put events where their time belongs, newest first. */
  #insert(events) {
    for (const event of [...events].sort((a, b) => b.time_us - a.time_us)) {
      if (this.rows.has(event.id)) continue;
      const row = rowOf(event, (opened) => openEvent(opened, this.#neighbour.bind(this)));
      row.dataset.id = event.id;
      this.rows.set(event.id, { row, event });
      const last = this.list.lastElementChild;
      if (last && Number(last.dataset.us) >= event.time_us) {
        this.list.append(row);
        continue;
      }
      let before = this.list.firstElementChild;
      while (before && Number(before.dataset.us) > event.time_us) before = before.nextElementSibling;
      this.list.insertBefore(row, before);
    }
  }

  #trim() {
    while (this.list.children.length > LIVE_ROWS) {
      const row = this.list.lastElementChild;
      this.rows.delete(row.dataset.id);
      row.remove();
      this.cursor = null;
      this.older.hidden = false;
    }
  }

  /** The event before (-1, newer) or after (1, older) this one in the log, or null. */
  #neighbour(event, step) {
    const row = this.rows.get(event.id)?.row;
    const next = step < 0 ? row?.previousElementSibling : row?.nextElementSibling;
    return next ? this.rows.get(next.dataset.id).event : null;
  }
}
