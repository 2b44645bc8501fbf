// What the server says of itself, looked at once a second while somebody can see the page.
import { ask } from "./api.js";

const EVERY_MS = 1000;
const ANSWER_MS = 3000;
const ABOUT_EVERY = 10; // looks

/** `awaySince` is a Date while it does not answer; `about` and `rooms` are known from the first answer on. */
export const server = { health: null, streams: [], about: {}, rooms: new Set(), awaySince: null, back: 0 };

let meeting;
/** Kept once the server has answered for the first time: only then it is known what it has. */
export const met = new Promise((resolve) => (meeting = resolve));

const listeners = new Set();
let timer = 0;
let asked = 0;

/** Call `listener` with the server after each look; returns what ends that. */
export function watch(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether the server has this address (as in its OpenAPI document). */
export function has(room) {
  return server.rooms.has(room);
}

async function meet() {
  // Which rooms there are is looked up, so that none is asked for that is not there.
  const { paths } = await ask("/openapi.json").catch((problem) => {
    if (problem.status === 0) throw problem;
    return { paths: {} };
  });
  server.rooms = new Set(Object.keys(paths));
  await about();
  document.documentElement.dataset.rooms = [...server.rooms].join(" ");
}

async function about() {
  if (has("/about")) server.about = await ask("/about");
}

async function look() {
  try {
    // One after the other: browsers open six connections to a server, and the pictures need theirs.
    const health = await ask("/health", { patience: ANSWER_MS }).catch(unhealthy);
    const { streams } = await ask("/streams", { patience: ANSWER_MS });
    let back = server.back;
    if (server.awaySince !== null || server.health === null) {
      await meet();
      back += server.awaySince === null ? 0 : 1;
    }
    // The worker knows for how long frames are kept once Kafka has answered it.
    if (server.about.frames_days === null && health.broker === "up" && ++asked % ABOUT_EVERY === 0) await about();
    Object.assign(server, { health, streams, awaySince: null, back });
    meeting();
  } catch (error) {
    console.debug(error.message);
    server.awaySince ??= new Date();
  }
  for (const listener of [...listeners]) listener(server);
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, EVERY_MS);
}

/** The health that comes with status 503: an answer like any other. */
async function unhealthy(problem) {
  if (problem.status !== 503) throw problem;
  return problem.body;
}

export function start() {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) look();
  });
  return look();
}
