// Light or dark: as the system has it, or as the reader wants it.
import { effect, signal } from "./vendor/preact.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const systemTheme = signal(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => (systemTheme.value = dark.matches ? "dark" : "light"));

/** "system", "light" or "dark". */
export const choice = signal(localStorage.getItem("theme") || "system");
effect(() => {
  localStorage.setItem("theme", choice.value);
  document.documentElement.dataset.theme = theme();
});

/** @returns {"light" | "dark"} */
export function theme() {
  return /** @type {any} */ (choice.value === "system" ? systemTheme.value : choice.value);
}
