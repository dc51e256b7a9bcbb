// Colours of the theme and small pictures painted once, so that a frame is copying alone.
import { ACTIONS } from "../ui/actions.js";
import { colour } from "../ui/theme.js";
import { drawFace } from "../ui/face.js";

const FACES = 512, LABELS = 1024;

/** Colours as they are now. */
export function readPalette() {
  return {
    actions: ACTIONS.map((a) => colour(`--${a.name}`)), sea: colour("--sea"), island: colour("--island"), shore: colour("--shore"),
    edge: colour("--edge"), ink: colour("--ink"), muted: colour("--muted"), accent: colour("--accent"), surface: colour("--surface"),
    font: colour("--font"),
  };
}

function canvas(width, height) {
  const node = document.createElement("canvas");
  node.width = Math.max(1, width);
  node.height = Math.max(1, height);
  return node;
}

/**
 * Dots of every action in a row, plain and (second row) pale, for a radius in device pixels.
 * Away is a ring, the others are discs; those that act are larger.
 */
export function paintDots(palette, radius) {
  const side = 2 * Math.ceil(radius * 1.35 + 2), sheet = canvas(side * ACTIONS.length, side * 2), ctx = sheet.getContext("2d");
  for (let pale = 0; pale < 2; pale++) {
    ACTIONS.forEach((action, code) => {
      const x = code * side + side / 2, y = pale * side + side / 2;
      ctx.globalAlpha = pale ? 0.18 : 1;
      ctx.beginPath();
      ctx.fillStyle = ctx.strokeStyle = palette.actions[code];
      if (code === 0) {
        ctx.arc(x, y, radius * 0.62, 0, 7);
        ctx.globalAlpha *= 0.75;
        ctx.fill();
      } else {
        ctx.arc(x, y, radius * (code === 1 ? 0.85 : 1.1), 0, 7);
        ctx.fill();
        ctx.lineWidth = Math.max(1, radius * 0.2);
        ctx.strokeStyle = palette.island;
        ctx.stroke();
      }
    });
  }
  return { sheet, side, radius };
}

/** Sparks that travel along ties, one of each action. @param {number} radius device pixels */
export function paintSparks(palette, radius) {
  const side = 2 * Math.ceil(radius + 1), sheet = canvas(side * ACTIONS.length, side), ctx = sheet.getContext("2d");
  ACTIONS.forEach((_, code) => {
    ctx.beginPath();
    ctx.fillStyle = palette.actions[code];
    ctx.arc(code * side + side / 2, side / 2, radius, 0, 7);
    ctx.fill();
  });
  return { sheet, side, radius };
}

/** Words with a rim in the ground's colour, so that they read on dots and ties; painted once each. */
export function makeLabels() {
  const kept = new Map();
  let of = null;
  return (text, palette, strong, ratio) => {
    if (of !== palette) kept.clear();
    of = palette;
    const key = `${strong} ${ratio} ${text}`;
    let node = kept.get(key);
    if (node) return node;
    if (kept.size >= LABELS) kept.delete(kept.keys().next().value);
    const font = `${strong ? 600 : 400} ${12 * ratio}px ${palette.font}`;
    node = canvas(1, 1);
    let ctx = node.getContext("2d");
    ctx.font = font;
    node.width = Math.ceil(ctx.measureText(text).width + 6 * ratio);
    node.height = Math.ceil(18 * ratio);
    ctx = node.getContext("2d");
    ctx.font = font;
    ctx.textBaseline = "middle";
    ctx.lineJoin = "round";
    ctx.lineWidth = 3.5 * ratio;
    ctx.strokeStyle = palette.island;
    ctx.strokeText(text, 3 * ratio, 9 * ratio);
    ctx.fillStyle = strong ? palette.ink : palette.muted;
    ctx.fillText(text, 3 * ratio, 9 * ratio);
    kept.set(key, node);
    return node;
  };
}

/** Discs for islands: a user's ground and its shore. @param {string} fill @param {number} radius device pixels */
export function paintDisc(fill, radius) {
  const side = 2 * Math.ceil(radius + 1), sheet = canvas(side, side), ctx = sheet.getContext("2d");
  ctx.fillStyle = fill;
  ctx.arc(side / 2, side / 2, radius, 0, 7);
  ctx.fill();
  return { sheet, side };
}

/** Glyphs of all actions on a small round ground, for users seen from near. @param {number} side device pixels */
export function paintGlyphs(palette, side) {
  const sheet = canvas(side * ACTIONS.length, side), ctx = sheet.getContext("2d");
  ACTIONS.forEach((action, code) => {
    ctx.save();
    ctx.translate(code * side, 0);
    ctx.beginPath();
    ctx.arc(side / 2, side / 2, side / 2 - 1, 0, 7);
    ctx.fillStyle = palette.surface;
    ctx.fill();
    ctx.lineWidth = Math.max(1, side / 14);
    ctx.strokeStyle = palette.actions[code];
    ctx.stroke();
    ctx.scale(side / 16 * 0.66, side / 16 * 0.66);
    ctx.translate(4.1, 4.1);
    const path = new Path2D(action.d);
    ctx.fillStyle = palette.actions[code];
    ctx.lineWidth = 2;
    if (action.fill) ctx.fill(path);
    else ctx.stroke(path);
    ctx.restore();
  });
  return { sheet, side };
}

/** Faces, painted when first seen and forgotten when many others came since. */
export function makeFaces() {
  const kept = new Map();
  return (id, size) => {
    const bucket = size <= 32 ? 32 : size <= 64 ? 64 : 128, key = `${bucket} ${id}`;
    let face = kept.get(key);
    if (!face) {
      if (kept.size >= FACES) kept.delete(kept.keys().next().value);
      face = canvas(bucket, bucket);
      drawFace(face.getContext("2d"), id, 0, 0, bucket);
      kept.set(key, face);
    }
    return face;
  };
}
