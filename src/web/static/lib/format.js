// @ts-check
// Numbers and times as people read them.
import { make, say } from "./dom.js";

/** @param {number} share  0 to 1 */
export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

/**
 * Seconds as a length of time: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 3 days.
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / 1440)} days`;
}

/**
 * Milliseconds of a delay: 45 ms, 1.2 s.
 * @param {number} ms
 */
export function delay(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : duration(ms / 1000);
}

/** @param {number} us  microseconds since 1970 UTC, as in all that follows */
export function ago(us) {
  const seconds = Math.max(0, Math.floor(Date.now() / 1000 - us / 1e6));
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} days ago`;
}

/**
 * The moment itself, in local time, with milliseconds.
 * @param {number} us
 */
export function exact(us) {
  const date = new Date(us / 1000);
  const day = date.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
  return `${day}, ${clock(us)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/**
 * The time of day, local.
 * @param {number} us
 */
export function clock(us, seconds = true) {
  /** @type {Intl.DateTimeFormatOptions} */
  const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (seconds) parts.second = "2-digit";
  return new Date(us / 1000).toLocaleTimeString(undefined, parts);
}

/**
 * ISO 8601 in UTC, to the microsecond.
 * @param {number} us
 */
export function iso(us) {
  const micros = String(Math.floor(us) % 1000).padStart(3, "0");
  return new Date(Math.floor(us / 1000)).toISOString().replace("Z", `${micros}Z`);
}

/**
 * A number with its noun: 1 event, 2 events.
 * @param {number} number
 * @param {string} one
 */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

/**
 * A moment as time ago, kept up to date by `refreshTimes`, with the exact one on hover.
 * @param {number} us
 */
export function moment(us) {
  return make("time", { datetime: new Date(us / 1000).toISOString(), title: exact(us), "data-us": us }, ago(us));
}

export function refreshTimes() {
  /** @type {NodeListOf<HTMLTimeElement>} */
  const times = document.querySelectorAll("time[data-us]");
  for (const element of times) say(element, ago(Number(element.dataset.us)));
}
