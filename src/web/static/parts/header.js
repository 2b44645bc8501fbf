// @ts-check
// The head of the page: links to the views, and what the server says of itself.
import { find, make, say } from "../lib/dom.js";
import { clock, count } from "../lib/format.js";
import { watched } from "./status.js";

/** @typedef {import("../views/index.js").ViewEntry} ViewEntry */

/**
 * Make a link for each view that wants one.
 * @param {HTMLElement} nav
 * @param {ViewEntry[]} views
 */
export function mountNav(nav, views) {
  const links = views
    .filter(({ link }) => link)
    .map(({ name, title, needs }) => {
      return make("a", { href: `#/${name}`, "data-view-link": name, "data-needs": needs }, title);
    });
  nav.prepend(...links);
}

/**
 * Mark the link of the view that is open.
 * @param {HTMLElement} nav
 * @param {string} view
 */
export function markNav(nav, view) {
  for (const link of nav.querySelectorAll("[data-view-link]")) {
    if (link.getAttribute("data-view-link") === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/**
 * Show how the server is, or since when it is away.
 * @param {import("../lib/server.js").Server} server
 */
export function showHealth({ health, streams, awaySince }) {
  const [words, figures] = [find("#health"), find("#figures")];
  document.documentElement.classList.toggle("away", awaySince !== null);
  if (awaySince !== null || health === null) {
    say(words, awaySince ? `Disconnected since ${clock(1000 * awaySince.getTime())}, retrying` : "…");
    say(figures, "");
  } else {
    say(words, health.status);
    const parts = { broker: health.broker, store: health.store };
    const down = Object.entries(parts)
      .filter(([, state]) => state !== "up")
      .map(([name]) => `${name} down`);
    const rate = `${health.frames_per_second.toFixed(1)} frames/s`;
    const lag = `lag ${health.lag ?? "?"}`;
    say(figures, [...down, rate, lag, count(watched(streams).length, "stream")].join(" · "));
  }
  words.className = awaySince === null && health?.status === "healthy" ? "healthy" : "bad";
}
