// Boxes, landmarks and labels drawn over a picture, in the picture's own pixels.
import { colourOf } from "./colours.js";
import { draw } from "./dom.js";

/** What an event or an answer has to draw: label, confidence, box as x, y, width and height or null, landmarks. */
export function detectionOf(event) {
  const [x, y, width, height] = event.boundingbox ?? [];
  const box = event.boundingbox ? { x, y, width, height } : null;
  return { label: event.label, confidence: event.confidence, box, landmarks: event.landmarks ?? [] };
}

function caption(text, x, y, size) {
  const width = 0.6 * size * text.length + 0.6 * size;
  const words = draw("text", { x: x + 0.3 * size, y: y + 0.95 * size, "font-size": size }, text);
  return draw("g", { class: "caption" }, draw("rect", { x, y, width, height: 1.3 * size, class: "plate" }), words);
}

/** Draw these detections for a picture of this size; so many lines of text would fit into its longer side, 0 for none. */
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
