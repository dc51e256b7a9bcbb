// What passes along ties: a fixed number of places, so that no frame makes anything new.

const PLACES = 512;
const LIFE = 1100; // ms a message travels
const PULSE = 600; // ms a ring around a user grows
const SPREAD = 8; // acquaintances that a post is seen to reach

export function makeMessages() {
  const from = new Uint32Array(PLACES), to = new Uint32Array(PLACES), action = new Uint8Array(PLACES), born = new Float64Array(PLACES);
  let next = 0, until = 0;

  function add(a, b, code, now) {
    from[next] = a;
    to[next] = b;
    action[next] = code;
    born[next] = now;
    next = (next + 1) % PLACES;
    until = Math.max(until, now + LIFE);
  }

  return {
    /** A word from one user to another. */
    send: add,
    /** A post to acquaintances. */
    spread(model, user, code, now) {
      const first = model.start[user], n = model.start[user + 1] - first, step = Math.max(1, Math.ceil(n / SPREAD));
      for (let i = 0; i < n; i += step) add(user, model.near[first + i], code, now + (i / step) * 18);
    },
    /** A ring around one user. */
    pulse(user, code, now) {
      add(user, user, code, now);
    },
    active: (now) => now < until + 300,
    clear() {
      born.fill(0);
      until = 0;
    },
    /**
     * Draws what travels now, a path for each action.
     * @param {CanvasRenderingContext2D} ctx @param {object} view {model, kx, ox, oy, radius, sparks, still}
     */
    draw(ctx, view, palette, now) {
      const { model, kx, ox, oy, radius, sparks, still } = view;
      for (let code = 1; code < palette.actions.length; code++) {
        let lines = 0, dots = 0;
        ctx.beginPath();
        for (let i = 0; i < PLACES; i++) {
          const t = (now - born[i]) / LIFE;
          if (action[i] !== code || t < 0 || t >= 1 || from[i] >= model.n || to[i] >= model.n) continue;
          const x0 = model.x[from[i]] * kx + ox, y0 = model.y[from[i]] * kx + oy;
          if (from[i] === to[i]) {
            const p = (now - born[i]) / PULSE;
            if (p >= 1) continue;
            const r = radius * (1.2 + (still ? 0.5 : 1.4 * p));
            ctx.moveTo(x0 + r, y0);
            ctx.arc(x0, y0, r, 0, 6.2832);
          } else {
            ctx.moveTo(x0, y0);
            ctx.lineTo(model.x[to[i]] * kx + ox, model.y[to[i]] * kx + oy);
            dots++;
          }
          lines++;
        }
        if (!lines) continue;
        ctx.strokeStyle = ctx.fillStyle = palette.actions[code];
        ctx.lineWidth = 1; // a hair's width is many times cheaper to paint than anything wider
        ctx.globalAlpha = 0.55;
        ctx.stroke();
        ctx.globalAlpha = 1;
        if (!dots || still) continue;
        const { sheet, side } = sparks, half = side / 2;
        for (let i = 0; i < PLACES; i++) {
          const t = (now - born[i]) / LIFE;
          if (action[i] !== code || t < 0 || t >= 1 || from[i] === to[i] || from[i] >= model.n || to[i] >= model.n) continue;
          const s = t * t * (3 - 2 * t);
          const x = (model.x[from[i]] + (model.x[to[i]] - model.x[from[i]]) * s) * kx + ox;
          const y = (model.y[from[i]] + (model.y[to[i]] - model.y[from[i]]) * s) * kx + oy;
          ctx.drawImage(sheet, code * side, 0, side, side, (x - half) | 0, (y - half) | 0, side, side);
        }
      }
    },
  };
}
