import { html, useLayoutEffect, useRef } from "../../vendor/htm-preact-standalone.js";
import { drawFace } from "./face.js";
import { Glyph } from "./parts.js";

/**
 * A user's face, with the glyph of what the user does where `action` is given. Decorative: the name stands beside it.
 * @param {{user: string, size?: number, action?: string}} props `user` is the user_id
 */
export function Avatar({ user, size = 24, action }) {
  const canvas = useRef(null);
  useLayoutEffect(() => {
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    const node = canvas.current;
    node.width = node.height = Math.round(size * ratio);
    drawFace(node.getContext("2d"), user, 0, 0, node.width);
  }, [user, size]);
  const box = { width: `${size}px`, height: `${size}px` };
  return html`<span class=${`avatar ${action ? `ring-${action}` : ""}`} style=${box} aria-hidden="true">
    <canvas ref=${canvas} style=${box}></canvas>${action ? html`<span class="avatar-glyph"><${Glyph} action=${action} size=${12} /></span>` : null}
  </span>`;
}
