// @ts-check
// What a log has missed while its page was hidden, its server was away, or somebody read further down.
import { ask, query } from "../lib/api.js";
import { iso } from "../lib/format.js";
import { setFilters } from "../lib/route.js";

/** @typedef {import("../lib/types.js").DetectedEvent} DetectedEvent */
/** @typedef {import("../lib/types.js").Filters} Filters */

const RUNNING_US = 60e6; // a stream whose newest event is at most so much older than the newest of all is running

/**
 * One page of stored events, newest first.
 * @param {Filters} filters
 * @param {{ cursor?: string | null, until?: string, limit: number }} part
 * @param {AbortSignal | null} [signal]
 * @returns {Promise<{ events: DetectedEvent[], next_cursor: string | null }>}
 */
export function readPage(filters, part, signal = null) {
  return ask("/events" + query({ ...setFilters(filters), ...part }), { signal });
}

/**
 * The time up to which these events are complete, or null: that of the newest event of each running stream, of the
 * stream that is furthest behind.
 * @param {Iterable<DetectedEvent>} events
 */
export function completeUntil(events) {
  /** @type {Map<string, number>} */
  const newest = new Map();
  for (const { stream, time_us: us } of events) newest.set(stream, Math.max(us, newest.get(stream) ?? 0));
  const latest = Math.max(...newest.values());
  const running = [...newest.values()].filter((us) => us > latest - RUNNING_US);
  return running.length ? Math.min(...running) : null;
}

/**
 * The newest events that are stored, back to a moment or until there are `most`.
 *
 * `cursor` leads to the rest, and is null where the store has no older ones; `reached` says whether they go back to
 * the moment. All events of one time are on one page, so the last one's time is complete.
 * @param {Filters} filters
 * @param {number} sinceUs
 * @param {number} most
 * @param {AbortSignal} signal
 */
export async function readBack(filters, sinceUs, most, signal) {
  /** @type {DetectedEvent[]} */
  const events = [];
  let cursor = null;
  let reached = false;
  do {
    const page = await readPage(filters, { cursor, limit: 50 }, signal);
    events.push(...page.events);
    cursor = page.next_cursor;
    reached = events.length > 0 && events[events.length - 1].time_us <= sinceUs;
  } while (!reached && cursor !== null && events.length < most);
  return { events: events.filter(({ time_us: us }) => us > sinceUs), cursor, reached };
}

/**
 * How many events are stored between two moments, both excluded, or null where nobody knows.
 * @param {Filters} filters
 * @param {number} afterUs
 * @param {number} beforeUs
 * @returns {Promise<number | null>}
 */
export async function countBetween({ stream, label, min_confidence: least }, afterUs, beforeUs) {
  if (afterUs + 1 >= beforeUs) return 0;
  if (least) return null; // the server counts by label alone
  try {
    const { events } = await ask("/stats" + query({ stream, since: iso(afterUs + 1), until: iso(beforeUs) }));
    const counts = /** @type {Record<string, number>} */ (events);
    return label ? (counts[label] ?? 0) : Object.values(counts).reduce((sum, number) => sum + number, 0);
  } catch {
    return null;
  }
}
