// The browser's own camera: pictures are asked about several times a second, one at a time, and what is seen is drawn.
import { send } from "./api.js";
import { bars } from "./bars.js";
import { find, say } from "./dom.js";
import { remember, scoresOf, titleOf } from "./history.js";
import { drawOver, overlay } from "./overlay.js";
import { tell, wordsOf } from "./tryit.js";

const LONGER_SIDE = 640;
const EVERY_MS = 125; // stays below the 600 pictures a minute that a server allows
const REASONS = {
  NotAllowedError: "The browser may not use the camera: allow it beside the address, then start again.",
  NotFoundError: "No camera was found: connect one, then start again.",
  NotReadableError: "The camera is used by another program: end that, then start again.",
};

const button = find("#webcam");
const stage = find("#camera");
const video = find("video", stage);
const scores = find("#camera-scores");
const figures = find("#camera-figures");
const drawing = overlay();
const canvas = document.createElement("canvas");
let media = null;
let asking = null;
let last = null;

stage.append(drawing);

function shot() {
  const scale = Math.min(1, LONGER_SIDE / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(scale * video.videoWidth);
  canvas.height = Math.round(scale * video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.8));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function lookOnce(times, signal) {
  const blob = await shot();
  signal.throwIfAborted();
  const answer = await send("/predict", new File([blob], "webcam.jpg", { type: "image/jpeg" }), { signal });
  last = { blob, answer };
  drawOver(drawing, answer.detections, answer.width, answer.height);
  scores.replaceChildren(bars(scoresOf(answer)));
  times.push(performance.now());
  while (times[0] < performance.now() - 3000) times.shift();
  const rate = times.length > 1 ? (1000 * (times.length - 1)) / (times.at(-1) - times[0]) : 0;
  say(figures, `${titleOf(answer)} · ${rate.toFixed(1)} answers a second`);
}

async function run(signal) {
  const times = [];
  while (!signal.aborted) {
    const due = performance.now() + EVERY_MS;
    try {
      if (!document.hidden && video.videoWidth) await lookOnce(times, signal);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      say(figures, wordsOf(problem));
      await pause(1000 * Math.max(1, problem.again ?? 1));
    }
    await pause(Math.max(10, due - performance.now()));
  }
}

async function start() {
  if (!navigator.mediaDevices) {
    tell("The camera needs https, or the address http://127.0.0.1: browsers give it to no other page.", true);
    return;
  }
  button.disabled = true;
  asking = new AbortController();
  const { signal } = asking; // aborted also by leaving the view while the browser still asks for permission
  try {
    const given = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: LONGER_SIDE } }, audio: false });
    if (signal.aborted) letGo(given);
    else await show(given);
    if (!signal.aborted) {
      say(button, "Stop the webcam");
      run(signal);
    }
  } catch (error) {
    if (!signal.aborted) {
      asking = null;
      end();
      tell(REASONS[error.name] ?? `The camera does not work: ${error.message}`, true);
    }
  }
  button.disabled = false;
}

async function show(given) {
  media = given;
  media.getVideoTracks()[0].addEventListener("ended", stop);
  video.srcObject = media;
  stage.parentElement.hidden = false;
  await video.play();
}

function letGo(given) {
  given?.getTracks().forEach((track) => track.stop());
}

function end() {
  letGo(media);
  media = null;
  video.srcObject = null;
  stage.parentElement.hidden = true;
  drawing.replaceChildren();
  say(button, "Use the webcam");
}

/** Let the camera go; the last picture and its answer stay in the history. */
export function stop() {
  if (asking === null) return;
  asking.abort();
  asking = null;
  end();
  if (last) remember(last.blob, "webcam", last.answer);
  last = null;
}

button.addEventListener("click", () => (asking === null ? start() : stop()));
