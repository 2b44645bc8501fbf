// The page put together: which view is open, and what the head says of the server.
import { Alerts } from "./alerts.js";
import { Analysis, strip } from "./analysis.js";
import { find, say } from "./dom.js";
import { buildErase, privacyWords } from "./erase.js";
import * as feed from "./feed.js";
import { FilterForm, linkTo, offerNames } from "./filters.js";
import { clock, count, refreshTimes } from "./format.js";
import { Log } from "./log.js";
import * as server from "./server.js";
import { StreamPage } from "./stream.js";
import { listUploads, UploadPage } from "./uploads.js";
import { Wall, watched } from "./wall.js";
import "./tryit.js";
import { stop as stopWebcam } from "./webcam.js";

const TITLES = {
  live: "Live",
  events: "Events",
  analysis: "Analysis",
  try: "Try it",
  alerts: "Alerts",
  stream: "Stream",
  uploads: "Upload",
};

const sections = new Map();
for (const section of document.querySelectorAll("[data-view]")) sections.set(section.dataset.view, section);
const go = (view) => (filters) => (location.hash = linkTo(view, filters));

/** A log with the form of its filters. */
class LogView {
  constructor(section, view, heading) {
    this.form = new FilterForm(find(".filter", section), go(view));
    this.log = new Log(find(".log", section), heading);
  }

  show(open, filters) {
    this.log.close();
    if (!open) return;
    this.form.value = filters;
    if (server.has("/events")) this.log.open(filters);
  }
}

const wall = new Wall(sections.get("live"));
const liveLog = new LogView(sections.get("live"), "live", "Live log");
const eventLog = new LogView(sections.get("events"), "events", "Events");
const analysis = new Analysis(sections.get("analysis"), go("analysis"));
const alerts = new Alerts(sections.get("alerts"), find("#open-alerts"));
const streamPage = new StreamPage(sections.get("stream"), strip);
const uploadPage = new UploadPage(sections.get("uploads"));

const views = {
  live: { show: showLive },
  events: { show: (open, route) => eventLog.show(open, route.filters) },
  analysis: { show: (open, route) => analysis.show(open, route.filters) },
  alerts: { show: (open) => alerts.show(open) },
  try: { show: (open) => (open ? listUploads() : stopWebcam()) },
  stream: { show: (open, route) => streamPage.show(open, route.name) },
  uploads: { show: (open, route) => uploadPage.show(open, route.name) },
};

let endLately = () => {};

function showLive(open, { filters }) {
  wall.show(open);
  liveLog.show(open, filters);
  endLately();
  endLately = open && server.has("/episodes") ? strip(find("#lately"), "", "15m") : () => {};
}

let route = null;
let ready = false;

function routeOf(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/");
  let name = "";
  try {
    name = decodeURIComponent(rest.join("/"));
  } catch {
    // No name that this page has written.
  }
  const known = view in views ? view : "live";
  return { view: known, name, filters: Object.fromEntries(new URLSearchParams(search)) };
}

function showRoute(moveFocus) {
  const next = routeOf(location.hash);
  const same = route?.view === next.view;
  if (route && ready) views[route.view].show(false, route);
  route = next;
  for (const [view, section] of sections) section.hidden = view !== next.view;
  for (const link of document.querySelectorAll("nav a[data-for]")) {
    if (link.dataset.for === next.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${next.name || TITLES[next.view]} · Framewatch`;
  if (ready) views[next.view].show(true, next);
  if (moveFocus && !same) {
    scrollTo(0, 0);
    find("h2", sections.get(next.view)).focus({ preventScroll: true });
  }
}

const healthWords = find("#health");
const figures = find("#figures");

function showServer({ health, streams, awaySince }) {
  const away = awaySince !== null;
  document.documentElement.classList.toggle("away", away);
  if (away) {
    say(healthWords, `no answer since ${clock(1000 * awaySince.getTime())}`);
    say(figures, "");
  } else {
    say(healthWords, health.status);
    const down = ["broker", "store"].filter((part) => health[part] !== "up").map((part) => `${part} down · `);
    const rate = `${health.frames_per_second.toFixed(1)} frames/s`;
    say(figures, `${down.join("")}${rate} · lag ${health.lag ?? "?"} · ${count(watched(streams).length, "stream")}`);
  }
  healthWords.className = !away && health.status === "healthy" ? "healthy" : "bad";
}

/** Leave out what this server has no room for. */
function showRooms() {
  for (const element of document.querySelectorAll("[data-needs]")) element.hidden = !server.has(element.dataset.needs);
  sections.get("live").classList.toggle("alone", !server.has("/events"));
  const { version, preset, model } = server.server.about;
  say(find("#about"), [version && `Framewatch ${version}`, preset ?? model].filter(Boolean).join(" · "));
}

let back = 0;
server.watch((state) => {
  showServer(state);
  if (state.health === null || state.awaySince !== null) return;
  if (!ready || state.back > back) {
    back = state.back;
    ready = true;
    showRooms();
    if (route) showRoute(false);
  }
  say(find("#privacy"), privacyWords());
});

addEventListener("hashchange", () => showRoute(true));
addEventListener("erased", () => showRoute(false));
find(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which view is open
  find("main").focus();
});
offerNames();
buildErase(find("#erase"));
showRoute(false);
feed.start();
setInterval(refreshTimes, 1000);
// After the page: a picture that waits for its first frame would keep the browser saying that the page loads.
if (document.readyState === "complete") server.start();
else addEventListener("load", () => server.start());
