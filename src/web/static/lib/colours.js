// @ts-check
// One colour for each label, the same as in the pictures the server draws: by its index among the model's labels, so
// that no two of up to eight share one; for a label that the model does not have, by CRC-32 of its name. Most are of Okabe and
// Ito (2008), which people with colour blindness can tell apart. The name always stands beside it.
import { draw, make } from "./dom.js";
import { server } from "./server.js";

const COLOURS = ["#009e73", "#0072b2", "#d55e00", "#cc79a7", "#56b4e9", "#e69f00", "#8661c1", "#a8a800"];

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** @param {string} text */
function crc32(text) {
  let value = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * The number of its colour, 0 to 7, as in the class `shade-N`.
 * @param {string} label
 */
export function shadeOf(label) {
  const index = (server.about.labels ?? []).indexOf(label);
  return (index < 0 ? crc32(label) : index) % COLOURS.length;
}

/** @param {string} label */
export function colourOf(label) {
  return COLOURS[shadeOf(label)];
}

/**
 * The label beside a spot of its colour, and how many there are of it where that is more than one.
 * @param {string} label
 */
export function chip(label, times = 1) {
  const spot = draw("svg", { viewBox: "0 0 10 10", "aria-hidden": "true", class: "spot" });
  spot.append(draw("rect", { width: 10, height: 10, rx: 3, fill: colourOf(label) }));
  return make("span", { class: "chip" }, spot, times > 1 ? `${label} ×${times}` : label);
}
