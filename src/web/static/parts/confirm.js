// @ts-check
// A question before something is deleted.
import { find, say } from "../lib/dom.js";

/** @type {HTMLDialogElement | null} */
let dialog = null;

/**
 * Use this dialog for questions.
 * @param {HTMLDialogElement} element
 */
export function mountConfirm(element) {
  dialog = element;
  addEventListener("hashchange", () => element.close()); // as by the browser's Back
}

/**
 * Ask for a yes; false for no, Escape, and whatever else closes the question.
 * @param {string} words
 * @returns {Promise<boolean>}
 */
export function confirmed(words) {
  const asked = dialog;
  if (!asked) return Promise.resolve(false);
  say(find("p", asked), words);
  asked.returnValue = "";
  asked.showModal();
  return new Promise((resolve) => {
    asked.addEventListener("close", () => resolve(asked.returnValue === "yes"), { once: true });
  });
}
