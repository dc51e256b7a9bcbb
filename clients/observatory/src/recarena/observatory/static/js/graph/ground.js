// The lowest layer: islands of communities and faint ties. Painted in slices on a canvas of its own and shown when done;
// while the eye moves, the last picture is moved with it.
import { paintDisc } from "./palette.js";

const DISCS = 1500; // a slice: about 3 ms with software rendering
const TIES = 2500;

/** @param {HTMLCanvasElement} front */
export function makeGround(front) {
  const back = document.createElement("canvas");
  const shown = { k: 0, ox: 0, oy: 0 }, drawing = { k: 0, ox: 0, oy: 0 };
  let stage = 4, at = 0, shore = null, island = null, ratio = 1;

  /** Begins a new picture for a camera. */
  function restart(model, camera, palette, pixelRatio) {
    ratio = pixelRatio;
    back.width = Math.round(camera.width * ratio);
    back.height = Math.round(camera.height * ratio);
    Object.assign(drawing, { k: camera.k, ox: camera.ox, oy: camera.oy });
    const radius = Math.min(220, Math.max(7, model.spacing * 1.5 * camera.k)) * ratio;
    shore = paintDisc(palette.shore, radius + 1.25 * ratio);
    island = paintDisc(palette.island, radius);
    stage = 0;
    at = 0;
  }

  function discs(ctx, model, disc, to) {
    const half = disc.side / 2, w = back.width + half, h = back.height + half;
    for (; at < to; at++) {
      const px = (model.x[at] * drawing.k + drawing.ox) * ratio, py = (model.y[at] * drawing.k + drawing.oy) * ratio;
      if (px > -half && py > -half && px < w && py < h) ctx.drawImage(disc.sheet, (px - half) | 0, (py - half) | 0);
    }
  }

  function ties(ctx, model, to, alpha) {
    const kx = drawing.k * ratio, ox = drawing.ox * ratio, oy = drawing.oy * ratio, w = back.width, h = back.height;
    ctx.globalAlpha = alpha;
    ctx.beginPath();
    for (; at < to; at++) {
      const x0 = model.x[model.a[at]] * kx + ox, y0 = model.y[model.a[at]] * kx + oy;
      const x1 = model.x[model.b[at]] * kx + ox, y1 = model.y[model.b[at]] * kx + oy;
      if ((x0 < 0 && x1 < 0) || (y0 < 0 && y1 < 0) || (x0 > w && x1 > w) || (y0 > h && y1 > h)) continue;
      ctx.moveTo(x0, y0);
      ctx.lineTo(x1, y1);
    }
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  /** Paints a slice; whether there is more to do. */
  function step(model, palette) {
    if (stage > 3) return false;
    const ctx = back.getContext("2d");
    if (stage < 2) {
      discs(ctx, model, stage === 0 ? shore : island, Math.min(model.n, at + DISCS));
      if (at >= model.n) {
        at = stage === 0 ? 0 : model.inner;
        stage++;
      }
    } else {
      const thin = Math.min(1, Math.sqrt(5000 / Math.max(1, model.m)));
      ctx.strokeStyle = palette.edge;
      ctx.lineWidth = 0.8 * ratio;
      const end = stage === 2 ? model.m : model.inner;
      ties(ctx, model, Math.min(end, at + TIES), (stage === 2 ? 0.07 : 0.2) * thin);
      if (at >= end) {
        at = 0;
        stage++;
      }
    }
    if (stage > 3) {
      front.width = back.width;
      front.height = back.height;
      front.getContext("2d").drawImage(back, 0, 0);
      Object.assign(shown, drawing);
    }
    return stage <= 3;
  }

  /** Moves the last picture to where the eye is now. */
  function follow(camera) {
    if (!shown.k) return;
    const s = camera.k / shown.k;
    const still = Math.abs(s - 1) < 1e-9 && camera.ox === shown.ox && camera.oy === shown.oy;
    front.style.transform = still ? "" : `translate(${camera.ox - shown.ox * s}px, ${camera.oy - shown.oy * s}px) scale(${s})`;
  }

  return { restart, step, follow, busy: () => stage <= 3 };
}
