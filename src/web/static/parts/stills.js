// @ts-check
// Pictures of many streams: each tile's newest one, a few times a second, two requests at a time, in turns.
import { server } from "../lib/server.js";

const AT_A_TIME = 2;
const TILE_MS = 300;
const STEP_MS = 70;
const TIMEOUT_MS = 4000;

/** @typedef {{ canvas: HTMLCanvasElement, stream: string, visible: boolean, busy: boolean, due: number, fresh: boolean }} Tile */

export class Stills {
  constructor() {
    /** @type {Map<Element, Tile>} */
    this.tiles = new Map();
    this.busy = 0;
    this.timer = 0;
    this.seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const tile = this.tiles.get(target);
        if (tile) tile.visible = isIntersecting;
      }
    });
  }

  /**
   * Keep this canvas showing the stream's newest picture.
   * @param {HTMLCanvasElement} canvas
   * @param {string} stream
   */
  add(canvas, stream) {
    this.tiles.set(canvas, { canvas, stream, visible: true, busy: false, due: 0, fresh: true });
    this.seen.observe(canvas);
    this.#plan();
  }

  /** @param {HTMLCanvasElement} canvas */
  remove(canvas) {
    this.tiles.delete(canvas);
    this.seen.unobserve(canvas);
  }

  /**
   * Tell whether anything new comes for this canvas: a stream without new frames needs no new pictures.
   * @param {HTMLCanvasElement} canvas
   * @param {boolean} fresh
   */
  mark(canvas, fresh) {
    const tile = this.tiles.get(canvas);
    if (tile) tile.fresh = fresh || !canvas.dataset.shown;
  }

  #plan() {
    if (!this.timer && this.tiles.size) this.timer = setInterval(() => this.#step(), STEP_MS);
  }

  #step() {
    if (!this.tiles.size) {
      clearInterval(this.timer);
      this.timer = 0;
      return;
    }
    if (document.hidden || server.awaySince !== null || this.busy >= AT_A_TIME) return;
    const now = performance.now();
    /** @type {Tile | null} */
    let next = null;
    for (const tile of this.tiles.values()) {
      const wanted = tile.visible && tile.fresh && !tile.busy && tile.due <= now && tile.canvas.offsetParent;
      if (wanted && (next === null || tile.due < next.due)) next = tile;
    }
    if (next) this.#show(next);
  }

  /** @param {Tile} tile */
  async #show(tile) {
    tile.busy = true;
    this.busy += 1;
    try {
      const address = `/snapshot/${encodeURIComponent(tile.stream)}.jpg`;
      const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!answer.ok) throw new Error(`${answer.status}`);
      const picture = await createImageBitmap(await answer.blob());
      const { canvas } = tile;
      if (canvas.width !== picture.width) canvas.width = picture.width;
      if (canvas.height !== picture.height) canvas.height = picture.height;
      canvas.getContext("2d")?.drawImage(picture, 0, 0);
      canvas.dataset.shown = answer.headers.get("X-Frame") ?? "?";
      picture.close();
      tile.due = performance.now() + TILE_MS;
    } catch {
      tile.due = performance.now() + 1000; // the last picture stays
    } finally {
      tile.busy = false;
      this.busy -= 1;
    }
  }
}
