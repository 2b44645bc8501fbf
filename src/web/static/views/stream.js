// @ts-check
// One stream: its live picture, its last hour, and its events.
import { find, say } from "../lib/dom.js";
import { has, server, watch } from "../lib/server.js";
import { EventLog } from "../parts/event-log.js";
import { screen } from "../parts/player.js";
import { figuresOf, showLabels } from "../parts/status.js";
import { startStrip } from "../parts/strip.js";

class StreamView {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.heading = find("h2", section);
    this.figures = find(".figures", section);
    this.seen = find(".seen", section);
    this.bands = find(".bands", section);
    const empty = "No events from this stream yet. They appear here as they happen.";
    this.log = new EventLog(find(".log", section), "Events", empty);
    const { element, player } = screen();
    this.player = player;
    find(".screen", section).append(element);
    /** @type {string | null} */
    this.name = null;
    this.wasAway = false;
    this.stopStrip = () => {};
    watch(() => this.#update());
    document.addEventListener("visibilitychange", () => {
      if (this.name === null) return;
      if (document.hidden) this.player.stop();
      else this.player.play(this.name);
    });
  }

  /** @param {import("../lib/types.js").Route} route */
  show({ name }) {
    this.stopStrip();
    say(this.heading, name);
    if (this.name !== name) this.player.play(name);
    this.name = name;
    if (has("/events")) this.log.open({ stream: name });
    if (has("/episodes")) this.stopStrip = startStrip(this.bands, name, "1h");
    this.#update();
  }

  hide() {
    this.name = null;
    this.stopStrip();
    this.log.close();
    this.player.close();
  }

  #update() {
    if (this.name === null) return;
    const away = server.awaySince !== null;
    if (!away) {
      this.#fill(server.streams.find(({ stream }) => stream === this.name));
      this.player.check(this.wasAway);
    }
    this.wasAway = away;
  }

  /** @param {import("../lib/types.js").StreamStatus | undefined} status */
  #fill(status) {
    if (status) {
      say(this.figures, `frame ${status.frame} · ${figuresOf(status)}`);
      showLabels(this.seen, status);
    } else {
      say(this.figures, "This stream is offline. Its picture appears as soon as it is back.");
      this.seen.replaceChildren();
      delete this.seen.dataset.key;
    }
  }
}

/** @type {import("../lib/types.js").Mount} */
export function mount(section) {
  return new StreamView(section);
}
