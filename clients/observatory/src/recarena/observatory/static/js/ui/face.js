// Faces drawn from a user id: the same id gives the same face, everywhere, without any image file.

const SKIN = ["#f2d6bf", "#e8c1a0", "#d9a57e", "#bd8459", "#96623d", "#6e4529"];
const HAIR = ["#241c18", "#3b2a20", "#5d4030", "#8a6239", "#b98f52", "#8f8f93", "#70382a", "#d8d2c8"];
const CLOTH = ["#6b7a8f", "#7d8a74", "#8f7f6b", "#77708c", "#6c8587", "#8a6f78", "#596579", "#94927f"];

/** A number from a text, the same always (FNV-1a). @param {string} text @returns {number} */
export function hash(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  h ^= h >>> 15;
  h = Math.imul(h, 2246822507);
  return (h ^ (h >>> 13)) >>> 0;
}

/**
 * Draws a round face into a box at (x, y).
 * @param {CanvasRenderingContext2D} ctx @param {string} id @param {number} x @param {number} y @param {number} size
 */
export function drawFace(ctx, id, x, y, size) {
  let h = hash(id);
  const pick = (n) => {
    const value = h % n;
    h = (Math.imul(h, 1664525) + 1013904223 + (h >>> 7)) >>> 0;
    return value;
  };
  const skin = SKIN[pick(SKIN.length)], hair = HAIR[pick(HAIR.length)], cloth = CLOTH[pick(CLOTH.length)];
  const style = pick(6), eyes = pick(3), mouth = pick(3), glasses = pick(5) === 0;
  const u = size / 32;
  ctx.save();
  ctx.translate(x, y);
  ctx.scale(u, u);
  ctx.beginPath();
  ctx.arc(16, 16, 16, 0, 7);
  ctx.clip();
  ctx.fillStyle = "#dfe3e8";
  ctx.fillRect(0, 0, 32, 32);
  if (style === 1 || style === 4) blob(ctx, hair, 16, 17, style === 1 ? 10.5 : 9.5, style === 1 ? 12 : 10);
  blob(ctx, cloth, 16, 33, 12, 8);
  ctx.fillStyle = skin;
  ctx.fillRect(13, 20, 6, 6);
  blob(ctx, skin, 16, 15.5, 7.5, 8.5);
  ctx.fillStyle = hair;
  ctx.beginPath();
  if (style === 0) ctx.ellipse(16, 10.5, 8, 5.5, 0, Math.PI, 0);
  else if (style === 1) ctx.ellipse(16, 11, 8.5, 6.5, 0, Math.PI, 0);
  else if (style === 2) { ctx.arc(10.5, 10, 3.5, 0, 7); ctx.arc(15, 7.5, 4, 0, 7); ctx.arc(20.5, 9.5, 4, 0, 7); }
  else if (style === 3) { ctx.ellipse(16, 11, 8, 6, 0, Math.PI, 0); ctx.moveTo(18, 5); ctx.arc(16, 4.5, 2.8, 0, 7); }
  else if (style === 4) { ctx.moveTo(7.5, 13); ctx.quadraticCurveTo(9, 4, 20, 6); ctx.quadraticCurveTo(26, 8, 24.5, 13); ctx.quadraticCurveTo(17, 12, 15, 9); ctx.quadraticCurveTo(12, 12, 7.5, 13); }
  else ctx.ellipse(16, 8.5, 6, 2.5, 0, Math.PI, 0);
  ctx.fill();
  ctx.fillStyle = ctx.strokeStyle = "#2a2320";
  ctx.lineWidth = 1.1;
  for (const dx of [-3, 3]) {
    ctx.beginPath();
    if (eyes === 2) ctx.arc(16 + dx, 16.2, 1.3, Math.PI, 0);
    else ctx.arc(16 + dx, 15.5, eyes ? 1.2 : 1, 0, 7);
    eyes === 2 ? ctx.stroke() : ctx.fill();
  }
  if (glasses) {
    for (const dx of [-3, 3]) { ctx.beginPath(); ctx.arc(16 + dx, 15.5, 2.5, 0, 7); ctx.stroke(); }
  }
  ctx.beginPath();
  if (mouth === 0) ctx.arc(16, 18.5, 2.8, 0.3, Math.PI - 0.3);
  else if (mouth === 1) { ctx.moveTo(14, 20); ctx.lineTo(18, 20); }
  else ctx.arc(16, 18, 3.5, 0.5, Math.PI - 0.5);
  ctx.stroke();
  ctx.restore();
}

function blob(ctx, colour, x, y, rx, ry) {
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.ellipse(x, y, rx, ry, 0, 0, 7);
  ctx.fill();
}
