// Numbers and times as people read them.
import { make, say } from "./dom.js";

export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

/** Seconds as a length of time: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 3 days. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / 1440)} days`;
}

/** Milliseconds of a delay: 45 ms, 1.2 s. */
export function delay(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : duration(ms / 1000);
}

export function ago(us) {
  const seconds = Math.max(0, Math.floor(Date.now() / 1000 - us / 1e6));
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} days ago`;
}

/** The moment itself, in the place's own time, with milliseconds. */
export function exact(us) {
  const date = new Date(us / 1000);
  const day = date.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
  return `${day}, ${clock(us)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function clock(us, seconds = true) {
  const parts = { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }), hourCycle: "h23" };
  return new Date(us / 1000).toLocaleTimeString(undefined, parts);
}

export function iso(us) {
  return new Date(us / 1000).toISOString();
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

/** A moment as time ago, kept up to date by `refreshTimes`, with the exact one on hover. */
export function moment(us) {
  return make("time", { datetime: iso(us), title: exact(us), "data-us": us }, ago(us));
}

export function refreshTimes() {
  for (const element of document.querySelectorAll("time[data-us]")) say(element, ago(Number(element.dataset.us)));
}
