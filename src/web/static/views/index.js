// @ts-check
// The views of the page. Each is one file with a `mount`; the head's links are made from this table.
import { mount as mountAlerts } from "./alerts.js";
import { mount as mountAnalysis } from "./analysis.js";
import { mount as mountEvents } from "./events.js";
import { mount as mountLive } from "./live.js";
import { mount as mountStream } from "./stream.js";
import { mount as mountTryIt } from "./tryit.js";
import { mount as mountUpload } from "./upload.js";

/**
 * @typedef {object} ViewEntry
 * @property {string} name  in the address: `#/name`
 * @property {string} title
 * @property {import("../lib/types.js").Mount} mount
 * @property {boolean} [link]  whether the head has a link to it
 * @property {string} [needs]  a path of the API without which there is no link
 */

/** The first one opens where the address names none.
 * @type {ViewEntry[]} */
export const VIEWS = [
  { name: "live", title: "Live", mount: mountLive, link: true },
  { name: "events", title: "Events", mount: mountEvents, link: true, needs: "/events" },
  { name: "analysis", title: "Analysis", mount: mountAnalysis, link: true, needs: "/stats" },
  { name: "try", title: "Try it", mount: mountTryIt, link: true, needs: "/predict" },
  { name: "alerts", title: "Alerts", mount: mountAlerts, link: true, needs: "/alerts" },
  { name: "stream", title: "Stream", mount: mountStream },
  { name: "uploads", title: "Upload", mount: mountUpload },
];
