// A picture that is chosen, dropped or pasted: asked about, or kept as a stream of its own. Videos are always kept.
import { send } from "./api.js";
import { find, say } from "./dom.js";
import { remember, titleOf } from "./history.js";
import { has, met, server } from "./server.js";
import { upload } from "./uploads.js";

const VIDEO = /\.(mp4|m4v|mov|avi|mkv|webm|mpe?g|ts)$/i;
const form = find("#ask");
const input = form.elements.file;
const button = find("button", form);
const said = find("#said");

export function tell(text, bad = false) {
  say(said, text);
  said.className = bad ? "bad" : "";
}

/** What to do about an answer that is none. */
export function wordsOf(problem) {
  if (problem.status === 0 || problem.status === 401) return problem.message;
  return problem.again === null ? `Not answered: ${problem.message}.` : `Busy: ${problem.message}.`;
}

function isVideo(file) {
  return file.type.startsWith("video/") || VIDEO.test(file.name);
}

/** Whether it has more bytes than are allowed, if that is known; says so. */
function tooLarge(file, bytes) {
  if (!bytes || file.size <= bytes) return false;
  tell(
    `This file has ${(file.size / 1e6).toFixed(1)} MB; at most ${bytes / 1e6} are allowed: send a smaller one.`,
    true,
  );
  return true;
}

function mostBytes(file) {
  return isVideo(file) ? 1e6 * (server.about.max_video_mb ?? 0) : Number(form.dataset.maxBytes ?? 0);
}

async function ask(file) {
  if (tooLarge(file, mostBytes(file))) return;
  tell("Looking…");
  try {
    const answer = await send("/predict", file);
    remember(file, file.name, answer);
    tell(titleOf(answer));
  } catch (problem) {
    tell(wordsOf(problem), true);
  }
}

async function keep(file) {
  if (!has("/uploads")) {
    tell("This server keeps no uploads: only pictures can be asked about.", true);
  } else if (!tooLarge(file, mostBytes(file))) {
    await upload(file);
  }
}

/** Take these files: pictures one after the other, a video as a stream of its own. */
export async function take(files) {
  if (!files.length) return;
  button.disabled = true;
  location.hash = "#/try";
  if (server.health === null) tell("Waiting for the server…");
  await met;
  for (const file of files) {
    if (isVideo(file) || find("#keep").checked || !has("/predict")) await keep(file);
    else await ask(file);
  }
  button.disabled = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  take([...input.files]);
});

addEventListener("paste", ({ clipboardData }) => {
  const files = [...(clipboardData?.files ?? [])];
  if (files.length) take(files);
});

// A file may be dropped anywhere on the page.
const hint = find("#drop");
const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
let depth = 0;

function over(by) {
  depth = Math.max(0, depth + by);
  hint.hidden = depth === 0;
}

addEventListener("dragenter", (event) => holdsFiles(event) && over(1));
addEventListener("dragleave", (event) => holdsFiles(event) && over(-1));
addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  over(-depth);
  take([...event.dataTransfer.files]);
});
