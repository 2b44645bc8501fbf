// The wall of streams: one alone moves as a live picture, several show their newest picture in turns.
import { chip } from "./colours.js";
import { find, make, reconcile, say } from "./dom.js";
import { ago, delay, duration } from "./format.js";
import { screen } from "./player.js";
import { server, watch } from "./server.js";
import { Stills } from "./stills.js";

const STILL_S = 5; // without a new frame, after which a stream stands still

/** By both: the clock of a camera may be another one, and a slow stream has no frame in some seconds. */
export function standsStill(status) {
  return status.frames_per_second === 0 && status.age_s > STILL_S;
}

/** Streams to look at: all but uploads that are over, which have pages of their own. */
export function watched(streams) {
  return streams.filter(({ over }) => !over);
}

/** Frames a second, what waits and how old the picture is, as far as they are known. */
export function figuresOf(status) {
  if (standsStill(status)) return `no new frame for ${duration(status.age_s)}`;
  const parts = [`${status.frames_per_second.toFixed(1)} frames/s`];
  if (status.lag !== null && status.lag !== undefined) parts.push(`lag ${status.lag}`);
  if (status.latency_ms !== null && status.latency_ms !== undefined) parts.push(`latency ${delay(status.latency_ms)}`);
  return parts.join(" · ");
}

/** Each label with how many there are of it, in the order of the first. */
function counted(labels) {
  const counts = new Map();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/** What is seen now, as chips; written only when it changes. */
export function showLabels(element, status) {
  const still = standsStill(status);
  const key = still ? "" : status.labels.join("\n");
  const words = still ? "stands still" : "nothing seen";
  if (element.dataset.key === key + words) return;
  element.dataset.key = key + words;
  element.replaceChildren(
    ...(key
      ? [...counted(status.labels)].map(([label, times]) => chip(label, times))
      : [make("span", { class: "quiet" }, words)]),
  );
}

export class Wall {
  constructor(section) {
    this.list = find("ul", section);
    this.empty = find(".empty", section);
    this.tiles = new Map();
    this.kind = null;
    this.stills = new Stills();
    this.open = false;
    this.wasAway = false;
    watch(() => this.#update());
    document.addEventListener("visibilitychange", () => this.#sleep());
  }

  /** The view is looked at now, or no more. */
  show(open) {
    this.open = open;
    if (open) this.#update();
    else this.#closeTiles();
  }

  #closeTiles() {
    reconcile(this.list, [], this.tiles);
    this.list.replaceChildren(); // with what the server wrote to keep their places
    this.kind = null;
  }

  #sleep() {
    const player = this.tiles.values().next().value?.player;
    if (!player) return;
    if (document.hidden) player.stop();
    else player.play(player.stream);
  }

  #update() {
    const away = server.awaySince !== null;
    if (!this.open) return;
    if (!away && server.health !== null) {
      this.#updateTiles();
      this.empty.hidden = this.tiles.size > 0;
    }
    for (const { player } of this.tiles.values()) if (!away) player?.look(this.wasAway);
    this.wasAway = away;
  }

  #updateTiles() {
    const shown = watched(server.streams);
    const kind = shown.length === 1 ? "one" : "many";
    if (this.kind !== kind) this.#closeTiles();
    this.kind = this.list.dataset.kind = kind;
    const streams = new Map(shown.map((status) => [status.stream, status]));
    reconcile(this.list, [...streams.keys()], this.tiles, (name) => this.#build(name, kind === "one"));
    for (const [name, status] of streams) this.#fill(this.tiles.get(name), status);
  }

  #build(name, moves) {
    const figures = make("p", { class: "figures" });
    const seen = make("p", { class: "seen" });
    const link = make("a", { href: `#/stream/${encodeURIComponent(name)}`, class: "name", title: name }, name);
    const tile = { figures, seen };
    let picture;
    if (moves) {
      const { element, player } = screen();
      picture = element;
      Object.assign(tile, { player, close: () => player.close() });
      player.play(name);
    } else {
      const canvas = make("canvas", {
        width: 640,
        height: 360,
        role: "img",
        "aria-label": `Newest picture of ${name}`,
      });
      picture = make("figure", { class: "picture" }, canvas);
      Object.assign(tile, { canvas, close: () => this.stills.remove(canvas) });
      this.stills.add(canvas, name);
    }
    const preset = make("span", { class: "preset" }, server.about.preset ?? "");
    const words = make("div", { class: "words" }, make("h3", {}, link), preset, seen, figures);
    tile.element = make("li", { class: "tile" }, picture, words);
    return tile;
  }

  #fill(tile, status) {
    say(tile.figures, figuresOf(status));
    tile.figures.title = `frame ${status.frame}, captured ${ago(status.time_us)}`;
    showLabels(tile.seen, status);
    const stands = standsStill(status);
    tile.element.classList.toggle("stands", stands);
    if (tile.canvas) this.stills.mark(tile.canvas, !stands);
  }
}
