// Pictures that were asked about since the page was opened, with their answers.
import { bars } from "./bars.js";
import { find, make } from "./dom.js";
import { percent } from "./format.js";
import { drawOver, overlay } from "./overlay.js";

const KEPT = 20;
const SMALL_LINES = 18; // the pictures here are small
const list = find("#history");

/** What an answer says in a few words. */
export function titleOf(answer) {
  return answer.action === null ? answer.detail : `${answer.action} ${percent(answer.confidence)}`;
}

/** The scores of an answer as pairs. */
export function scoresOf(answer) {
  return answer.all_predictions.map(({ action, confidence }) => [action, confidence]);
}

function pictureOf(address, answer) {
  const image = make("img", { src: address, alt: "The picture that was asked about" });
  const over = overlay();
  const several = answer.detections.length > 1; // then it must be seen which is whose; one is told beside the picture
  drawOver(over, answer.detections, answer.width, answer.height, several ? SMALL_LINES : 0);
  return make("figure", { class: "asked" }, image, over);
}

function others(answer) {
  const found = answer.detections.filter(({ box }) => box);
  if (found.length < 2) return null;
  return make("p", {}, found.map(({ label, confidence }) => `${label} ${percent(confidence)}`).join(" · "));
}

/** Put a picture and its answer on top of the history. */
export function remember(blob, name, answer) {
  const address = URL.createObjectURL(blob);
  const words = make(
    "div",
    { class: "answer" },
    make("h3", {}, titleOf(answer)),
    make("span", { class: "quiet" }, name),
  );
  words.append(bars(scoresOf(answer)), others(answer) ?? "");
  list.prepend(make("li", {}, pictureOf(address, answer), words));
  find("#no-history").hidden = true;
  if (list.children.length > KEPT) {
    const oldest = list.lastElementChild;
    URL.revokeObjectURL(find("img", oldest).src);
    oldest.remove();
  }
}
