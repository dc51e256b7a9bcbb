// Short notes at the edge of the page; errors stay until they are closed.
import { html, useEffect, useState } from "../../vendor/htm-preact-standalone.js";

let toasts = [], next = 1;
const listeners = new Set();

function change(list) {
  toasts = list;
  for (const listener of listeners) listener(list);
}

/** @param {string} text @param {"note"|"error"} [kind] */
export function toast(text, kind = "note") {
  const same = toasts.find((t) => t.text === text && t.kind === kind);
  if (same) return;
  const mine = { id: next++, text, kind };
  change([...toasts, mine].slice(-4));
  if (kind !== "error") setTimeout(() => dismiss(mine.id), 5000);
}

function dismiss(id) {
  change(toasts.filter((t) => t.id !== id));
}

/** Once a page. */
export function Toasts() {
  const [list, setList] = useState(toasts);
  useEffect(() => {
    listeners.add(setList);
    return () => listeners.delete(setList);
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${list.map((t) => html`<div key=${t.id} class=${`toast ${t.kind}`}>
      <span class="toast-word">${t.kind === "error" ? "Not done" : "Note"}</span>
      <span class="toast-text">${t.text}</span>
      <button type="button" class="icon-button" aria-label="Close this note" onClick=${() => dismiss(t.id)}>✕</button>
    </div>`)}
  </div>`;
}
