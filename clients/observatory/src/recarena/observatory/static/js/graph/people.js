// The middle layer: users as dots from afar, as faces with a ring and a glyph from near; labels where there is room.

const STAMPED = 1500; // users from which pixels are copied
const NEAR = 9; // dot radius in CSS pixels from which faces are drawn
const CELL_W = 8, CELL_H = 8;

/** Radius of a user in CSS pixels. */
export const radiusOf = (model, camera) => Math.max(2.4, Math.min(22, model.spacing * camera.k * 0.36));

/** Whether faces are drawn. */
export const isNear = (radius) => radius >= NEAR;

/** Room for labels: a grid of taken cells, used again for every picture. */
export function makeRoom() {
  let columns = 0, rows = 0, taken = new Uint8Array(0);
  return {
    clear(width, height) {
      columns = Math.ceil(width / CELL_W) + 1;
      rows = Math.ceil(height / CELL_H) + 1;
      if (taken.length < columns * rows) taken = new Uint8Array(columns * rows);
      else taken.fill(0);
    },
    /** Takes a box of CSS pixels; false where something is there already or it would be cut off. */
    take(x, y, w, h) {
      const c0 = Math.floor(x / CELL_W), c1 = Math.floor((x + w) / CELL_W), r0 = Math.floor(y / CELL_H), r1 = Math.floor((y + h) / CELL_H);
      if (c0 < 0 || r0 < 0 || c1 >= columns || r1 >= rows) return false;
      for (let r = r0; r <= r1; r++) for (let c = c0; c <= c1; c++) if (taken[r * columns + c]) return false;
      for (let r = r0; r <= r1; r++) for (let c = c0; c <= c1; c++) taken[r * columns + c] = 1;
      return true;
    },
    /** Takes a box whatever is there. */
    block(x, y, w, h) {
      const c1 = Math.min(columns - 1, Math.floor((x + w) / CELL_W)), r1 = Math.min(rows - 1, Math.floor((y + h) / CELL_H));
      for (let r = Math.max(0, Math.floor(y / CELL_H)); r <= r1; r++) {
        for (let c = Math.max(0, Math.floor(x / CELL_W)); c <= c1; c++) taken[r * columns + c] = 1;
      }
    },
  };
}

