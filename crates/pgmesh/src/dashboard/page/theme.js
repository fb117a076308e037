// Light or dark: as the system has it, unless a person says otherwise.

import { say } from "./dom.js";

const CHOICES = ["system", "light", "dark"];
const KEY = "pgmesh-theme";

export function createTheme(button, onChange) {
  apply(button, remembered());
  button.addEventListener("click", () => {
    const next = CHOICES[(CHOICES.indexOf(remembered()) + 1) % CHOICES.length];
    remember(next);
    apply(button, next);
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}

function apply(button, choice) {
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  say(button, `theme: ${choice}`);
}

/// A browser may forbid to keep anything; then the choice lasts as long as the page.
let unkept = "system";

function remembered() {
  try {
    return localStorage.getItem(KEY) ?? unkept;
  } catch {
    return unkept;
  }
}

function remember(choice) {
  unkept = choice;
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // It lasts as long as the page.
  }
}
