// One event as a line of the log.
import { chip, shadeOf } from "./colours.js";
import { bar, make } from "./dom.js";
import { moment } from "./format.js";

/** A line, which opens the event by a click or Enter. */
export function rowOf(event, open) {
  const crop = make("img", { src: event.crop_url, alt: "", width: 48, height: 48, loading: "lazy", decoding: "async" });
  crop.addEventListener("error", () => crop.classList.add("gone"), { once: true });
  const confidence = event.confidence.toFixed(2);
  const button = make(
    "button",
    { type: "button", class: "row", click: () => open(event), "aria-haspopup": "dialog" },
    make("span", { class: "crop" }, crop),
    chip(event.label),
    make(
      "span",
      { class: "confidence" },
      bar(event.confidence, "confidence", `shade-${shadeOf(event.label)}`),
      confidence,
    ),
    make("span", { class: "stream", title: event.stream }, event.stream),
    make("span", { class: "frame", title: event.file ?? `frame ${event.frame}` }, event.file ?? `#${event.frame}`),
    moment(event.time_us),
  );
  return make("li", { "data-us": event.time_us }, button);
}
