// @ts-check
// How often each label was seen, and for what share of the time on each stream.
import { chip, shadeOf } from "../lib/colours.js";
import { bar, make, note } from "../lib/dom.js";
import { count, duration, percent } from "../lib/format.js";

/** @typedef {{ stream: string, label: string, seconds: number, share: number }} Share */

/**
 * @param {string} caption
 * @param {string[]} names
 * @param {(Node | string)[][]} rows
 */
function table(caption, names, rows) {
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  const parts = [make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body)];
  return make("table", { class: "shares" }, ...parts);
}

/** @param {Record<string, number>} events */
function eventsTable(events) {
  const sorted = Object.entries(events).sort(([, a], [, b]) => b - a);
  const total = sorted.reduce((sum, [, number]) => sum + number, 0);
  const rows = sorted.map(([label, number]) => [
    chip(label),
    bar(number / total, `${label}, share of events`, `shade-${shadeOf(label)}`),
    percent(number / total),
    number.toLocaleString(),
  ]);
  return table(`${count(total, "event")} by label`, ["Label", "Share", "", "Events"], rows);
}

/**
 * @param {string} stream
 * @param {Share[]} shares
 */
function sharesTable(stream, shares) {
  const rows = [...shares]
    .sort((a, b) => b.seconds - a.seconds)
    .map(({ label, seconds, share }) => [
      chip(label),
      bar(share, `${label}, share of the time`, `shade-${shadeOf(label)}`),
      percent(share),
      duration(seconds),
    ]);
  return table(`Time on ${stream}`, ["Label", "Share", "", "Duration"], rows);
}

/**
 * Show an answer of `/stats`.
 * @param {Element} host
 * @param {{ events: Record<string, number>, shares: Share[] }} stats
 */
export function showShares(host, { events, shares }) {
  if (!Object.keys(events).length && !shares.length) {
    host.replaceChildren(note("No events in this period. Choose a longer one."));
    return;
  }
  /** @type {Map<string, Share[]>} */
  const streams = new Map();
  for (const share of shares) streams.set(share.stream, [...(streams.get(share.stream) ?? []), share]);
  host.replaceChildren(eventsTable(events), ...[...streams].map(([stream, own]) => sharesTable(stream, own)));
}
