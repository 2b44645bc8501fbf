// @ts-check
// The wall of streams: one alone moves as a live picture, several show their newest picture in turns.
import { find, make, reconcile, say } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { server, watch } from "../lib/server.js";
import { screen } from "./player.js";
import { figuresOf, isStalled, showLabels, watched } from "./status.js";
import { Stills } from "./stills.js";

/**
 * @typedef {object} Tile
 * @property {HTMLLIElement} element
 * @property {HTMLElement} figures
 * @property {HTMLElement} seen
 * @property {import("./player.js").Player} [player]
 * @property {HTMLCanvasElement} [canvas]
 * @property {() => void} close
 */

export class Wall {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.list = find("#wall", section);
    this.empty = find(".empty", section);
    /** @type {Map<string, Tile>} */
    this.tiles = new Map();
    /** @type {"one" | "many" | null} */
    this.kind = null;
    this.stills = new Stills();
    this.isOpen = false;
    this.wasAway = false;
    watch(() => this.#update());
    document.addEventListener("visibilitychange", () => this.#sleep());
  }

  open() {
    this.isOpen = true;
    this.#update();
  }

  close() {
    this.isOpen = false;
    this.#closeTiles();
  }

  #closeTiles() {
    reconcile(this.list, [], this.tiles, (name) => this.#build(name, false));
    this.list.replaceChildren(); // with what the server wrote to keep their space
    this.kind = null;
  }

  #sleep() {
    const player = this.tiles.values().next().value?.player;
    if (!player) return;
    if (document.hidden) player.stop();
    else if (player.stream !== null) player.play(player.stream);
  }

  #update() {
    const away = server.awaySince !== null;
    if (!this.isOpen) return;
    if (!away && server.health !== null) {
      this.#updateTiles();
      this.empty.hidden = this.tiles.size > 0;
    }
    for (const { player } of this.tiles.values()) if (!away) player?.check(this.wasAway);
    this.wasAway = away;
  }

  #updateTiles() {
    const streams = new Map(watched(server.streams).map((status) => [status.stream, status]));
    const kind = streams.size === 1 ? "one" : "many";
    if (this.kind !== kind) this.#closeTiles();
    this.kind = this.list.dataset.kind = kind;
    reconcile(this.list, [...streams.keys()], this.tiles, (name) => this.#build(name, kind === "one"));
    for (const [name, tile] of this.tiles) {
      const status = streams.get(name);
      if (status) this.#fill(tile, status);
    }
  }

  /**
   * @param {string} name
   * @param {boolean} moves
   * @returns {Tile}
   */
  #build(name, moves) {
    const figures = make("p", { class: "figures" });
    const seen = make("p", { class: "seen" });
    const link = make("a", { href: `#/stream/${encodeURIComponent(name)}`, class: "name", title: name }, name);
    const preset = make("span", { class: "preset" }, server.about.preset ?? "");
    const words = make("div", { class: "words" }, make("h3", {}, link), preset, seen, figures);
    if (moves) {
      const { element, player } = screen();
      player.play(name);
      const tile = make("li", { class: "tile" }, element, words);
      return { element: tile, figures, seen, player, close: () => player.close() };
    }
    const named = { role: "img", "aria-label": `Latest picture of ${name}` };
    const canvas = make("canvas", { width: 640, height: 360, ...named });
    this.stills.add(canvas, name);
    const tile = make("li", { class: "tile" }, make("figure", { class: "picture" }, canvas), words);
    return { element: tile, figures, seen, canvas, close: () => this.stills.remove(canvas) };
  }

  /**
   * @param {Tile} tile
   * @param {import("../lib/types.js").StreamStatus} status
   */
  #fill(tile, status) {
    say(tile.figures, figuresOf(status));
    tile.figures.title = `frame ${status.frame}, captured ${ago(status.time_us)}`;
    showLabels(tile.seen, status);
    const stalled = isStalled(status);
    tile.element.classList.toggle("stalled", stalled);
    if (tile.canvas) this.stills.mark(tile.canvas, !stalled);
  }
}
