// @ts-check
// Sending a file that becomes a stream, and the words for how far an upload is.
import { isAbort, messageOf, send } from "../lib/api.js";
import { make, say } from "../lib/dom.js";
import { count } from "../lib/format.js";

/** @type {Record<string, string>} */
const STATES = {
  waiting: "Waiting",
  sending: "Sending frames to Kafka",
  classifying: "Classifying",
  done: "Done",
  failed: "Failed",
};

/**
 * Send a file, showing how far it is, and go to its page.
 * @param {File} file
 * @param {HTMLElement} host  of the bar
 * @param {(text: string, bad?: boolean) => void} tell
 */
export async function upload(file, host, tell) {
  const bar = make("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
  const words = make("span", {}, `${file.name}: 0 %`);
  const asking = new AbortController();
  const cancel = make("button", { type: "button", click: () => asking.abort() }, "Cancel");
  const item = make("p", {}, words, bar, cancel);
  host.append(item);
  const progress = (/** @type {number} */ share) => {
    bar.value = share;
    say(words, share < 1 ? `${file.name}: ${Math.round(100 * share)} %` : `${file.name}: uploaded, checking…`);
  };
  try {
    const made = await send("/uploads", file, { progress, signal: asking.signal });
    location.hash = `#/uploads/${encodeURIComponent(made.id)}`;
    tell(`${file.name} uploaded.`);
  } catch (problem) {
    if (isAbort(problem)) tell("Upload cancelled. Nothing was saved.");
    else tell(`Upload failed: ${messageOf(problem)}`, true);
  }
  item.remove();
}

/**
 * How far an upload is.
 * @param {import("../lib/types.js").Upload} upload
 */
export function stateOf({ state, error, sent, classified, total }) {
  if (state === "failed") return `Failed: ${error || "see the server's log"}`;
  const frames = total === null ? count(classified, "frame") : `${classified} of ${count(total, "frame")}`;
  /** @type {Record<string, string>} */
  const parts = {
    sending: `${sent} ${total === null ? "" : `of ${total} `}sent`,
    classifying: `${frames} classified`,
    done: frames,
  };
  return [STATES[state] ?? state, parts[state]].filter(Boolean).join(" · ");
}
