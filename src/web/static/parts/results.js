// @ts-check
// Images that were analyzed since the page was opened, with their results.
import { find, make } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { bars } from "./bars.js";
import { drawOver, overlay } from "./overlay.js";

/** @typedef {import("../lib/types.js").Prediction} Prediction */

const KEPT = 20;
const SMALL_LINES = 18; // the images here are small

/**
 * A result in a few words.
 * @param {Prediction} prediction
 */
export function titleOf({ action, confidence, detail }) {
  return action === null ? detail : `${action} ${percent(confidence)}`;
}

/**
 * The scores of a result as pairs.
 * @param {Prediction} prediction
 * @returns {[string, number][]}
 */
export function scoresOf(prediction) {
  return prediction.all_predictions.map(({ action, confidence }) => [action, confidence]);
}

/**
 * @param {string} address
 * @param {Prediction} prediction
 */
function imageOf(address, { detections, width, height }) {
  const image = make("img", { src: address, alt: "The analyzed image" });
  const over = overlay();
  const several = detections.length > 1; // then it must be seen which is whose; one is told beside the image
  drawOver(over, detections, width, height, several ? SMALL_LINES : 0);
  return make("figure", { class: "asked" }, image, over);
}

/** @param {Prediction} prediction */
function others({ detections }) {
  const found = detections.filter(({ box }) => box);
  if (found.length < 2) return null;
  return make("p", {}, found.map(({ label, confidence }) => `${label} ${percent(confidence)}`).join(" · "));
}

export class Results {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.list = find("#history", section);
    this.empty = find("#no-history", section);
  }

  /**
   * Put an image and its result on top.
   * @param {Blob} blob
   * @param {string} name
   * @param {Prediction} prediction
   */
  add(blob, name, prediction) {
    const address = URL.createObjectURL(blob);
    const title = [make("h3", {}, titleOf(prediction)), make("span", { class: "quiet" }, name)];
    const words = make("div", { class: "answer" }, ...title, bars(scoresOf(prediction)), others(prediction));
    this.list.prepend(make("li", {}, imageOf(address, prediction), words));
    this.empty.hidden = true;
    if (this.list.children.length > KEPT) {
      const oldest = this.list.lastElementChild;
      URL.revokeObjectURL(find("img", oldest).src);
      oldest.remove();
    }
  }
}
