// @ts-check
// Boxes, landmarks and labels drawn over a picture, in the picture's own pixels.
import { colourOf } from "../lib/colours.js";
import { draw } from "../lib/dom.js";

/** @typedef {import("../lib/types.js").Detection} Detection */

/**
 * What is drawn of an event.
 * @param {import("../lib/types.js").DetectedEvent} event
 * @returns {Detection}
 */
export function detectionOf(event) {
  let box = null;
  if (event.boundingbox) {
    const [x, y, width, height] = event.boundingbox;
    box = { x, y, width, height };
  }
  return { label: event.label, confidence: event.confidence, box, landmarks: event.landmarks ?? [] };
}

/**
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {number} size
 */
function caption(text, x, y, size) {
  const width = 0.6 * size * text.length + 0.6 * size;
  const words = draw("text", { x: x + 0.3 * size, y: y + 0.95 * size, "font-size": size }, text);
  return draw("g", { class: "caption" }, draw("rect", { x, y, width, height: 1.3 * size, class: "plate" }), words);
}

/**
 * Draw these detections over a picture of this size.
 * @param {SVGSVGElement} svg
 * @param {Detection[]} detections
 * @param {number} width
 * @param {number} height
 * @param {number} [lines]  of text that would fit into its longer side: the larger, the smaller the text; 0 for none
 */
export function drawOver(svg, detections, width, height, lines = 40) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const size = Math.max(width, height) / lines;
  let corner = 0;
  for (const { label, confidence, box, landmarks } of detections) {
    const stroke = colourOf(label);
    if (box) svg.append(draw("rect", { ...box, stroke, class: "box" }));
    for (const [cx, cy] of landmarks)
      svg.append(draw("circle", { cx, cy, r: width / 200, fill: stroke, class: "landmark" }));
    if (!lines) continue;
    const y = box ? Math.max(0, box.y - 1.3 * size) : corner;
    if (!box) corner += 1.4 * size;
    svg.append(caption(`${label} ${confidence.toFixed(2)}`, box ? box.x : 0, y, size));
  }
}

/** An empty drawing to lie over a picture. */
export function overlay() {
  return draw("svg", { class: "overlay", "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet" });
}
