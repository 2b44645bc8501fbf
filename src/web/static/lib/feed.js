// @ts-check
// Events as they happen: one connection for the whole page, closed while nobody can see it.
import { has, watch } from "./server.js";

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30000;

/**
 * @typedef {object} Follower
 * @property {(events: import("./types.js").DetectedEvent[], leftOut: number) => void} [events]
 * @property {(alert: import("./types.js").Alert) => void} [alert]
 * @property {() => void} [resumed]  the feed has begun, or begun again: what was stored before may not have been told
 */

/** @type {Set<Follower>} */
const followers = new Set();
/** @type {EventSource | null} */
let source = null;
let timer = 0;
let retryMs = FIRST_RETRY_MS;

/**
 * Follow the feed; returns what ends that.
 * @param {Follower} follower
 * @returns {() => void}
 */
export function follow(follower) {
  followers.add(follower);
  return () => followers.delete(follower);
}

function isOpen() {
  return source?.readyState === EventSource.OPEN;
}

function close() {
  clearTimeout(timer);
  timer = 0;
  source?.close();
  source = null;
}

/** @param {(follower: Follower) => void} tell */
function each(tell) {
  for (const follower of [...followers]) tell(follower);
}

function open() {
  close();
  source = new EventSource("/events/live");
  source.addEventListener("open", () => {
    retryMs = FIRST_RETRY_MS;
    each((follower) => follower.resumed?.());
  });
  source.addEventListener("events", ({ data }) => {
    const { events, left_out: leftOut } = JSON.parse(data);
    each((follower) => follower.events?.(events, leftOut ?? 0));
  });
  source.addEventListener("alert", ({ data }) => each((follower) => follower.alert?.(JSON.parse(data))));
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return; // the browser itself tries again
    close();
    timer = setTimeout(open, retryMs * (0.75 + Math.random() / 2));
    retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
  });
}

/** Keep the feed open while the server has one and the page can be seen. */
export function start() {
  let back = 0;
  watch((server) => {
    if (!has("/events/live") || document.hidden) return;
    const returned = server.back > back;
    back = server.back;
    if ((source === null && timer === 0) || (returned && !isOpen())) open();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
  });
  addEventListener("pagehide", close);
}
