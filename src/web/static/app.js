// @ts-check
// The page put together: each view in its section, and which one is open.
import { find, make, say } from "./lib/dom.js";
import * as feed from "./lib/feed.js";
import { refreshTimes } from "./lib/format.js";
import { routeOf } from "./lib/route.js";
import * as server from "./lib/server.js";
import { mountConfirm } from "./parts/confirm.js";
import { mountErase } from "./parts/erase.js";
import { mountEventDialog } from "./parts/event-dialog.js";
import { offerNames } from "./parts/filters.js";
import { markNav, mountNav, showHealth } from "./parts/header.js";
import { retentionWords } from "./parts/retention.js";
import { VIEWS } from "./views/index.js";

/**
 * The section of a view: the page's own, or a new one with a heading.
 * @param {HTMLElement} main
 * @param {import("./views/index.js").ViewEntry} entry
 * @returns {HTMLElement}
 */
function sectionOf(main, { name, title }) {
  const there = main.querySelector(`[data-view="${name}"]`);
  if (there instanceof HTMLElement) return there;
  const heading = make("h2", { id: `${name}-heading`, tabindex: -1 }, title);
  const section = make("section", { "data-view": name, "aria-labelledby": `${name}-heading`, hidden: true }, heading);
  main.append(section);
  return section;
}

/** Which view is open, by the address. */
class Pages {
  /**
   * @param {HTMLElement} main
   * @param {HTMLElement} nav
   */
  constructor(main, nav) {
    this.nav = nav;
    mountNav(nav, VIEWS);
    this.pages = VIEWS.map((entry) => {
      const section = sectionOf(main, entry);
      return { ...entry, section, view: entry.mount(section) };
    });
    this.route = routeOf(location.hash, this.names);
    this.isReady = false; // the server has said what it offers
    this.#mark();
  }

  get names() {
    return this.pages.map(({ name }) => name);
  }

  get current() {
    return this.pages.find(({ name }) => name === this.route.view) ?? this.pages[0];
  }

  /** The address is another one. */
  move() {
    const before = this.current;
    if (this.isReady) before.view.hide?.();
    this.route = routeOf(location.hash, this.names);
    this.#mark();
    if (this.isReady) this.current.view.show(this.route);
    if (this.current === before) return;
    scrollTo(0, 0);
    find("h2", this.current.section).focus({ preventScroll: true });
  }

  /** The server is there, or there again: what stands on the page stays. */
  refresh() {
    this.isReady = true;
    this.current.view.show(this.route);
  }

  /** What is stored was changed: read all of it again. */
  reload() {
    if (!this.isReady) return;
    this.current.view.hide?.();
    this.current.view.show(this.route);
  }

  #mark() {
    for (const { name, section } of this.pages) section.hidden = name !== this.route.view;
    markNav(this.nav, this.route.view);
    document.title = `${this.route.name || this.current.title} · Framewatch`;
  }
}

/** Leave out what this server does not offer. */
function showOffered() {
  /** @type {NodeListOf<HTMLElement>} */
  const elements = document.querySelectorAll("[data-needs]");
  for (const element of elements) element.hidden = !server.has(element.dataset.needs ?? "");
  const { version, preset, model } = server.server.about;
  say(find("#about"), [version && `Framewatch ${version}`, preset ?? model].filter(Boolean).join(" · "));
}

function start() {
  mountEventDialog(find("#event"));
  mountConfirm(find("#confirm"));
  const pages = new Pages(find("#main"), find("nav"));
  let back = 0;
  server.watch((state) => {
    showHealth(state);
    if (state.health === null || state.awaySince !== null) return;
    if (!pages.isReady || state.back > back) {
      back = state.back;
      showOffered();
      pages.refresh();
    }
    say(find("#privacy"), retentionWords());
  });
  addEventListener("hashchange", () => pages.move());
  addEventListener("erased", () => pages.reload());
  find(".skip").addEventListener("click", (/** @type {Event} */ event) => {
    event.preventDefault(); // the address says which view is open
    find("#main").focus();
  });
  offerNames(document);
  mountErase(find("#erase"));
  feed.start();
  setInterval(refreshTimes, 1000);
  // After the page: a picture that waits for its first frame would keep the browser saying that the page loads.
  if (document.readyState === "complete") server.start();
  else addEventListener("load", () => server.start());
}

start();
