// @ts-check
// A timeline that keeps itself up to date.
import { all, isAbort, messageOf } from "../lib/api.js";
import { note } from "../lib/dom.js";
import { drawTimeline } from "./timeline.js";

/** @typedef {import("../lib/types.js").Episode} Episode */

export const MOST_EPISODES = 2000; // drawn
export const EVERY_MS = 15000;
const SECONDS = new Map([
  ["m", 60],
  ["h", 3600],
  ["d", 86400],
]);

/**
 * Where a period begins and ends now, in microseconds.
 * @param {{ since: string, until?: string }} period
 * @returns {[number, number]}
 */
export function boundsOf({ since, until = "" }) {
  const [, number, unit] = /^(\d+)([mhd])$/.exec(since) ?? [];
  const end = until ? 1000 * Date.parse(until) : 1000 * Date.now();
  const start = number ? end - 1e6 * Number(number) * (SECONDS.get(unit) ?? 0) : 1000 * Date.parse(since);
  return Number.isNaN(start) ? [end - 86400e6, end] : [start, end];
}

/**
 * From the first to the last moment of these episodes.
 * @param {Episode[]} episodes
 * @returns {[number, number]}
 */
function span(episodes) {
  const start = Math.min(...episodes.map((episode) => episode.start_us));
  const end = Math.max(...episodes.map((episode) => episode.end_us));
  return [start, Math.max(end, start + 1e6)];
}

/**
 * The time until now, of one stream or ("") of all, or ("" as `since`) all there is; ended by what it returns.
 * @param {Element} host
 * @param {string} stream
 * @param {string} since
 */
export function startStrip(host, stream, since) {
  const asking = new AbortController();
  const { signal } = asking;
  let timer = 0;
  const load = async () => {
    try {
      if (!document.hidden) {
        const [episodes, more] = await all("/episodes", { since, stream }, "episodes", MOST_EPISODES, signal);
        const [start, end] = episodes.length && !since ? span(episodes) : boundsOf({ since });
        drawTimeline(host, episodes, start, end, { more, named: stream === "", table: false });
      }
    } catch (problem) {
      if (isAbort(problem)) return;
      host.replaceChildren(note(messageOf(problem), "", "bad"));
    }
    if (!signal.aborted) timer = setTimeout(load, EVERY_MS);
  };
  load();
  return () => {
    asking.abort();
    clearTimeout(timer);
  };
}
