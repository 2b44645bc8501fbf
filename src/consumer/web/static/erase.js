// What is kept and for how long, and deleting it.
import { ask, query } from "./api.js";
import { find, make, say } from "./dom.js";
import { PeriodChoice } from "./filters.js";
import { count } from "./format.js";
import { has, server } from "./server.js";

const dialog = find("#confirm");
const PERIODS = [
  ["", "all time"],
  ["15m", "last 15 min"],
  ["1h", "last hour"],
  ["24h", "last 24 h"],
  ["7d", "last 7 days"],
];

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
  const of = [
    stream && `of the stream ${stream}`,
    label && `with the label ${label}`,
    since && `since ${since}`,
    until && `until ${until}`,
  ];
  const which = of.filter(Boolean).join(", ");
  const events = which ? `the events ${which}` : "ALL events of ALL streams";
  return `Delete ${events}, with their crops, episodes and alerts? This cannot be undone.`;
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
    erase({ stream: stream.value.trim(), label: label.value.trim(), ...period.value }, said);
  });
  host.append(form, said);
}

/** One line that says what is kept. */
export function privacyWords() {
  const days = server.about.retention_days;
  if (days === undefined) return "";
  const time = days >= 1 ? count(Math.round(10 * days) / 10, "day") : count(Math.round(240 * days) / 10, "hour");
  const kept = "Events, with a crop, scores and place of what was seen, and the episodes and alerts made of them";
  const asked = has("/predict") ? " Pictures and webcam frames that are only asked about are not kept." : "";
  return `${kept}, are kept for ${time}, then deleted.${asked} Nothing leaves this server.`;
}
