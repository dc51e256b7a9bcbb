// Leaving the page while somebody is played: a warning, and the ways to do it.

import { html, useEffect, useState } from "../../vendor/htm-preact-standalone.js";
import { go } from "../router.js";
import { Dialog } from "../ui/dialog.js";

/** The link that a plain click would follow away from here, or null. */
function awayLink(event) {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!link || link.target || link.hasAttribute("download")) return null;
  const there = new URL(link.href, location.href);
  return there.pathname === location.pathname ? null : link;
}

/** @param {{name: string, active: boolean, onHandBack: () => Promise<boolean>}} props */
export function Leaving({ name, active, onHandBack }) {
  const [target, setTarget] = useState("");
  useEffect(() => {
    if (!active) return undefined;
    const clicked = (event) => {
      const link = event.target instanceof Element && event.target.closest("dialog") ? null : awayLink(event);
      if (!link) return;
      event.preventDefault();
      event.stopPropagation();
      setTarget(link.getAttribute("href"));
    };
    const unloading = (event) => {
      event.preventDefault();
      event.returnValue = "";
    };
    document.addEventListener("click", clicked, true);
    window.addEventListener("beforeunload", unloading);
    return () => {
      document.removeEventListener("click", clicked, true);
      window.removeEventListener("beforeunload", unloading);
    };
  }, [active]);
  if (!target) return null;
  const leave = () => {
    setTarget("");
    go(target);
  };
  return html`
    <${Dialog} title=${`You still play ${name}`} onClose=${() => setTarget("")}>
      <div class="leaving"><p>Every turn that you miss waits out its time before ${name}’s own mind decides; after a whole round without you ${name} is handed back.</p>
      <div class="form-buttons">
        <button type="button" class="button primary" onClick=${() => setTarget("")}>Stay</button>
        <button type="button" class="button" onClick=${async () => (await onHandBack()) && leave()}>Hand back and leave</button>
        <button type="button" class="button" onClick=${leave}>Leave all the same</button>
      </div></div>
    <//>`;
}
