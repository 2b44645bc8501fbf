// @ts-check
// One event as a row of the log.
import { chip, shadeOf } from "../lib/colours.js";
import { bar, make } from "../lib/dom.js";
import { moment } from "../lib/format.js";

/** @typedef {import("../lib/types.js").DetectedEvent} DetectedEvent */

/**
 * A row, which opens the event by a click or Enter.
 * @param {DetectedEvent} event
 * @param {(event: DetectedEvent) => void} open
 */
export function rowOf(event, open) {
  const crop = make("img", { src: event.crop_url, alt: "", width: 48, height: 48, loading: "lazy", decoding: "async" });
  crop.addEventListener("error", () => crop.classList.add("gone"), { once: true });
  const meter = bar(event.confidence, "Confidence", `shade-${shadeOf(event.label)}`);
  const button = make(
    "button",
    { type: "button", class: "row", click: () => open(event), "aria-haspopup": "dialog" },
    make("span", { class: "crop" }, crop),
    chip(event.label),
    make("span", { class: "confidence" }, meter, event.confidence.toFixed(2)),
    make("span", { class: "stream", title: event.stream }, event.stream),
    make("span", { class: "frame", title: event.file ?? `frame ${event.frame}` }, event.file ?? `#${event.frame}`),
    moment(event.time_us),
  );
  return make("li", { "data-us": event.time_us }, button);
}
