// @ts-check
// Light or dark: as the system says, until somebody chooses. Loaded before the page is painted, so nothing flashes.
const KEY = "framewatch-theme";
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // a browser that keeps nothing for this site
  }
}

/** @param {string | null} chosen */
function apply(chosen) {
  root.dataset.theme = chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
}

function choose() {
  const chosen = root.dataset.theme === "dark" ? "light" : "dark";
  apply(chosen);
  try {
    if (chosen === (dark.matches ? "dark" : "light")) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, chosen);
  } catch {
    // It holds until the page is closed.
  }
}

apply(remembered());
dark.addEventListener("change", () => apply(remembered()));
addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme");
  if (!button) return;
  const name = () => button.setAttribute("aria-pressed", String(root.dataset.theme === "dark"));
  button.addEventListener("click", () => {
    choose();
    name();
  });
  dark.addEventListener("change", name);
  name();
});
