// @ts-check
// What the server says of itself, asked once a second while somebody can see the page.
import { ask, messageOf, Problem } from "./api.js";

const EVERY_MS = 1000;
const TIMEOUT_MS = 3000;
const ABOUT_EVERY = 10; // polls

/**
 * @typedef {object} Server
 * @property {import("./types.js").Health | null} health  null before the first answer
 * @property {import("./types.js").StreamStatus[]} streams
 * @property {import("./types.js").About} about
 * @property {Set<string>} paths  of its API
 * @property {Date | null} awaySince  a date while it does not answer
 * @property {number} back  how often it has come back
 */

/** @type {Server} */
export const server = { health: null, streams: [], about: {}, paths: new Set(), awaySince: null, back: 0 };

/** @type {(value?: unknown) => void} */
let resolveMet;
/** Resolved once the server has answered for the first time: only then it is known what it offers. */
export const met = new Promise((resolve) => (resolveMet = resolve));

/** @type {Set<(server: Server) => void>} */
const listeners = new Set();
let timer = 0;
let polls = 0;

/**
 * Call `listener` with the server after each poll; returns what ends that.
 * @param {(server: Server) => void} listener
 * @returns {() => void}
 */
export function watch(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Whether the server has this path (as in its OpenAPI document).
 * @param {string} path
 */
export function has(path) {
  return server.paths.has(path);
}

async function meet() {
  // What it offers is looked up, so that nothing is asked for that is not there.
  const { paths } = await ask("/openapi.json").catch((problem) => {
    if (problem.status === 0) throw problem;
    return { paths: {} };
  });
  server.paths = new Set(Object.keys(paths));
  await about();
  document.documentElement.dataset.paths = [...server.paths].join(" ");
}

async function about() {
  if (has("/about")) server.about = await ask("/about");
}

async function poll() {
  try {
    // One after the other: browsers open six connections to a server, and the pictures need theirs.
    const health = await ask("/health", { timeoutMs: TIMEOUT_MS }).catch(unhealthy);
    const { streams } = await ask("/streams", { timeoutMs: TIMEOUT_MS });
    let back = server.back;
    if (server.awaySince !== null || server.health === null) {
      await meet();
      back += server.awaySince === null ? 0 : 1;
    }
    // The worker knows for how long frames are kept once Kafka has answered it.
    if (server.about.frame_retention_days === null && health.broker === "up" && ++polls % ABOUT_EVERY === 0) await about();
    Object.assign(server, { health, streams, awaySince: null, back });
    resolveMet();
  } catch (error) {
    console.debug(messageOf(error));
    server.awaySince ??= new Date();
  }
  for (const listener of [...listeners]) listener(server);
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(poll, EVERY_MS);
}

/**
 * The health that comes with status 503: an answer like any other.
 * @param {unknown} problem
 */
async function unhealthy(problem) {
  if (!(problem instanceof Problem) || problem.status !== 503) throw problem;
  return problem.body;
}

/** Ask now, and once a second while the page can be seen. */
export function start() {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) poll();
  });
  return poll();
}
