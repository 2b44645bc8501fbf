// @ts-check
// The form in the footer that deletes events.
import { ask, messageOf, query } from "../lib/api.js";
import { make, say } from "../lib/dom.js";
import { count, exact } from "../lib/format.js";
import { confirmed } from "./confirm.js";
import { nameInput } from "./filters.js";
import { labelled, PeriodChoice, RECENT } from "./period.js";
import { framesWords } from "./retention.js";

/** @typedef {import("../lib/types.js").Filters} Filters */

const TIMEOUT_MS = 120000;

/** @param {Filters} filters */
function wordsOf({ stream, label, since, until }) {
  const period = RECENT.find(([value]) => value === since)?.[1];
  const of = [
    stream && `from the stream ${stream}`,
    label && `with the label ${label}`,
    period ? `from the ${period}` : since && `since ${exact(1000 * Date.parse(since))}`,
    until && `until ${exact(1000 * Date.parse(until))}`,
  ];
  const which = of.filter(Boolean).join(", ");
  const events = which ? `events ${which}` : "ALL events from ALL streams";
  return `Delete ${events}, with their crops, episodes and alerts? ${framesWords()} This cannot be undone.`;
}

/**
 * @param {Filters} filters
 * @param {HTMLElement} said
 */
async function erase(filters, said) {
  if (!(await confirmed(wordsOf(filters)))) return;
  const everything = Object.values(filters).some(Boolean) ? "" : "true";
  say(said, "Deleting…");
  try {
    const address = "/events" + query({ ...filters, everything });
    const { events, episodes, alerts } = await ask(address, { method: "DELETE", timeoutMs: TIMEOUT_MS });
    const parts = [count(events, "event"), count(episodes, "episode"), count(alerts, "alert")];
    say(said, `Deleted: ${parts.join(", ")}.`);
    dispatchEvent(new Event("erased"));
  } catch (problem) {
    say(said, `Not deleted: ${messageOf(problem)}`);
  }
}

/** @param {HTMLElement} host */
export function mountErase(host) {
  const stream = nameInput("stream");
  const label = nameInput("label");
  const period = new PeriodChoice(() => {}, [["", "all time"], ...RECENT]);
  const said = make("p", { role: "status" });
  const form = make("form", { class: "filters", "aria-label": "Delete events" });
  form.append(labelled("Stream", stream), labelled("Label", label), ...period.elements);
  form.append(make("button", { class: "danger" }, "Delete…"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (period.isUndecided) say(said, "Nothing deleted. Choose a start, an end, or both.");
    else erase({ stream: stream.value.trim(), label: label.value.trim(), ...period.value }, said);
  });
  host.append(form, said);
}
