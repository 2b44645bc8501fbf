// One event, opened: its crop, scores and facts, and the whole frame read back from Kafka while that is kept.
import { bars } from "./bars.js";
import { chip } from "./colours.js";
import { find, make } from "./dom.js";
import { ago, exact, percent } from "./format.js";
import { detectionOf, drawOver, overlay } from "./overlay.js";

const dialog = find("#event");
let neighbour = () => null;
let shown = null;
let asking = null;
let address = null;

function facts(event) {
  const list = make("dl", { class: "facts" });
  const streamLink = `#/stream/${encodeURIComponent(event.stream)}`;
  const rows = {
    Stream: make("a", { href: streamLink, click: () => dialog.close() }, event.stream),
    Time: `${exact(event.time_us)} (${ago(event.time_us)})`,
    Frame: `#${event.frame} of run ${event.run}`,
    ...(event.file ? { File: event.file } : {}),
    Model: event.model,
    Box: event.boundingbox ? event.boundingbox.join(", ") : "the whole frame",
    Kafka: `partition ${event.partition}, offset ${event.offset}`,
  };
  for (const [name, value] of Object.entries(rows)) list.append(make("dt", {}, name), make("dd", {}, value));
  return list;
}

/** The whole frame with the box drawn over it, or why there is none. */
function frameOf(event) {
  const image = make("img", { alt: `Whole frame ${event.frame} of ${event.stream}`, hidden: true });
  const over = overlay();
  const words = make("figcaption", {}, "Reading the frame from Kafka…");
  const figure = make("figure", { class: "whole" }, image, over, words);
  image.addEventListener("load", () => {
    drawOver(over, [detectionOf(event)], image.naturalWidth, image.naturalHeight);
    image.hidden = false;
    words.hidden = true;
  });
  load(event, image, words);
  return figure;
}

async function load(event, image, words) {
  const signal = asking.signal;
  try {
    const answer = await fetch(event.frame_url, { signal });
    if (answer.ok) {
      const blob = await answer.blob();
      if (signal.aborted) return;
      address = URL.createObjectURL(blob);
      image.src = address;
      return;
    }
    const problem = await answer.json().catch(() => ({}));
    words.textContent = `The whole frame is not there: ${problem.detail ?? `the server says ${answer.status}`}.`;
  } catch (error) {
    if (error.name !== "AbortError") words.textContent = "The whole frame is not there: the server does not answer.";
  }
}

function forget() {
  asking?.abort();
  if (address !== null) URL.revokeObjectURL(address);
  address = null;
}

function show(event) {
  forget();
  shown = event;
  dialog.dataset.id = event.id;
  asking = new AbortController();
  const title = make("h2", { id: "event-heading" }, chip(event.label), ` ${percent(event.confidence)}`);
  const closing = { type: "button", class: "close", autofocus: true, click: () => dialog.close() };
  const close = make("button", closing, "Close");
  const newer = make("button", { type: "button", click: () => step(-1), disabled: !neighbour(event, -1) }, "← Newer");
  const older = make("button", { type: "button", click: () => step(1), disabled: !neighbour(event, 1) }, "Older →");
  const crop = make("img", { class: "crop", src: event.crop_url, alt: `Crop: ${event.label}` });
  const none = make("p", { class: "quiet" }, "No crop is kept of this event.");
  crop.addEventListener("error", () => crop.replaceWith(none));
  const scores = bars((event.scores ?? []).map(({ label, score, confidence }) => [label, score ?? confidence]));
  const about = make(
    "div",
    { class: "about" },
    crop,
    make("section", { "aria-label": "Best scores" }, scores),
    facts(event),
  );
  dialog.replaceChildren(
    make("header", {}, title, newer, older, close),
    make("div", { class: "body" }, frameOf(event), about),
  );
}

function step(by) {
  const next = neighbour(shown, by);
  if (!next) return;
  show(next);
  find(".close", dialog).focus();
}

/** Open this event; `next(event, -1 or 1)` gives the newer or the older one beside it, or null. */
export function openEvent(event, next = () => null) {
  neighbour = next;
  show(event);
  dialog.showModal();
}

dialog.addEventListener("close", forget);
addEventListener("hashchange", () => dialog.close()); // as by the browser's Back
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // beside it
});
dialog.addEventListener("keydown", ({ key }) => {
  if (key === "ArrowLeft") step(-1);
  if (key === "ArrowRight") step(1);
});
