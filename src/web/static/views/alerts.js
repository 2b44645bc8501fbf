// @ts-check
// Alerts, the ongoing ones first, and the rules that raise them.
import { all, ask, messageOf } from "../lib/api.js";
import { chip } from "../lib/colours.js";
import { find, make, note, say } from "../lib/dom.js";
import { follow } from "../lib/feed.js";
import { count, duration, exact, iso, moment } from "../lib/format.js";
import { linkTo } from "../lib/route.js";
import { has, server, watch } from "../lib/server.js";
import { figuresOf, isStalled } from "../parts/status.js";

/** @typedef {import("../lib/types.js").Alert} Alert */

const MOST = 200;
const COUNT_EVERY = 15; // polls
const EXAMPLE = `rules:
  - name: sitting too long
    label: sitting
    for at least: 30m
    within: 1h`;

/**
 * That an alert is ongoing; and that no frames of its stream come, if so: then nobody knows whether it is over.
 * @param {string} stream
 */
function ongoing(stream) {
  const status = server.streams.find(({ stream: name }) => name === stream);
  if (!status) return "ongoing · no frames from this stream on this server";
  return isStalled(status) ? `ongoing · ${figuresOf(status)}` : "ongoing";
}

/** @param {Alert} alert */
function webhookWords({ webhook, attempts, error }) {
  if (webhook === "failed") return ` · webhook: failed after ${count(attempts, "attempt")}: ${error}`;
  if (webhook === null) return "";
  return webhook === "sent" ? " · webhook: sent" : " · webhook: pending";
}

/** @param {Alert} alert */
function itemOf(alert) {
  const isOpen = alert.until_us === null;
  const until = alert.until_us ?? 1000 * Date.now();
  const filters = { stream: alert.stream, label: alert.label, since: iso(alert.since_us), until: iso(until + 1e6) };
  const state = isOpen
    ? make("strong", { class: "ongoing", "data-stream": alert.stream }, ongoing(alert.stream))
    : make("span", { class: "quiet" }, `ended after ${duration((until - alert.start_us) / 1e6)}`);
  const words = make("p", {}, make("a", { href: linkTo("events", filters) }, alert.text));
  const facts = make("p", { class: "quiet" }, chip(alert.label), ` ${alert.stream} · ${alert.rule} · `);
  facts.append(moment(alert.start_us), " · ", state, webhookWords(alert));
  return make("li", { class: isOpen ? "alert open" : "alert", title: exact(alert.start_us) }, words, facts);
}

/**
 * A rule in a sentence: the server's own, of whatever kind it is.
 * @param {{ name: string, label: string, text: string }} rule
 */
function ruleOf(rule) {
  return make("li", {}, make("strong", {}, rule.name), ": ", chip(rule.label), rule.text.slice(rule.label.length));
}

class AlertsView {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.list = find(".alerts", section);
    this.rules = find(".rules", section);
    this.announcer = find("#announcer");
    this.badge = make("span", { id: "open-alerts", class: "badge", hidden: true });
    find("nav a[data-view-link=alerts]").append(" ", this.badge);
    this.isOpen = false;
    this.polls = 0;
    follow({ alert: (alert) => this.#take(alert), resumed: () => this.#refresh() });
    watch(() => {
      if (server.awaySince === null && has("/alerts") && this.polls++ % COUNT_EVERY === 0) this.#count();
      for (const state of this.list.querySelectorAll(".ongoing")) say(state, ongoing(state.dataset.stream));
    });
  }

  show() {
    this.isOpen = true;
    this.#load();
  }

  hide() {
    this.isOpen = false;
  }

  /** @param {Alert} alert */
  async #take(alert) {
    // Alerts are rare and matter: they are read out.
    say(this.announcer, alert.until_us === null ? `Alert: ${alert.text}` : `Alert ended: ${alert.text}`);
    await this.#refresh();
  }

  async #refresh() {
    if (!has("/alerts")) return;
    await this.#count();
    if (this.isOpen) await this.#load();
  }

  async #count() {
    try {
      const [open, more] = await all("/alerts", { open: true }, "alerts", MOST);
      const words = `${open.length}${more ? "+" : ""}`;
      this.badge.hidden = open.length === 0;
      say(this.badge, words);
      this.badge.setAttribute("aria-label", `${words} ongoing`);
    } catch {
      // Asked again soon.
    }
  }

  async #load() {
    try {
      const [last, moreLast] = await all("/alerts", { open: true }, "alerts", MOST);
      const [alerts, more] = await all("/alerts", {}, "alerts", MOST);
      const over = alerts.filter(({ until_us: until }) => until !== null);
      const ids = new Set(over.map(({ id }) => id)); // those that have ended between the two questions
      const open = last.filter(({ id }) => !ids.has(id));
      const { rules } = has("/rules") ? await ask("/rules") : { rules: [] };
      this.list.replaceChildren(...[...open, ...over].map(itemOf));
      this.#showRules(rules, open.length + over.length);
      if (more || moreLast) this.list.append(make("li", {}, note(`Showing the newest ${MOST} alerts.`)));
    } catch (problem) {
      this.list.replaceChildren(make("li", {}, note(messageOf(problem), "", "bad")));
    }
  }

  /**
   * @param {any[]} rules
   * @param {number} alerts
   */
  #showRules(rules, alerts) {
    if (rules.length) {
      const empty = alerts ? [] : [note("No alerts yet.")];
      this.rules.replaceChildren(...empty, make("h3", {}, "Rules"), make("ul", {}, ...rules.map(ruleOf)));
      return;
    }
    this.rules.replaceChildren(
      note("No rules yet. Write one to a file, such as rules.yaml:"),
      make("pre", { tabindex: 0 }, make("code", {}, EXAMPLE)),
      note("Then start with it: ", "framewatch up --rules rules.yaml"),
    );
  }
}

/** @type {import("../lib/types.js").Mount} */
export function mount(section) {
  return new AlertsView(section);
}
