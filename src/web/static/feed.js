// Events as they happen: one connection for the whole page, closed while nobody can see it.
import { has, watch } from "./server.js";

const FIRST_MS = 1000;
const LONGEST_MS = 30000;

const followers = new Set();
let source = null;
let timer = 0;
let wait = FIRST_MS;
let opened = 0;

/**
 * Be told what comes: `events(list, leftOut)`, `alert(alert)`, and `again()` after a gap, when something was missed.
 * Returns what ends that.
 */
export function follow(follower) {
  followers.add(follower);
  return () => followers.delete(follower);
}

/** Whether events come in now. */
export function live() {
  return source?.readyState === EventSource.OPEN;
}

function tell(name, ...values) {
  for (const follower of [...followers]) follower[name]?.(...values);
}

function close() {
  clearTimeout(timer);
  timer = 0;
  source?.close();
  source = null;
}

function open() {
  close();
  source = new EventSource("/events/live");
  source.addEventListener("open", () => {
    wait = FIRST_MS;
    opened += 1;
    if (opened > 1) tell("again");
  });
  source.addEventListener("events", ({ data }) => {
    const { events, left_out: leftOut } = JSON.parse(data);
    tell("events", events, leftOut ?? 0);
  });
  source.addEventListener("alert", ({ data }) => tell("alert", JSON.parse(data)));
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return; // the browser itself tries again
    close();
    timer = setTimeout(open, wait * (0.75 + Math.random() / 2));
    wait = Math.min(2 * wait, LONGEST_MS);
  });
}

/** Open where there is such a room, and go by what the page and the server do. */
export function start() {
  let back = 0;
  watch((server) => {
    if (!has("/events/live") || document.hidden) return;
    const returned = server.back > back;
    back = server.back;
    if ((source === null && timer === 0) || (returned && !live())) open();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
  });
  addEventListener("pagehide", close);
}
