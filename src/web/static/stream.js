// One stream, opened: its live picture, the last hour as a strip, and its own log.
import { find, say } from "./dom.js";
import { Log } from "./log.js";
import { screen } from "./player.js";
import { has, server, watch } from "./server.js";
import { figuresOf, showLabels } from "./wall.js";

export class StreamPage {
  /** `strip` draws the stretches of a stream until what it returns is called. */
  constructor(section, strip) {
    this.heading = find("h2", section);
    this.figures = find(".figures", section);
    this.seen = find(".seen", section);
    this.bands = find(".bands", section);
    this.strip = strip;
    this.log = new Log(
      find(".log", section),
      "Its events",
      "No events of this stream yet: they come here by themselves.",
    );
    const { element, player } = screen();
    this.player = player;
    this.picture = element;
    find(".place", section).append(element);
    this.name = null;
    this.wasAway = false;
    this.ends = () => {};
    watch(() => this.#update());
    document.addEventListener("visibilitychange", () => {
      if (this.name === null) return;
      if (document.hidden) this.player.stop();
      else this.player.play(this.name);
    });
  }

  show(open, name) {
    this.ends();
    this.ends = () => {};
    this.log.close();
    this.player.close();
    this.name = open ? name : null;
    if (!open) return;
    say(this.heading, name);
    this.player.play(name);
    if (has("/events")) this.log.open({ stream: name });
    if (has("/episodes")) this.ends = this.strip(this.bands, name);
    this.#update();
  }

  #update() {
    if (this.name === null) return;
    const away = server.awaySince !== null;
    if (!away) this.#fill(server.streams.find(({ stream }) => stream === this.name));
    if (!away) this.player.look(this.wasAway);
    this.wasAway = away;
  }

  #fill(status) {
    if (status) {
      say(this.figures, `frame ${status.frame} · ${figuresOf(status)}`);
      showLabels(this.seen, status);
    } else {
      say(this.figures, "This stream is not there now: its picture comes as soon as it is.");
      this.seen.replaceChildren();
      delete this.seen.dataset.key;
    }
  }
}
