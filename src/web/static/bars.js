// The best scores of a picture as bars.
import { shadeOf } from "./colours.js";
import { bar, make } from "./dom.js";
import { percent } from "./format.js";

const BARS = 5;

/** A list of the best five; scores are pairs of a label and a share, best first. */
export function bars(scores) {
  const list = make("dl", { class: "bars" });
  for (const [label, share] of scores.slice(0, BARS)) {
    const meter = bar(share, label, `shade-${shadeOf(label)}`);
    list.append(make("dt", {}, label), make("dd", {}, meter), make("dd", {}, percent(share)));
  }
  return list;
}
