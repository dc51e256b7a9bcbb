// Mouse, touch, wheel and keys on the graph, made into pan, zoom, hover and selection.

const CLICK = 5; // CSS pixels that a press may move and still be a click

/**
 * @param {HTMLElement} host
 * @param {{pan: (dx: number, dy: number) => void, zoom: (f: number, x: number, y: number) => void, hover: (x: number, y: number) => void,
 *   leave: () => void, click: (x: number, y: number, finger: boolean) => void, open: (x: number, y: number) => void, key: (e: KeyboardEvent) => boolean}} on
 * @returns {() => void} ends it
 */
export function listen(host, on) {
  const down = new Map();
  let moved = 0, spread = 0;
  const place = (e) => {
    const box = host.getBoundingClientRect();
    return { x: e.clientX - box.left, y: e.clientY - box.top };
  };
  const between = () => {
    const [p, q] = [...down.values()];
    return { d: Math.hypot(p.x - q.x, p.y - q.y), x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 };
  };
  const handlers = {
    pointerdown(e) {
      if (e.button !== 0) return;
      host.setPointerCapture(e.pointerId);
      down.set(e.pointerId, place(e));
      if (down.size === 1) moved = 0;
      if (down.size === 2) spread = between().d;
    },
    pointermove(e) {
      const now = place(e), before = down.get(e.pointerId);
      if (!before) return on.hover(now.x, now.y);
      if (down.size === 1) {
        moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
        if (moved > CLICK) on.pan(now.x - before.x, now.y - before.y);
      }
      down.set(e.pointerId, now);
      if (down.size === 2) {
        const pair = between();
        moved = CLICK + 1;
        if (spread > 0) on.zoom(pair.d / spread, pair.x, pair.y);
        spread = pair.d;
      }
    },
    pointerup(e) {
      if (!down.delete(e.pointerId)) return;
      const at = place(e);
      if (moved <= CLICK && down.size === 0) on.click(at.x, at.y, e.pointerType === "touch");
    },
    pointercancel(e) {
      down.delete(e.pointerId);
    },
    pointerleave() {
      on.leave();
    },
    dblclick(e) {
      const at = place(e);
      on.open(at.x, at.y);
    },
    wheel(e) {
      e.preventDefault();
      const at = place(e), unit = e.deltaMode === 1 ? 16 : 1;
      on.zoom(Math.exp(-Math.max(-60, Math.min(60, e.deltaY * unit)) * 0.005), at.x, at.y);
    },
    keydown(e) {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      if (on.key(e)) {
        e.preventDefault();
        e.stopPropagation();
      }
    },
  };
  for (const [name, handler] of Object.entries(handlers)) host.addEventListener(name, handler, name === "wheel" ? { passive: false } : undefined);
  return () => {
    for (const [name, handler] of Object.entries(handlers)) host.removeEventListener(name, handler);
  };
}
