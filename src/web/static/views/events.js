// @ts-check
// The log of events, with its filters in the address.
import { find } from "../lib/dom.js";
import { linkTo } from "../lib/route.js";
import { has } from "../lib/server.js";
import { EventLog } from "../parts/event-log.js";
import { FilterForm } from "../parts/filters.js";

/**
 * A log with the form of its filters, in a section that has a place for each.
 * @param {HTMLElement} section
 * @param {string} view  whose address holds the filters
 * @param {string} heading
 * @returns {import("../lib/types.js").View}
 */
export function mountLog(section, view, heading) {
  const form = new FilterForm(find(".filter", section), (filters) => (location.hash = linkTo(view, filters)));
  const log = new EventLog(find(".log", section), heading);
  return {
    show({ filters }) {
      form.value = filters;
      if (has("/events")) log.open(filters);
    },
    hide: () => log.close(),
  };
}

/** @type {import("../lib/types.js").Mount} */
export function mount(section) {
  return mountLog(section, "events", "Events");
}
