// @ts-check
// What comes in now: the wall of streams, the last minutes as a timeline, and the newest events.
import { find } from "../lib/dom.js";
import { has } from "../lib/server.js";
import { startStrip } from "../parts/strip.js";
import { Wall } from "../parts/wall.js";
import { mountLog } from "./events.js";

/** @type {import("../lib/types.js").Mount} */
export function mount(section) {
  const wall = new Wall(section);
  const log = mountLog(section, "live", "Latest events");
  let stopStrip = () => {};
  return {
    show(route) {
      section.classList.toggle("alone", !has("/events"));
      wall.open();
      log.show(route);
      stopStrip();
      if (has("/episodes")) stopStrip = startStrip(find("#lately", section), "", "15m");
    },
    hide() {
      wall.close();
      log.hide?.();
      stopStrip();
    },
  };
}
