// @ts-check
// The browser's own camera: images are analyzed several times a second, one at a time, and what is seen is drawn.
import { isAbort, messageOf, Problem, send } from "../lib/api.js";
import { find, say } from "../lib/dom.js";
import { bars } from "./bars.js";
import { drawOver, overlay } from "./overlay.js";
import { scoresOf, titleOf } from "./results.js";

/** @typedef {import("../lib/types.js").Prediction} Prediction */

const LONGER_SIDE = 640;
const EVERY_MS = 125; // stays below the 600 images a minute that a server allows
const RATE_OVER_MS = 3000;
const REASONS = new Map([
  ["NotAllowedError", "Camera access is blocked. Allow it in the address bar, then try again."],
  ["NotFoundError", "No camera found. Connect one, then try again."],
  ["NotReadableError", "Another program is using the camera. Close it, then try again."],
]);

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {MediaStream | null} media */
function release(media) {
  media?.getTracks().forEach((track) => track.stop());
}

export class Webcam {
  /**
   * @param {HTMLElement} section
   * @param {{ say: (text: string, bad?: boolean) => void, wordsOf: (problem: unknown) => string,
   *   keep: (blob: Blob, name: string, prediction: Prediction) => void }} parts  of the view around it
   */
  constructor(section, { say: tell, wordsOf, keep }) {
    this.tell = tell;
    this.wordsOf = wordsOf;
    this.keep = keep;
    /** @type {HTMLButtonElement} */
    this.button = find("#webcam", section);
    /** @type {HTMLElement} */
    this.stage = find("#camera", section);
    this.area = /** @type {HTMLElement} */ (this.stage.parentElement);
    /** @type {HTMLVideoElement} */
    this.video = find("video", this.stage);
    this.scores = find("#camera-scores", section);
    this.figures = find("#camera-figures", section);
    this.canvas = document.createElement("canvas");
    this.drawing = overlay();
    this.stage.append(this.drawing);
    /** @type {MediaStream | null} */
    this.media = null;
    /** @type {AbortController | null} */
    this.asking = null;
    /** @type {{ blob: Blob, prediction: Prediction } | null} */
    this.last = null;
    this.button.addEventListener("click", () => (this.asking === null ? this.#start() : this.stop()));
  }

  /** Release the camera; the last image and its result stay. */
  stop() {
    if (this.asking === null) return;
    this.asking.abort();
    this.asking = null;
    this.#end();
    if (this.last) this.keep(this.last.blob, "webcam", this.last.prediction);
    this.last = null;
  }

  async #start() {
    if (!navigator.mediaDevices) {
      this.tell("The camera needs https, or http://127.0.0.1. Browsers block it on other pages.", true);
      return;
    }
    this.button.disabled = true;
    this.asking = new AbortController();
    const { signal } = this.asking; // aborted also by leaving the view while the browser still asks for permission
    try {
      const wanted = { video: { width: { ideal: LONGER_SIDE } }, audio: false };
      const given = await navigator.mediaDevices.getUserMedia(wanted);
      if (signal.aborted) release(given);
      else await this.#show(given);
      if (!signal.aborted) {
        say(this.button, "Stop webcam");
        this.#run(signal);
      }
    } catch (error) {
      if (!signal.aborted) {
        this.asking = null;
        this.#end();
        const name = error instanceof Error ? error.name : "";
        this.tell(REASONS.get(name) ?? `Camera error: ${messageOf(error)}`, true);
      }
    }
    this.button.disabled = false;
  }

  /** @param {MediaStream} given */
  async #show(given) {
    this.media = given;
    given.getVideoTracks()[0].addEventListener("ended", () => this.stop());
    this.video.srcObject = given;
    this.area.hidden = false;
    await this.video.play();
  }

  #end() {
    release(this.media);
    this.media = null;
    this.video.srcObject = null;
    this.area.hidden = true;
    this.drawing.replaceChildren();
    say(this.button, "Use webcam");
  }

  /** @param {AbortSignal} signal */
  async #run(signal) {
    /** @type {number[]} */
    const times = [];
    while (!signal.aborted) {
      const due = performance.now() + EVERY_MS;
      try {
        if (!document.hidden && this.video.videoWidth) await this.#analyze(times, signal);
      } catch (problem) {
        if (isAbort(problem)) return;
        say(this.figures, this.wordsOf(problem));
        const seconds = problem instanceof Problem ? problem.retryAfter : null;
        await pause(1000 * Math.max(1, seconds ?? 1));
      }
      await pause(Math.max(10, due - performance.now()));
    }
  }

  /**
   * @param {number[]} times  of the last results
   * @param {AbortSignal} signal
   */
  async #analyze(times, signal) {
    const blob = await this.#shot();
    signal.throwIfAborted();
    /** @type {Prediction} */
    const prediction = await send("/predict", new File([blob], "webcam.jpg", { type: "image/jpeg" }), { signal });
    this.last = { blob, prediction };
    drawOver(this.drawing, prediction.detections, prediction.width, prediction.height);
    this.scores.replaceChildren(bars(scoresOf(prediction)));
    const now = performance.now();
    times.push(now);
    while (times[0] < now - RATE_OVER_MS) times.shift();
    const rate = times.length > 1 ? (1000 * (times.length - 1)) / (now - times[0]) : 0;
    say(this.figures, `${titleOf(prediction)} · ${rate.toFixed(1)} images/s`);
  }

  /** @returns {Promise<Blob>} */
  #shot() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, LONGER_SIDE / Math.max(videoWidth, videoHeight));
    this.canvas.width = Math.round(scale * videoWidth);
    this.canvas.height = Math.round(scale * videoHeight);
    this.canvas.getContext("2d")?.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((resolve, reject) => {
      const done = (/** @type {Blob | null} */ blob) => (blob ? resolve(blob) : reject(new Error("no image")));
      this.canvas.toBlob(done, "image/jpeg", 0.8);
    });
  }
}
