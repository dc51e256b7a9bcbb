// Light, dark, or as the system has it; kept on this computer.
import { html, useEffect, useState } from "../../vendor/htm-preact-standalone.js";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();
const tell = () => listeners.forEach((f) => f());
dark.addEventListener("change", tell);

/** The theme in force. @returns {"light"|"dark"} */
export const themeNow = () => document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");

/** Calls back when colours change. @param {() => void} f @returns {() => void} ends it */
export function onTheme(f) {
  listeners.add(f);
  return () => listeners.delete(f);
}

/** Renders again when colours change. @returns {"light"|"dark"} */
export function useTheme() {
  const [now, setNow] = useState(themeNow());
  useEffect(() => onTheme(() => setNow(themeNow())), []);
  return now;
}

/** A colour token as it is now, for canvases. @param {string} name such as "--ink" */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Whether motion should be spared. */
export const stillPlease = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export function ThemeButton() {
  const now = useTheme();
  const other = now === "dark" ? "light" : "dark";
  const turn = () => {
    document.documentElement.dataset.theme = other;
    try {
      localStorage.setItem("recarena-theme", other);
    } catch (_) {
      // Storage is shut: the choice lasts as long as the page.
    }
    tell();
  };
  return html`<button type="button" class="icon-button" aria-label=${`Use ${other} colours`} title=${`Use ${other} colours`} onClick=${turn}>
    <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5" /><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" /></svg></button>`;
}
