// Where the eye is: world to screen and back, in CSS pixels; moves glide unless motion is to be spared.

/** @param {import("./model.js").Model|null} model */
export function makeCamera() {
  const camera = { k: 300, ox: 0, oy: 0, width: 1, height: 1, least: 20, most: 20000 };
  let glide = null;

  /** Shows everything. @param {import("./model.js").Model} model */
  camera.fit = (model) => {
    const { box } = model, pad = Math.max(16, Math.min(56, camera.width * 0.05)) + 8;
    const w = Math.max(0.05, box.x1 - box.x0), h = Math.max(0.05, box.y1 - box.y0);
    camera.k = Math.max(10, Math.min((camera.width - 2 * pad) / w, (camera.height - 2 * pad) / h));
    camera.ox = camera.width / 2 - camera.k * (box.x0 + box.x1) / 2;
    camera.oy = camera.height / 2 - camera.k * (box.y0 + box.y1) / 2;
    camera.least = camera.k * 0.4;
    camera.most = Math.max(camera.k * 4, 80 / model.spacing);
    glide = null;
  };
  camera.worldX = (px) => (px - camera.ox) / camera.k;
  camera.worldY = (py) => (py - camera.oy) / camera.k;
  camera.pan = (dx, dy) => {
    camera.ox += dx;
    camera.oy += dy;
    glide = null;
  };
  /** Zooms by a factor about a point of the screen. */
  camera.zoom = (factor, px, py) => {
    const k = Math.max(camera.least, Math.min(camera.most, camera.k * factor));
    camera.ox = px - (px - camera.ox) * (k / camera.k);
    camera.oy = py - (py - camera.oy) * (k / camera.k);
    camera.k = k;
    glide = null;
  };
  /** Brings a place into the middle. */
  camera.goTo = (x, y, k, now, still) => {
    const to = { k, ox: camera.width / 2 - k * x, oy: camera.height / 2 - k * y };
    if (still) Object.assign(camera, to);
    else glide = { from: { k: camera.k, ox: camera.ox, oy: camera.oy }, to, start: now };
  };
  /** One step of a glide; whether it moved. @param {number} now */
  camera.step = (now) => {
    if (!glide) return false;
    const t = Math.min(1, (now - glide.start) / 280), s = t * t * (3 - 2 * t);
    camera.k = glide.from.k + (glide.to.k - glide.from.k) * s;
    camera.ox = glide.from.ox + (glide.to.ox - glide.from.ox) * s;
    camera.oy = glide.from.oy + (glide.to.oy - glide.from.oy) * s;
    if (t === 1) glide = null;
    return true;
  };
  camera.gliding = () => glide !== null;
  return camera;
}
