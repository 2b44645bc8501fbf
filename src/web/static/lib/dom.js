// @ts-check
// Elements made from plain values. Text is always text: nothing that a server says is read as HTML.
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Record<string, any>} Attributes */
/** @typedef {Node | string | null | undefined} Child */

/**
 * @template {Element} E
 * @param {E} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 * @returns {E}
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/**
 * An HTML element; functions among the attributes listen to the event of that name.
 * @template {keyof HTMLElementTagNameMap} N
 * @param {N} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[N]}
 */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/**
 * An SVG element, in the same way.
 * @template {keyof SVGElementTagNameMap} N
 * @param {N} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[N]}
 */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/**
 * Write only what changes, so that a screen reader tells a change and not each second.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * The first element of this kind, which must be there.
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {any}
 */
export function find(selector, within = document) {
  const found = within.querySelector(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * A bar from 0 to 1 with its name for those who cannot see it; `shade` is a class that gives it a colour.
 * @param {number} share
 * @param {string} name
 */
export function bar(share, name, shade = "") {
  return make("meter", { min: 0, max: 1, value: share, "aria-label": name, class: shade });
}

/**
 * Words in place of a list: what is missing, and what to do about it (`code` is a command to type).
 * @param {string} text
 */
export function note(text, code = "", kind = "note") {
  return make("p", { class: kind }, text, code ? make("code", {}, code) : null);
}

/**
 * Bring the children of a list up to date by key, keeping those that stay: focus and clicks are not lost.
 * @template {{ element: Element, close?: () => void }} T
 * @param {Element} list
 * @param {string[]} keys
 * @param {Map<string, T>} known
 * @param {(key: string) => T} build
 */
export function reconcile(list, keys, known, build) {
  const gone = new Map(known);
  keys.forEach((key, index) => {
    gone.delete(key);
    const entry = known.get(key) ?? build(key);
    known.set(key, entry);
    if (list.children[index] !== entry.element) list.insertBefore(entry.element, list.children[index] ?? null);
  });
  for (const [key, entry] of gone) {
    entry.close?.();
    entry.element.remove();
    known.delete(key);
  }
}
