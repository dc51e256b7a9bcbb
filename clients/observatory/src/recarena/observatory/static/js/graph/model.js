// A world as typed arrays: places, ties by user, and a grid that finds who stands where.

/**
 * @typedef {object} Model
 * @property {number} n users  @property {number} m ties
 * @property {string[]} ids  @property {string[]} names
 * @property {Float32Array} x  @property {Float32Array} y
 * @property {Uint32Array} a  @property {Uint32Array} b  ends of ties, communities' own first
 * @property {number} inner how many of the ties stay in one community
 * @property {Float32Array} closeness
 * @property {Uint32Array} start  ties of user u: start[u]..start[u+1] of near and via
 * @property {Uint32Array} near   the other end  @property {Uint32Array} via the tie
 * @property {number} spacing typical distance to the next user
 * @property {{size: number, x: number, y: number, label: string}[]} communities
 * @property {{x0: number, y0: number, x1: number, y1: number}} box
 */

/** @param {object} world World of API.md @returns {Model} */
export function makeModel(world) {
  const n = world.ids.length, m = world.edges.a.length;
  const x = Float32Array.from(world.x), y = Float32Array.from(world.y);
  const home = world.community;
  const order = new Uint32Array(m);
  let inner = 0, outer = m;
  for (let e = 0; e < m; e++) {
    if (home[world.edges.a[e]] === home[world.edges.b[e]]) order[inner++] = e;
    else order[--outer] = e;
  }
  const a = new Uint32Array(m), b = new Uint32Array(m), closeness = new Float32Array(m), start = new Uint32Array(n + 1);
  for (let e = 0; e < m; e++) {
    a[e] = world.edges.a[order[e]];
    b[e] = world.edges.b[order[e]];
    closeness[e] = world.edges.closeness?.[order[e]] ?? 0.5;
    start[a[e] + 1]++;
    start[b[e] + 1]++;
  }
  for (let u = 0; u < n; u++) start[u + 1] += start[u];
  const fill = start.slice(0, n), near = new Uint32Array(2 * m), via = new Uint32Array(2 * m);
  for (let e = 0; e < m; e++) {
    near[fill[a[e]]] = b[e];
    via[fill[a[e]]++] = e;
    near[fill[b[e]]] = a[e];
    via[fill[b[e]]++] = e;
  }
  const box = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
  for (let u = 0; u < n; u++) {
    box.x0 = Math.min(box.x0, x[u]);
    box.x1 = Math.max(box.x1, x[u]);
    box.y0 = Math.min(box.y0, y[u]);
    box.y1 = Math.max(box.y1, y[u]);
  }
  if (!n) Object.assign(box, { x0: -1, y0: -1, x1: 1, y1: 1 });
  const grid = makeGrid(x, y, box);
  const model = { n, m, ids: world.ids, names: world.names, x, y, a, b, inner, closeness, start, near, via,
    communities: world.communities ?? [], box, grid, spacing: 0.1 };
  model.spacing = typicalDistance(model);
  return model;
}

function makeGrid(x, y, box) {
  const n = x.length;
  const side = Math.max(1, Math.min(256, Math.ceil(Math.sqrt(n / 2))));
  const size = Math.max(box.x1 - box.x0, box.y1 - box.y0, 1e-6) / side * 1.0001;
  const cell = new Uint32Array(n), start = new Uint32Array(side * side + 1), items = new Uint32Array(n);
  for (let u = 0; u < n; u++) {
    cell[u] = Math.floor((y[u] - box.y0) / size) * side + Math.floor((x[u] - box.x0) / size);
    start[cell[u] + 1]++;
  }
  for (let c = 0; c < side * side; c++) start[c + 1] += start[c];
  const fill = start.slice(0, side * side);
  for (let u = 0; u < n; u++) items[fill[cell[u]]++] = u;
  return { side, size, start, items };
}

/**
 * The user nearest to a place, within a distance; -1 where nobody is.
 * @param {Model} model @param {number} px @param {number} py @param {number} within @param {number} [not] left out
 */
export function nearest(model, px, py, within, not = -1) {
  const { grid, box, x, y } = model;
  const low = (v, from) => Math.max(0, Math.floor((v - within - from) / grid.size));
  const high = (v, from) => Math.min(grid.side - 1, Math.floor((v + within - from) / grid.size));
  let best = -1, least = within * within;
  for (let row = low(py, box.y0); row <= high(py, box.y0); row++) {
    for (let column = low(px, box.x0); column <= high(px, box.x0); column++) {
      const c = row * grid.side + column;
      for (let i = grid.start[c]; i < grid.start[c + 1]; i++) {
        const u = grid.items[i], d = (x[u] - px) ** 2 + (y[u] - py) ** 2;
        if (u !== not && d <= least) {
          best = u;
          least = d;
        }
      }
    }
  }
  return best;
}

function typicalDistance(model) {
  const found = [];
  const step = Math.max(1, Math.floor(model.n / 300));
  for (let u = 0; u < model.n; u += step) {
    for (let within = model.grid.size; within < 4; within *= 2) {
      const other = nearest(model, model.x[u], model.y[u], within, u);
      if (other >= 0) {
        found.push(Math.hypot(model.x[other] - model.x[u], model.y[other] - model.y[u]));
        break;
      }
    }
  }
  found.sort((p, q) => p - q);
  return Math.max(0.008, Math.min(0.2, found[found.length >> 1] ?? 0.1));
}
