// @ts-check
// The best scores of an image as bars.
import { shadeOf } from "../lib/colours.js";
import { bar, make } from "../lib/dom.js";
import { percent } from "../lib/format.js";

const BARS = 5;

/**
 * A list of the best five scores.
 * @param {[label: string, share: number][]} scores  best first
 */
export function bars(scores) {
  const list = make("dl", { class: "bars" });
  for (const [label, share] of scores.slice(0, BARS)) {
    const meter = bar(share, label, `shade-${shadeOf(label)}`);
    list.append(make("dt", {}, label), make("dd", {}, meter), make("dd", {}, percent(share)));
  }
  return list;
}
