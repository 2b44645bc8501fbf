// Elements made from plain values. Text is always text: nothing that a server says is read as HTML.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element; functions among the attributes listen to the event of that name. */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element, in the same way. */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Write only what changes, so that a screen reader tells a change and not each second. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function find(selector, within = document) {
  return within.querySelector(selector);
}

/** A bar from 0 to 1 with its name for those who cannot see it; `shade` is a class that gives it a colour. */
export function bar(share, name, shade = "") {
  const meter = make("meter", { min: 0, max: 1, value: share, "aria-label": name, class: shade });
  return meter;
}

/** Words in place of a list: what is missing, and what to do about it (`code` is a command to type). */
export function note(text, code = "", kind = "note") {
  return make("p", { class: kind }, text, code ? make("code", {}, code) : null);
}

/** Bring the children of a list up to date by key, keeping those that stay: focus and clicks are not lost. */
export function reconcile(list, keys, known, build) {
  const gone = new Set(known.keys());
  keys.forEach((key, index) => {
    gone.delete(key);
    if (!known.has(key)) known.set(key, build(key));
    const element = known.get(key).element;
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
  for (const key of gone) {
    known.get(key).close?.();
    known.get(key).element.remove();
    known.delete(key);
  }
}
