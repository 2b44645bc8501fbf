// @ts-check
// When each label was seen: one band for each label of a stream, of episodes and not frames.
import { chip, colourOf } from "../lib/colours.js";
import { draw, make, note } from "../lib/dom.js";
import { clock, duration, exact, iso } from "../lib/format.js";
import { linkTo } from "../lib/route.js";

/** @typedef {import("../lib/types.js").Episode} Episode */

const SMALLEST = 0.002; // of the width, so that a short episode can be seen
const MERGED = 0.001; // of the width: episodes nearer than that are drawn as one
const LISTED = 100;
const TICK_PX = 140;
const STEPS_S = [60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400];
const DAY_US = 86400e6;

/**
 * The episodes of each label of a stream.
 * @param {Episode[]} episodes
 */
function bandsOf(episodes) {
  /** @type {Map<string, Episode[]>} */
  const bands = new Map();
  for (const episode of episodes) {
    const key = JSON.stringify([episode.stream, episode.label]);
    bands.set(key, [...(bands.get(key) ?? []), episode]);
  }
  return [...bands].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, band]) => band);
}

/**
 * Episodes that would be drawn on one another, as one: a week has thousands of them, and a screen a thousand dots.
 * @param {Episode[]} episodes
 * @param {number} span
 */
function merged(episodes, span) {
  /** @type {{ start: number, end: number, seen: number, count: number }[]} */
  const result = [];
  for (const { start_us: start, end_us: end } of [...episodes].sort((a, b) => a.start_us - b.start_us)) {
    const last = result.at(-1);
    if (last && start - last.end < MERGED * span)
      Object.assign(last, { end: Math.max(last.end, end), seen: last.seen + end - start, count: last.count + 1 });
    else result.push({ start, end, seen: end - start, count: 1 });
  }
  return result;
}

/**
 * @param {{ stream: string, label: string }} which
 * @param {number} start
 * @param {number} end
 */
function linkOf({ stream, label }, start, end) {
  return linkTo("events", { stream, label, since: iso(start), until: iso(end + 1000) });
}

/**
 * @param {Episode[]} episodes
 * @param {number} since
 * @param {number} until
 */
function bandOf(episodes, since, until) {
  const { stream, label } = episodes[0];
  const span = until - since;
  const svg = draw("svg", { class: "band", "aria-hidden": "true", height: 16 });
  for (const { start, end, seen, count } of merged(episodes, span)) {
    const left = Math.max(0, (start - since) / span);
    const width = Math.min(1 - left, Math.max(SMALLEST, (Math.min(end, until) - Math.max(start, since)) / span));
    const words = `${label} on ${stream}: ${exact(start)}, ${duration(seen / 1e6)}`;
    const title = draw("title", {}, count > 1 ? `${words}, in ${count} episodes` : words);
    const size = { x: `${100 * left}%`, y: 1, width: `${100 * width}%`, height: 14, rx: 2 };
    const rect = draw("rect", { ...size, fill: colourOf(label) }, title);
    svg.append(draw("a", { href: linkOf(episodes[0], start, end), tabindex: -1 }, rect));
  }
  return make("div", { class: "line" }, make("span", { class: "who" }, chip(label)), svg);
}

/**
 * @param {number} since
 * @param {number} until
 * @param {number} ticks  at most
 */
function scale(since, until, ticks) {
  const span = until - since;
  const step = 1e6 * (STEPS_S.find((seconds) => span / 1e6 / seconds <= ticks) ?? STEPS_S[STEPS_S.length - 1]);
  const offset = 60e6 * new Date(since / 1000).getTimezoneOffset();
  const svg = draw("svg", { class: "band scale", "aria-hidden": "true", height: 20 });
  for (let at = Math.ceil((since - offset) / step) * step + offset; at < until; at += step) {
    const x = `${(100 * (at - since)) / span}%`;
    const words =
      step >= DAY_US
        ? new Date(at / 1000).toLocaleDateString(undefined, { month: "short", day: "numeric" })
        : clock(at, false);
    const late = at > until - 0.12 * span;
    const text = draw("text", { x, y: 17, dx: late ? -2 : 2, "text-anchor": late ? "end" : "start" }, words);
    svg.append(draw("line", { x1: x, x2: x, y1: 0, y2: 5 }), text);
  }
  return make("div", { class: "line" }, make("span", { class: "who" }), svg);
}

/**
 * The longest episodes as a table: what the drawing says, for those who do not see it or go by the keyboard.
 * @param {Episode[]} episodes
 */
function tableOf(episodes) {
  const longest = [...episodes].sort((a, b) => b.seconds - a.seconds).slice(0, LISTED);
  const names = ["Label", "Stream", "Start", "Duration"].map((name) => make("th", { scope: "col" }, name));
  const body = make("tbody");
  for (const episode of longest) {
    const link = make("a", { href: linkOf(episode, episode.start_us, episode.end_us) }, exact(episode.start_us));
    const cells = [chip(episode.label), episode.stream, link, duration(episode.seconds)];
    body.append(make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  }
  const caption = make("caption", {}, longest.length < episodes.length ? `Longest ${LISTED} episodes` : "Episodes");
  const table = make("table", {}, caption, make("thead", {}, make("tr", {}, ...names)), body);
  return make("details", {}, make("summary", {}, "Show as table"), make("div", { class: "wide" }, table));
}

/**
 * Draw these episodes between two moments (microseconds); `more` says that older ones are not among them.
 * @param {Element} host
 * @param {Episode[]} episodes
 * @param {number} since
 * @param {number} until
 * @param {{ more?: boolean, named?: boolean, table?: boolean }} [options]
 */
export function drawTimeline(host, episodes, since, until, { more = false, named = true, table = true } = {}) {
  const wasOpen = host.querySelector("details")?.open;
  if (!episodes.length) {
    host.replaceChildren(note("Nothing seen in this period."));
    return;
  }
  const drawing = make("div", { class: "timeline" });
  let stream = null;
  for (const band of bandsOf(episodes)) {
    if (named && band[0].stream !== stream) drawing.append(make("h4", {}, band[0].stream));
    stream = band[0].stream;
    drawing.append(bandOf(band, since, until));
  }
  drawing.append(scale(since, until, Math.max(2, Math.floor(host.clientWidth / TICK_PX))));
  host.replaceChildren(drawing);
  if (more) host.append(note(`Showing the newest ${episodes.length} episodes. To see all, choose a shorter period.`));
  if (table) {
    const longest = tableOf(episodes);
    longest.open = Boolean(wasOpen);
    host.append(longest);
  }
}
