// @ts-check
// What a stream is doing now, in words.
import { chip } from "../lib/colours.js";
import { make } from "../lib/dom.js";
import { delay, duration } from "../lib/format.js";

/** @typedef {import("../lib/types.js").StreamStatus} StreamStatus */

const STALLED_S = 5; // without a new frame

/**
 * Whether no new frames come. By both: the clock of a camera may differ, and a slow stream has seconds without a frame.
 * @param {StreamStatus} status
 */
export function isStalled(status) {
  return status.frames_per_second === 0 && status.age_s > STALLED_S;
}

/**
 * Streams for the wall: all but uploads that have ended, which have pages of their own.
 * @param {StreamStatus[]} streams
 */
export function watched(streams) {
  return streams.filter(({ ended }) => !ended);
}

/**
 * Frames a second, lag and latency, as far as they are known.
 * @param {StreamStatus} status
 */
export function figuresOf(status) {
  if (isStalled(status)) return `no new frames for ${duration(status.age_s)}`;
  const parts = [`${status.frames_per_second.toFixed(1)} frames/s`];
  if (status.lag !== null && status.lag !== undefined) parts.push(`lag ${status.lag}`);
  if (status.latency_ms !== null && status.latency_ms !== undefined) parts.push(`latency ${delay(status.latency_ms)}`);
  return parts.join(" · ");
}

/**
 * Each label with how many there are of it, in the order of the first.
 * @param {string[]} labels
 */
function counted(labels) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts];
}

/**
 * What is seen now, as chips; written only when it changes.
 * @param {HTMLElement} element
 * @param {StreamStatus} status
 */
export function showLabels(element, status) {
  const stalled = isStalled(status);
  const labels = stalled ? [] : status.labels;
  const words = stalled ? "no new frames" : "nothing seen";
  const key = [...labels, words].join("\n");
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  const chips = counted(labels).map(([label, times]) => chip(label, times));
  element.replaceChildren(...(chips.length ? chips : [make("span", { class: "quiet" }, words)]));
}
