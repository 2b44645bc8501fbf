// @ts-check
// The log of events: it fills by itself while it is read from its top, and can be read back page by page. Where events
// are left out, a gap row says so and loads them: the list never looks complete where it is not.
import { isAbort, messageOf, Problem } from "../lib/api.js";
import { make, note, say } from "../lib/dom.js";
import { follow } from "../lib/feed.js";
import { iso } from "../lib/format.js";
import { matches, setFilters } from "../lib/route.js";
import { openEvent } from "./event-dialog.js";
import { Gap } from "./gap.js";
import { completeUntil, countBetween, readBack, readPage } from "./missed.js";
import { rowOf } from "./row.js";

/** @typedef {import("../lib/types.js").DetectedEvent} DetectedEvent */
/** @typedef {import("../lib/types.js").Filters} Filters */

const LIVE_ROWS = 200; // kept while the log moves
const MOST_ROWS = 1000; // after reading back
const PAGE = 50;
const CATCH_UP = 100; // missed events loaded at once; a gap stands for the rest
const TOP_PX = 4;

export class EventLog {
  /** @type {Map<string, { row: HTMLLIElement, event: DetectedEvent }>} */
  rows = new Map();
  /** @type {Map<string, DetectedEvent>} */
  waiting = new Map(); // until the log may move
  behind = false; // more is stored than what waits
  paused = false;
  opening = false; // its first page is being read
  resumedSince = false; // the feed has begun meanwhile
  unread = false; // its first page is not there yet, whatever has come by itself
  /** @type {Filters | null} */
  filters = null; // null while closed
  closing = new AbortController();
  /** @type {string | null} */
  cursor = null; // where older events are
  /** @type {number | null} */
  missedSinceUs = null; // set while what was missed is being read
  stopFollowing = () => {};

