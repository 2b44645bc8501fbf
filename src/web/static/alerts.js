// Alerts: what lasts first, then what was; and the rules that raise them.
import { all, ask } from "./api.js";
import { chip } from "./colours.js";
import { find, make, note, say } from "./dom.js";
import { follow } from "./feed.js";
import { linkTo } from "./filters.js";
import { count, duration, exact, iso, moment } from "./format.js";
import { has, server, watch } from "./server.js";
import { figuresOf, standsStill } from "./wall.js";

const MOST = 200;
const EVERY_LOOKS = 15;
const EXAMPLE = `rules:
  - name: sitting too long
    label: sitting
    for at least: 30m
    within: 1h`;

/** That an alert lasts; and that no frame of its stream comes, if so, since nobody knows then whether it is over. */
function lasting(stream) {
  const status = server.streams.find(({ stream: name }) => name === stream);
  if (!status) return "lasts · no frame of its stream has come to this server";
  return standsStill(status) ? `lasts · ${figuresOf(status)}` : "lasts";
}

function itemOf(alert) {
  const until = alert.until_us ?? 1000 * Date.now();
  const filters = { stream: alert.stream, label: alert.label, since: iso(alert.since_us), until: iso(until + 1e6) };
  const lasts = alert.until_us === null;
  const state = lasts
    ? make("strong", { class: "lasts", "data-stream": alert.stream }, lasting(alert.stream))
    : make("span", { class: "quiet" }, `ended after ${duration((until - alert.start_us) / 1e6)}`);
  const sent = {
    waiting: "webhook: waits",
    sent: "webhook: sent",
    failed: `webhook: failed after ${count(alert.attempts, "try", "tries")}: ${alert.error}`,
  }[alert.webhook];
  const words = make("p", {}, make("a", { href: linkTo("events", filters) }, alert.text));
  const facts = make("p", { class: "quiet" }, chip(alert.label), ` ${alert.stream} · ${alert.rule} · `);
  facts.append(moment(alert.start_us), " · ", state, sent ? ` · ${sent}` : "");
  return make("li", { class: lasts ? "alert open" : "alert", title: exact(alert.start_us) }, words, facts);
}

/** A rule in a sentence. */
function ruleOf(rule) {
  const parts = [
    rule.for_at_least ? `for at least ${duration(rule.for_at_least)}` : "at all",
    rule.within ? `within ${duration(rule.within)}` : "",
    rule.between_hours?.length ? `between ${rule.between_hours.join(" and ")} ${rule.timezone ?? ""}`.trim() : "",
    rule.on_stream?.length ? `on ${[].concat(rule.on_stream).join(", ")}` : "",
    rule.confidence ? `with a confidence of ${rule.confidence} or more` : "",
  ];
  return make("li", {}, make("strong", {}, rule.name), ": ", chip(rule.label), parts.filter(Boolean).join(", "));
}

export class Alerts {
  constructor(section, badge) {
    this.list = find(".alerts", section);
    this.rules = find(".rules", section);
    this.said = find("#announcer");
    this.badge = badge;
    this.open = false;
    this.looks = 0;
    follow({ alert: (alert) => this.#take(alert) });
    watch(() => {
      if (server.awaySince === null && has("/alerts") && this.looks++ % EVERY_LOOKS === 0) this.#count();
      for (const state of this.list.querySelectorAll(".lasts")) say(state, lasting(state.dataset.stream));
    });
  }

  show(open) {
    this.open = open;
    if (open) this.#load();
  }

  async #count() {
    try {
      const [open, more] = await all("/alerts", { open: true }, "alerts", MOST);
      const words = `${open.length}${more ? "+" : ""}`;
      this.badge.hidden = open.length === 0;
      say(this.badge, words);
      this.badge.setAttribute("aria-label", `${words} that last`);
    } catch {
      // Asked again soon.
    }
  }

  async #take(alert) {
    // Alerts are rare and matter: they are read out.
    say(this.said, alert.until_us === null ? `Alert: ${alert.text}` : `Alert over: ${alert.text}`);
    await this.#count();
    if (this.open) await this.#load();
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
      if (more || moreLast) this.list.append(make("li", {}, note(`The newest ${MOST} are shown.`)));
    } catch (problem) {
      this.list.replaceChildren(make("li", {}, note(problem.message, "", "bad")));
    }
  }

  #showRules(rules, alerts) {
    if (rules.length) {
      const empty = alerts ? [] : [note("No rule was broken yet.")];
      this.rules.replaceChildren(...empty, make("h3", {}, "Rules"), make("ul", {}, ...rules.map(ruleOf)));
      return;
    }
    const steps = [
      note("No rules yet. Write one into a file, for example rules.yaml:"),
      make("pre", { tabindex: 0 }, make("code", {}, EXAMPLE)),
      note("and start with it: ", "framewatch up --rules rules.yaml"),
    ];
    this.rules.replaceChildren(...steps);
  }
}
