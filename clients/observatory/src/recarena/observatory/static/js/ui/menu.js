import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";

/**
 * A button that opens a menu below it; arrows, Home, End, Escape and letters work.
 * @param {{label: string, items: {label: string, hint?: string, disabled?: boolean, onPick: () => void}[],
 *   disabled?: boolean, title?: string, kind?: string}} props
 */
export function MenuButton({ label, items, disabled = false, title, kind = "" }) {
  const [open, setOpen] = useState(false);
  const root = useRef(null);
  const entries = () => [...root.current.querySelectorAll('[role="menuitem"]')];
  useEffect(() => {
    if (!open) return undefined;
    const box = root.current.querySelector("button").getBoundingClientRect(), list = root.current.querySelector(".menu-list");
    list.style.right = `${Math.max(8, document.documentElement.clientWidth - box.right)}px`;
    const below = window.innerHeight - box.bottom - 12 >= list.offsetHeight;
    list.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - 4 - list.offsetHeight)}px`;
    entries()[0]?.focus();
    const away = (e) => { if (!root.current.contains(e.target)) setOpen(false); };
    const leave = () => setOpen(false);
    document.addEventListener("pointerdown", away);
    window.addEventListener("resize", leave);
    document.addEventListener("scroll", leave, true);
    return () => {
      document.removeEventListener("pointerdown", away);
      window.removeEventListener("resize", leave);
      document.removeEventListener("scroll", leave, true);
    };
  }, [open]);
  const shut = () => {
    setOpen(false);
    root.current.querySelector("button").focus();
  };
  const key = (e) => {
    const all = entries(), now = all.indexOf(document.activeElement);
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: all.length - 1 }[e.key];
    if (to !== undefined) {
      e.preventDefault();
      e.stopPropagation();
      all[(to + all.length) % all.length]?.focus();
    } else if (e.key === "Escape") {
      e.preventDefault();
      e.stopPropagation();
      shut();
    } else if (e.key === "Tab") setOpen(false);
    else if (e.key.length === 1 && /\S/.test(e.key)) {
      e.stopPropagation();
      all.find((a) => a.textContent.toLowerCase().startsWith(e.key.toLowerCase()))?.focus();
    }
  };
  return html`<span class="menu" ref=${root}>
    <button type="button" class=${`button ${kind}`} aria-haspopup="menu" aria-expanded=${String(open)} disabled=${disabled} title=${title}
      onClick=${() => setOpen(!open)}>${label}<span class="menu-mark" aria-hidden="true">▾</span></button>
    ${open ? html`<div class="menu-list" role="menu" aria-label=${label} onKeyDown=${key}>${items.map((item) => html`<button
      key=${item.label} type="button" role="menuitem" tabIndex="-1" aria-disabled=${String(Boolean(item.disabled))}
      onClick=${() => { if (!item.disabled) { shut(); item.onPick(); } }}>
      <span>${item.label}</span>${item.hint ? html`<span class="menu-hint">${item.hint}</span>` : null}</button>`)}</div>` : null}
  </span>`;
}