  pause = make("button", { type: "button", "aria-pressed": "false", click: () => this.#togglePause() }, "Pause");
  pill = make("button", { type: "button", class: "pill", hidden: true, click: () => this.#toTop() });
  older = make(
    "button",
    { type: "button", class: "older", hidden: true, click: () => this.#loadOlder() },
    "Load older",
  );
  list = make("ol");
  state = make("div", { class: "state" });
  scroller = make("div", { class: "scroller", tabindex: 0, role: "region" }, this.list, this.state, this.older);
  sampled = make("span", { class: "quiet" });

  /**
   * @param {HTMLElement} host
   * @param {string} [heading]
   * @param {string} [empty]  what it says when empty
   */
  constructor(host, heading = "Latest events", empty = "") {
    this.empty = empty;
    this.scroller.setAttribute("aria-label", `${heading}, newest first`);
    this.scroller.addEventListener("scroll", () => this.#flushAtTop(), { passive: true });
    this.list.addEventListener("focusout", () => setTimeout(() => this.#flushAtTop()));
    const head = make("header", {}, make("h3", {}, heading), this.sampled, this.pause);
    host.replaceChildren(head, make("div", { class: "frame" }, this.pill, this.scroller));
  }

  /**
   * Show the events that these filters let pass, from now on. A log that shows them already stays as it is.
   * @param {Filters} filters
   */
  async open(filters) {
    const wanted = setFilters(filters);
    if (this.filters && JSON.stringify(this.filters) === JSON.stringify(wanted)) return;
    this.close();
    this.filters = wanted;
    const { signal } = (this.closing = new AbortController());
    this.#clear();
    this.pause.hidden = Boolean(filters.until);
    this.stopFollowing = follow({
      events: (events, leftOut) => this.#take(events, leftOut),
      resumed: () => this.#resume(),
    });
    this.opening = true;
    this.unread = true;
    this.resumedSince = false;
    const events = await this.#loadOlder();
    if (signal.aborted) return;
    this.opening = false;
    // The feed may have begun only after the page was read.
    if (this.resumedSince) await this.#catchUp(completeUntil(events));
  }

  close() {
    this.filters = null;
    this.stopFollowing();
    this.closing.abort();
    this.missedSinceUs = null;
  }

  #clear() {
    this.rows.clear();
    this.waiting.clear();
    this.behind = false;
    this.list.replaceChildren();
    this.cursor = null;
    this.sampled.textContent = "";
    this.#showPill();
  }

  /** Load the page below the last row; gives its events. */
  async #loadOlder() {
    const { signal } = this.closing;
    this.older.disabled = true;
    if (!this.rows.size) this.state.replaceChildren(note("Loading…"));
    const last = this.list.lastElementChild;
    // After rows were removed there is no cursor: the time of the last one says where to go on.
    const until = last instanceof HTMLElement ? { until: iso(Number(last.dataset.us) + 1) } : {};
    /** @type {DetectedEvent[]} */
    let events = [];
    try {
      const page = await readPage(
        this.filters ?? {},
        { ...(this.cursor ? { cursor: this.cursor } : until), limit: PAGE },
        signal,
      );
      events = page.events;
      this.unread = false;
      this.#insert(events);
      this.#setCursor(page.next_cursor);
      this.#showState();
    } catch (problem) {
      if (!isAbort(problem)) this.#fail(problem);
    }
    this.older.disabled = false;
    return events;
  }

  /** @param {unknown} problem  why events were not read */
  #fail(problem) {
    if (this.opening && problem instanceof Problem && problem.status === 422) {
      // The filters are wrong: asked again, the answer is the same, and nothing that comes is sure to be meant.
      this.stopFollowing();
      this.resumedSince = false;
      this.#clear();
      this.older.hidden = true;
    }
    this.state.replaceChildren(note(messageOf(problem), "", "bad"));
  }

  /** @param {string | null} cursor  where older events are; null where there are none */
  #setCursor(cursor) {
    this.cursor = cursor;
    this.older.hidden = cursor === null || this.rows.size >= MOST_ROWS;
  }

  #showState() {
    this.state.replaceChildren();
    if (this.rows.size >= MOST_ROWS && this.cursor !== null) {
      this.state.append(note(`Showing ${MOST_ROWS} events. To see older ones, choose an earlier time.`));
    } else if (this.rows.size) {
      return;
    } else if (this.empty) {
      this.state.append(note(this.empty));
    } else if (Object.keys(this.filters ?? {}).length) {
      this.state.append(note("No events match. Choose a longer period, or clear a filter."));
    } else {
      this.state.append(note("No events yet. They appear here once a stream runs. Start one: ", "framewatch up"));
    }
  }

  /** The feed begins, or begins again: whatever was stored before has not been told. */
  async #resume() {
    if (!this.filters || this.filters.until) return;
    if (this.opening) this.resumedSince = true;
    else if (this.#mustStay()) await this.#lookWhatWaits();
    else await this.#catchUp(this.#completeUntil());
  }

  #completeUntil() {
    return this.unread ? null : completeUntil([...this.rows.values()].map(({ event }) => event));
  }

  /** Say what is new while the log must stay as it is. */
  async #lookWhatWaits() {
    const { signal } = this.closing;
    const sinceUs = this.#completeUntil() ?? 0;
    this.behind = true;
    try {
      const { events, reached } = await readBack(this.filters ?? {}, sinceUs, PAGE, signal);
      if (reached) this.behind = false;
      this.#wait(events.filter(({ id }) => !this.rows.has(id)));
    } catch (problem) {
      if (isAbort(problem)) return;
    }
    this.#flushAtTop();
    this.#showPill();
  }

  /**
   * Load what was stored since, and leave a gap where that is too much.
   * @param {number | null} sinceUs  null where the log was empty
   */
  async #catchUp(sinceUs) {
    const { signal } = this.closing;
    const since = (this.missedSinceUs ??= sinceUs ?? 0); // an attempt that still runs began there
    const known = [...this.rows.keys()];
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    this.behind = false;
    this.#showPill();
    /** @type {unknown} */
    let failure = null;
    try {
      const { events, cursor, reached } = await readBack(this.filters ?? {}, since, CATCH_UP, signal);
      const oldestUs = events.at(-1)?.time_us ?? since;
      const isWhole = reached || cursor === null || since === 0;
      const missing = isWhole ? 0 : await this.#countMissing(since, oldestUs);
      if (signal.aborted) return;
      if (this.#mustStay()) {
        // Somebody has begun to read meanwhile.
        this.behind = !reached;
        if (reached) this.missedSinceUs = null;
        this.#wait([...waiting, ...events].filter(({ id }) => !this.rows.has(id)));
        return;
      }
      if (cursor === null && !reached) this.#removeDeleted(known, events);
      this.#insert([...events, ...waiting.filter(({ time_us: us }) => us >= oldestUs)]);
      this.unread = false;
      if (since === 0) this.#setCursor(cursor);
      else if (missing !== 0) this.#addGap(since, oldestUs, missing, cursor);
    } catch (problem) {
      if (isAbort(problem) || signal.aborted) return;
      this.#insert(waiting);
      if (since > 0) this.#addGap(since, Math.max(since + 2, 1000 * Date.now()), null, null);
      else failure = problem;
    }
    this.missedSinceUs = null;
    this.#trim();
    if (failure) this.#fail(failure);
    else this.#showState();
  }

