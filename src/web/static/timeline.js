// When each label was seen: one band for each label of a stream, stretches (episodes) and not frames.
import { colourOf, chip } from "./colours.js";
import { draw, make, note } from "./dom.js";
import { clock, duration, exact, iso } from "./format.js";
import { linkTo } from "./filters.js";

const SMALLEST = 0.002; // of the width, so that a short stretch can be seen
const MERGED = 0.001; // of the width: stretches nearer than that are drawn as one
const LISTED = 100;
const TICK_PX = 140;
const STEPS_S = [60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400];

function bandsOf(episodes) {
  const bands = new Map();
  for (const episode of episodes) {
    const key = JSON.stringify([episode.stream, episode.label]);
    if (!bands.has(key)) bands.set(key, []);
    bands.get(key).push(episode);
  }
  return [...bands].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, stretches]) => stretches);
}

/** Stretches that would be drawn on one another, as one: a week has thousands of them, and a screen a thousand dots. */
function merged(stretches, span) {
  const result = [];
  for (const { start_us: start, end_us: end } of [...stretches].sort((a, b) => a.start_us - b.start_us)) {
    const last = result.at(-1);
    if (last && start - last.end < MERGED * span)
      Object.assign(last, { end: Math.max(last.end, end), seen: last.seen + end - start, count: last.count + 1 });
    else result.push({ start, end, seen: end - start, count: 1 });
  }
  return result;
}

function linkOf({ stream, label }, start, end) {
  return linkTo("events", { stream, label, since: iso(start), until: iso(end + 1000) });
}

function bandOf(stretches, since, until) {
  const { stream, label } = stretches[0];
  const span = until - since;
  const svg = draw("svg", { class: "band", "aria-hidden": "true", height: 16 });
  for (const { start, end, seen, count } of merged(stretches, span)) {
    const left = Math.max(0, (start - since) / span);
    const width = Math.min(1 - left, Math.max(SMALLEST, (Math.min(end, until) - Math.max(start, since)) / span));
    const words = `${label} on ${stream}: ${exact(start)}, ${duration(seen / 1e6)}`;
    const title = draw("title", {}, count > 1 ? `${words}, in ${count} stretches` : words);
    const rect = draw("rect", {
      x: `${100 * left}%`,
      y: 1,
      width: `${100 * width}%`,
      height: 14,
      rx: 2,
      fill: colourOf(label),
    });
    rect.append(title);
    svg.append(draw("a", { href: linkOf(stretches[0], start, end), tabindex: -1 }, rect));
  }
  return make("div", { class: "line" }, make("span", { class: "who" }, chip(label)), svg);
}

function scale(since, until, ticks) {
  const span = until - since;
  const step = 1e6 * (STEPS_S.find((seconds) => span / 1e6 / seconds <= ticks) ?? STEPS_S.at(-1));
  const offset = 60e6 * new Date(since / 1000).getTimezoneOffset();
  const svg = draw("svg", { class: "band scale", "aria-hidden": "true", height: 20 });
  for (let at = Math.ceil((since - offset) / step) * step + offset; at < until; at += step) {
    const x = `${(100 * (at - since)) / span}%`;
    const day = step >= 86400e6;
    const words = day
      ? new Date(at / 1000).toLocaleDateString(undefined, { month: "short", day: "numeric" })
      : clock(at, false);
    const late = at > until - 0.12 * span;
    const text = draw("text", { x, y: 17, dx: late ? -2 : 2, "text-anchor": late ? "end" : "start" }, words);
    svg.append(draw("line", { x1: x, x2: x, y1: 0, y2: 5 }), text);
  }
  return make("div", { class: "line" }, make("span", { class: "who" }), svg);
}

/** The longest stretches as a table: what the drawing says, for those who do not see it or go by the keyboard. */
function tableOf(episodes) {
  const longest = [...episodes].sort((a, b) => b.seconds - a.seconds).slice(0, LISTED);
  const names = make("tr", {}, ...["Label", "Stream", "From", "For"].map((name) => make("th", { scope: "col" }, name)));
  const body = make("tbody");
  for (const episode of longest) {
    const link = make("a", { href: linkOf(episode, episode.start_us, episode.end_us) }, exact(episode.start_us));
    const cells = [chip(episode.label), episode.stream, link, duration(episode.seconds)];
    body.append(make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  }
  const table = make("table", {}, make("thead", {}, names), body);
  return make(
    "details",
    {},
    make("summary", {}, `The longest ${longest.length} as a table`),
    make("div", { class: "wide" }, table),
  );
}

/** Draw these episodes between two moments (microseconds); `more` says that older ones are not among them. */
export function drawTimeline(host, episodes, since, until, { more = false, named = true, table = true } = {}) {
  const wasOpen = host.querySelector("details")?.open;
  if (!episodes.length) {
    host.replaceChildren(note("Nothing was seen in this time."));
    return;
  }
  const drawing = make("div", { class: "timeline" });
  let stream = null;
  for (const stretches of bandsOf(episodes)) {
    if (named && stretches[0].stream !== stream) drawing.append(make("h4", {}, stretches[0].stream));
    stream = stretches[0].stream;
    drawing.append(bandOf(stretches, since, until));
  }
  drawing.append(scale(since, until, Math.max(2, Math.floor(host.clientWidth / TICK_PX))));
  host.replaceChildren(drawing);
  if (more) host.append(note(`Only the newest ${episodes.length} stretches are drawn: choose a shorter time.`));
  if (table) {
    const longest = tableOf(episodes);
    longest.open = Boolean(wasOpen);
    host.append(longest);
  }
}
