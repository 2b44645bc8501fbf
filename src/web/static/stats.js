// How often each label was seen, and for what share of the time on each stream.
import { chip, shadeOf } from "./colours.js";
import { bar, make, note } from "./dom.js";
import { count, duration, percent } from "./format.js";

function table(caption, names, rows) {
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  return make(
    "table",
    { class: "shares" },
    make("caption", {}, caption),
    make("thead", {}, head),
    make("tbody", {}, ...body),
  );
}

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

function sharesTable(stream, shares) {
  const rows = [...shares]
    .sort((a, b) => b.seconds - a.seconds)
    .map(({ label, seconds, share }) => [
      chip(label),
      bar(share, `${label}, share of the time`, `shade-${shadeOf(label)}`),
      percent(share),
      duration(seconds),
    ]);
  return table(`Time on ${stream}`, ["Label", "Share", "", "Seen for"], rows);
}

/** Show an answer of `/stats`. */
export function showStats(host, { events, shares }) {
  if (!Object.keys(events).length && !shares.length) {
    host.replaceChildren(note("No events in this time: choose a longer one."));
    return;
  }
  const streams = new Map();
  for (const share of shares) streams.set(share.stream, [...(streams.get(share.stream) ?? []), share]);
  host.replaceChildren(eventsTable(events), ...[...streams].map(([stream, own]) => sharesTable(stream, own)));
}
