// What is kept and for how long, and deleting it.
import { ask, query } from "./api.js";
import { find, make, say } from "./dom.js";
import { PeriodChoice } from "./filters.js";
import { count, exact } from "./format.js";
import { has, server } from "./server.js";

const dialog = find("#confirm");
const PERIODS = [
  ["", "all time"],
  ["15m", "last 15 min"],
  ["1h", "last hour"],
  ["24h", "last 24 h"],
  ["7d", "last 7 days"],
];

addEventListener("hashchange", () => dialog.close()); // as by the browser's Back

/** Ask for a yes; false for no, Escape, and whatever else closes the question. */
export function confirmed(words) {
  say(find("p", dialog), words);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function wordsOf({ stream, label, since, until }) {
  const period = PERIODS.find(([value]) => value && value === since)?.[1];
  const of = [
    stream && `of the stream ${stream}`,
    label && `with the label ${label}`,
    period ? `of the ${period}` : since && `since ${exact(1000 * Date.parse(since))}`,
    until && `until ${exact(1000 * Date.parse(until))}`,
  ];
  const which = of.filter(Boolean).join(", ");
  const events = which ? `the events ${which}` : "ALL events of ALL streams";
  return `Delete ${events}, with their crops, episodes and alerts? ${framesWords()} This cannot be undone.`;
}

async function erase(filters, said) {
  if (!(await confirmed(wordsOf(filters)))) return;
  const everything = Object.values(filters).some(Boolean) ? "" : "true";
  say(said, "Deleting…");
  try {
    const address = "/events" + query({ ...filters, everything });
    const { events, episodes, alerts } = await ask(address, { method: "DELETE", patience: 120000 });
    const parts = [count(events, "event"), count(episodes, "episode"), count(alerts, "alert")];
    say(said, `Deleted: ${parts.join(", ")}.`);
    dispatchEvent(new Event("erased"));
  } catch (problem) {
    say(said, `Not deleted: ${problem.message}`);
  }
}

/** The form in the footer. */
export function buildErase(host) {
  const stream = make("input", { list: "stream-names", autocomplete: "off", placeholder: "all" });
  const label = make("input", { list: "label-names", autocomplete: "off", placeholder: "all" });
  const period = new PeriodChoice(() => {}, PERIODS);
  const said = make("p", { role: "status" });
  const form = make("form", { class: "filters", "aria-label": "Delete events" });
  form.append(
    make("label", {}, make("span", {}, "Stream"), stream),
    make("label", {}, make("span", {}, "Label"), label),
    ...period.elements,
    make("button", { class: "danger" }, "Delete…"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (period.isUndecided) say(said, "Nothing was deleted: choose from when, until when, or both.");
    else erase({ stream: stream.value.trim(), label: label.value.trim(), ...period.value }, said);
  });
  host.append(form, said);
}

function timeOf(days) {
  return days >= 1 ? count(Math.round(10 * days) / 10, "day") : count(Math.round(240 * days) / 10, "hour");
}

/** What deleting does not reach. */
export function framesWords() {
  const days = server.about.frames_days ?? null;
  const time = days === null ? "as long as its topic does" : `for ${timeOf(days)}`;
  return `Kafka keeps whole frames ${time}, whatever is deleted here.`;
}

/** What is kept, for how long, and what leaves the server. */
export function privacyWords() {
  const { retention_days: days, webhook, output } = server.about;
  if (days === undefined) return "";
  const kept = "Events, with a crop, scores and place of what was seen, and the episodes and alerts made of them";
  const asked = has("/predict") ? " Pictures and webcam frames that are only asked about are not kept." : "";
  const sent = [webhook && "alerts to the webhook", output && "results to the output that was set"].filter(Boolean);
  const leaves = sent.length ? `Framewatch sends ${sent.join(" and ")}, and nothing else.` : "Framewatch sends none of it on.";
  return `${kept}, are kept for ${timeOf(days)}, then deleted. ${framesWords()}${asked} ${leaves}`;
}
