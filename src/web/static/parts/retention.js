// @ts-check
// What is kept and for how long, in words.
import { count } from "../lib/format.js";
import { has, server } from "../lib/server.js";

/** @param {number} days */
function timeOf(days) {
  return days >= 1 ? count(Math.round(10 * days) / 10, "day") : count(Math.round(240 * days) / 10, "hour");
}

/** What deleting does not reach. */
export function framesWords() {
  const days = server.about.frame_retention_days ?? null;
  const time = days === null ? "as long as its topic does" : `for ${timeOf(days)}`;
  return `Kafka keeps whole frames ${time}, even after you delete events.`;
}

/** What is kept, for how long, and what leaves the server; "" while that is not known. */
export function retentionWords() {
  const { retention_days: days, webhook, output } = server.about;
  if (days === undefined) return "";
  const sent = [webhook && "alerts to the webhook", output && "results to the configured output"].filter(Boolean);
  return [
    `Events (with crop, scores and box), episodes and alerts are kept for ${timeOf(days)}, then deleted.`,
    framesWords(),
    has("/predict") ? "Images and webcam frames that you only analyze are not stored." : "",
    sent.length ? `Framewatch sends ${sent.join(" and ")}, and nothing else.` : "Framewatch sends nothing elsewhere.",
  ]
    .filter(Boolean)
    .join(" ");
}