  /**
   * There is nothing older in the store: other rows were deleted since, or are too old for the filters.
   * @param {string[]} known
   * @param {DetectedEvent[]} stored
   */
  #removeDeleted(known, stored) {
    const kept = new Set(stored.map(({ id }) => id));
    for (const id of known) if (!kept.has(id)) this.#remove(id);
    for (const gap of this.list.querySelectorAll(".gap")) gap.remove();
    this.#setCursor(null);
  }

  /**
   * How many events between two moments are stored and not shown, or null where nobody knows.
   * @param {number} afterUs
   * @param {number} beforeUs
   */
  async #countMissing(afterUs, beforeUs) {
    const stored = await countBetween(this.filters ?? {}, afterUs, beforeUs);
    // Rows of some streams may stand between them already.
    const there = [...this.rows.values()].filter(({ event: { time_us: us } }) => us > afterUs && us < beforeUs).length;
    return stored === null ? null : Math.max(0, stored - there);
  }

  /**
   * @param {number} afterUs
   * @param {number} beforeUs
   * @param {number | null} missing
   * @param {string | null} cursor
   */
  #addGap(afterUs, beforeUs, missing, cursor) {
    const gap = new Gap(afterUs, beforeUs, missing, cursor, this.filters ?? {}, () => this.#loadGap(gap));
    this.#place(gap);
  }

  /** @param {Gap} gap */
  #place(gap) {
    const older = this.#children().find((row) => Number(row.dataset.us) < gap.toUs);
    this.list.insertBefore(gap.element, older ?? null);
  }

  /**
   * Load the newest events of a gap.
   * @param {Gap} gap
   */
  async #loadGap(gap) {
    const { signal } = this.closing;
    const focused = gap.element.contains(document.activeElement);
    gap.busy = true;
    try {
      const from = gap.cursor ? { cursor: gap.cursor } : { until: iso(gap.toUs) };
      const { events, next_cursor: cursor } = await readPage(this.filters ?? {}, { ...from, limit: CATCH_UP }, signal);
      const inside = events.filter(({ time_us: us }) => us > gap.fromUs);
      const oldestUs = inside.at(-1)?.time_us ?? gap.fromUs;
      const isWhole = cursor === null || inside.length < events.length;
      const missing = isWhole ? 0 : await this.#countMissing(gap.fromUs, oldestUs);
      if (signal.aborted) return;
      gap.element.remove();
      this.#insert(inside);
      if (missing !== 0) {
        gap.shrink(oldestUs, missing, cursor);
        this.#place(gap);
      }
    } catch (problem) {
      if (!isAbort(problem)) gap.fail(messageOf(problem));
    }
    gap.busy = false;
    if (focused) (gap.element.isConnected ? gap.button : this.scroller).focus({ preventScroll: true });
  }

  /**
   * @param {DetectedEvent[]} events
   * @param {number} leftOut
   */
  #take(events, leftOut) {
    const filters = this.filters;
    if (!filters || filters.until) return;
    const fresh = events.filter((event) => matches(event, filters) && !this.rows.has(event.id));
    if (leftOut) say(this.sampled, "At most one a second for each label. All are stored.");
    if (this.#mustStay()) {
      this.#wait(fresh);
    } else if (fresh.length) {
      this.#insert(fresh);
      this.#trim();
      if (!this.unread) this.state.replaceChildren();
    }
  }

  /** @param {DetectedEvent[]} events */
  #wait(events) {
    for (const event of events) this.waiting.set(event.id, event);
    for (const id of this.waiting.keys()) {
      if (this.waiting.size <= LIVE_ROWS) break;
      this.waiting.delete(id);
      this.behind = true;
    }
    this.#showPill();
  }

  /** Whether rows must stay where they are: somebody reads further down, paused, or goes by the keyboard. */
  #mustStay() {
    return this.paused || this.scroller.scrollTop > TOP_PX || this.list.querySelector(":focus-visible") !== null;
  }

  #flushAtTop() {
    if ((this.waiting.size || this.behind) && !this.#mustStay()) this.#flush();
  }

  #flush() {
    if (this.behind) {
      this.#catchUp(this.#completeUntil());
      return;
    }
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
    say(this.pause, this.paused ? "Resume" : "Pause");
    this.#flushAtTop();
  }

  #showPill() {
    this.pill.hidden = this.waiting.size === 0;
    say(this.pill, `${this.waiting.size}${this.behind ? "+" : ""} new`);
  }

  /** @returns {HTMLElement[]} */
  #children() {
    return /** @type {HTMLElement[]} */ ([...this.list.children]);
  }

  /**
   * Put events where their time belongs, newest first.
   * @param {DetectedEvent[]} events
   */
  #insert(events) {
    for (const event of [...events].sort((a, b) => b.time_us - a.time_us)) {
      if (this.rows.has(event.id)) continue;
      const row = rowOf(event, (opened) => openEvent(opened, this.#neighbour.bind(this)));
      row.dataset.id = event.id;
      this.rows.set(event.id, { row, event });
      const last = this.list.lastElementChild;
      if (last instanceof HTMLElement && Number(last.dataset.us) >= event.time_us) this.list.append(row);
      else this.list.insertBefore(row, this.#firstNotNewer(event.time_us));
    }
  }

  /** @param {number} us */
  #firstNotNewer(us) {
    let row = this.list.firstElementChild;
    while (row instanceof HTMLElement && Number(row.dataset.us) > us) row = row.nextElementSibling;
    return row;
  }

  /** @param {string} id */
  #remove(id) {
    this.rows.get(id)?.row.remove();
    this.rows.delete(id);
  }

  #trim() {
    const children = this.#children();
    if (children.length <= LIVE_ROWS) return;
    for (const row of children.slice(LIVE_ROWS)) {
      if (row.dataset.id) this.#remove(row.dataset.id);
      else row.remove();
    }
    const last = children[LIVE_ROWS - 1];
    if (last.classList.contains("gap")) last.remove(); // "Load older" stands for it
    this.cursor = null;
    this.older.hidden = false;
  }

  /**
   * The event before (-1, newer) or after (1, older) this one in the log, or null.
   * @param {DetectedEvent} event
   * @param {number} step
   */
  #neighbour(event, step) {
    const row = this.rows.get(event.id)?.row;
    const next = step < 0 ? row?.previousElementSibling : row?.nextElementSibling;
    const id = next instanceof HTMLElement ? next.dataset.id : undefined;
    return (id && this.rows.get(id)?.event) || null;
  }
}