/** Words about a place, in the middle of it. @param {HTMLCanvasElement} node of `makeLabels` */
export function label(ctx, node, x, y) {
  ctx.drawImage(node, Math.round(x - node.width / 2), Math.round(y - node.height / 2));
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {object} view {model, camera, ratio, actions: Uint8Array, people: number[], only: number, dots, glyphs, face, words, room, palette}
 *   `only`: code of the action that is not pale, -1 for all
 */
export function drawPeople(ctx, view) {
  const { model, camera, ratio } = view;
  const kx = camera.k * ratio, ox = camera.ox * ratio, oy = camera.oy * ratio;
  const w = ctx.canvas.width, h = ctx.canvas.height;
  ctx.clearRect(0, 0, w, h);
  const radius = radiusOf(model, camera);
  view.room.clear(camera.width, camera.height);
  if (isNear(radius)) faces(ctx, view, kx, ox, oy, radius * ratio);
  else {
    if (model.n > STAMPED) stamps(ctx, view, kx, ox, oy);
    else dots(ctx, view, kx, ox, oy);
    communityLabels(ctx, view);
  }
  markPeople(ctx, view, kx, ox, oy, radius * ratio);
}

function dots(ctx, { model, actions, only, dots: { sheet, side } }, kx, ox, oy) {
  const half = side / 2, w = ctx.canvas.width, h = ctx.canvas.height;
  for (let u = 0; u < model.n; u++) {
    const px = model.x[u] * kx + ox, py = model.y[u] * kx + oy;
    if (px < -half || py < -half || px > w + half || py > h + half) continue;
    const code = actions[u] ?? 0;
    ctx.drawImage(sheet, code * side, only >= 0 && code !== only ? side : 0, side, side, (px - half + 0.5) | 0, (py - half + 0.5) | 0, side, side);
  }
}

/**
 * The same for very many users: their pixels are copied in one go, about ten times cheaper than a call for each.
 * Where dots overlap, the later one's full pixels win and its soft edge gives way.
 */
function stamps(ctx, view, kx, ox, oy) {
  const { model, actions, only, dots: sprite } = view, { side } = sprite, half = side / 2, w = ctx.canvas.width, h = ctx.canvas.height;
  sprite.pixels ??= new Uint32Array(sprite.sheet.getContext("2d").getImageData(0, 0, sprite.sheet.width, sprite.sheet.height).data.buffer);
  if (view.image?.width !== w || view.image?.height !== h) view.image = ctx.createImageData(w, h);
  const from = sprite.pixels, wide = sprite.sheet.width, to = new Uint32Array(view.image.data.buffer);
  to.fill(0);
  for (let u = 0; u < model.n; u++) {
    const left = (model.x[u] * kx + ox - half + 0.5) | 0, top = (model.y[u] * kx + oy - half + 0.5) | 0;
    if (left < 0 || top < 0 || left + side > w || top + side > h) continue;
    const code = actions[u] ?? 0, first = code * side + (only >= 0 && code !== only ? side * wide : 0);
    for (let row = 0; row < side; row++) {
      let source = first + row * wide, target = (top + row) * w + left;
      for (const end = source + side; source < end; source++, target++) {
        const pixel = from[source];
        if (pixel !== 0 && (to[target] === 0 || pixel >>> 24 > 127)) to[target] = pixel;
      }
    }
  }
  ctx.putImageData(view.image, 0, 0);
}

function faces(ctx, view, kx, ox, oy, radius) {
  const { model, camera, ratio, actions, only, palette, face, glyphs } = view;
  const w = ctx.canvas.width, h = ctx.canvas.height, inner = radius - 2 * ratio;
  for (let u = 0; u < model.n; u++) {
    const px = model.x[u] * kx + ox, py = model.y[u] * kx + oy;
    if (px < -radius * 2 || py < -radius * 2 || px > w + radius * 2 || py > h + radius * 2) continue;
    const code = actions[u] ?? 0;
    ctx.globalAlpha = only >= 0 && code !== only ? 0.25 : 1;
    ctx.drawImage(face(model.ids[u], inner * 2), px - inner, py - inner, inner * 2, inner * 2);
    ctx.beginPath();
    ctx.arc(px, py, radius - ratio * 0.5, 0, 6.2832);
    ctx.strokeStyle = palette.actions[code];
    ctx.lineWidth = (code ? 2.5 : 1.25) * ratio;
    ctx.stroke();
    view.room.block((px - radius * 0.7) / ratio, (py - radius * 0.7) / ratio, radius * 1.4 / ratio, radius * 1.4 / ratio);
    if (code) {
      const side = Math.max(12 * ratio, radius * 0.85);
      ctx.drawImage(glyphs.sheet, code * glyphs.side, 0, glyphs.side, glyphs.side, px + radius * 0.35, py + radius * 0.3, side, side);
    }
  }
  ctx.globalAlpha = 1;
  for (let u = 0; u < model.n; u++) {
    const px = model.x[u] * camera.k + camera.ox, py = model.y[u] * camera.k + camera.oy + radius / ratio + 3;
    if (px < 0 || py < 0 || px > camera.width || py > camera.height) continue;
    const words = view.words(model.names[u], palette, false, ratio), wide = words.width / ratio;
    if (view.room.take(px - wide / 2, py, wide, 12)) label(ctx, words, px * ratio, (py + 6) * ratio);
  }
}

function communityLabels(ctx, view) {
  const { model, camera, ratio, palette } = view;
  for (const c of model.communities) {
    if (!c.label || c.size < 3) continue;
    const words = view.words(c.label, palette, true, ratio), wide = words.width / ratio;
    const px = c.x * camera.k + camera.ox, py = c.y * camera.k + camera.oy;
    if (view.room.take(px - wide / 2, py - 8, wide, 16)) label(ctx, words, px * ratio, py * ratio);
  }
}

/** A square around every user whom a person plays. */
function markPeople(ctx, { model, palette, people, ratio }, kx, ox, oy, radius) {
  ctx.strokeStyle = palette.ink;
  ctx.lineWidth = 2 * ratio;
  for (const u of people) {
    const r = radius + 3 * ratio;
    ctx.strokeRect(model.x[u] * kx + ox - r, model.y[u] * kx + oy - r, 2 * r, 2 * r);
  }
}
