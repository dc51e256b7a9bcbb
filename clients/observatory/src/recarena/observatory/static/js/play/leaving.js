// Leaving the page while somebody is played: a warning, and the ways to do it.

import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { go, guardBack } from "../router.js";
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
  const [target, setTarget] = useState(null);
  const free = useRef(false);
  useEffect(() => {
    if (!active) return undefined;
    free.current = false;
    const here = location.pathname + location.search, { pathname } = location;
    const clicked = (event) => {
      const link = event.target instanceof Element && event.target.closest("dialog") ? null : awayLink(event);
      if (!link) return;
      event.preventDefault();
      event.stopPropagation();
      const to = link.getAttribute("href");
      setTarget({ leave: () => go(to) });
    };
    // The browser has gone back by the time it says so: the page's place is put on top again.
    const endGuard = guardBack(() => {
      if (free.current || location.pathname === pathname) return false;
      history.pushState(null, "", here);
      setTarget({ leave: () => history.back() });
      return true;
    });
    const unloading = (event) => {
      event.preventDefault();
      event.returnValue = "";
    };
    document.addEventListener("click", clicked, true);
    window.addEventListener("beforeunload", unloading);
    return () => {
      document.removeEventListener("click", clicked, true);
      endGuard();
      window.removeEventListener("beforeunload", unloading);
    };
  }, [active]);
  if (!target) return null;
  const leave = () => {
    free.current = true;
    setTarget(null);
    target.leave();
  };
  return html`
    <${Dialog} title=${`You still play ${name}`} onClose=${() => setTarget(null)}>
      <div class="leaving"><p>Every turn that you miss waits out its time before ${name}’s own mind decides; after a whole round without you ${name} is handed back.</p>
      <div class="form-buttons">
        <button type="button" class="button primary" onClick=${() => setTarget(null)}>Stay</button>
        <button type="button" class="button" onClick=${async () => (await onHandBack()) && leave()}>Hand back and leave</button>
        <button type="button" class="button" onClick=${leave}>Leave all the same</button>
      </div></div>
    <//>`;
}
