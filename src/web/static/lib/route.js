// @ts-check
// The address of the page says which view is open and with which filters, so it can be bookmarked.
import { query } from "./api.js";

/** @typedef {import("./types.js").Filters} Filters */

/** @type {(keyof Filters)[]} */
const NAMES = ["stream", "label", "since", "until", "min_confidence"];

/**
 * Only the filters that are set, as the server expects them.
 * @param {Filters} filters
 * @returns {Filters}
 */
export function setFilters(filters) {
  return Object.fromEntries(NAMES.filter((name) => filters[name]).map((name) => [name, filters[name]]));
}

/**
 * Whether these filters let an event pass that arrives now.
 * @param {import("./types.js").DetectedEvent} event
 * @param {Filters} filters
 */
export function matches(event, { stream, label, min_confidence: least }) {
  return (
    (!stream || event.stream === stream) && (!label || event.label === label) && event.confidence >= Number(least ?? 0)
  );
}

/**
 * The address of a view with these filters.
 * @param {string} view
 * @param {Filters} filters
 */
export function linkTo(view, filters) {
  return `#/${view}${query({ ...setFilters(filters) })}`;
}

/**
 * Where an address leads; `known` are the names of the views, the first one for what is none of them.
 * @param {string} hash
 * @param {string[]} known
 * @returns {import("./types.js").Route}
 */
export function routeOf(hash, known) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/");
  let name = "";
  try {
    name = decodeURIComponent(rest.join("/"));
  } catch {
    // Not a name that this page has written.
  }
  return {
    view: known.includes(view) ? view : known[0],
    name,
    filters: Object.fromEntries(new URLSearchParams(search)),
  };
}
