// The social graph on stacked canvases: ground (islands, ties), people (dots, faces, labels), and what moves.
// A layer is painted when something on it changed, and only then; where nothing moves, no frame is asked for.
import { actionCode } from "../ui/actions.js";
import { onTheme, stillPlease } from "../ui/theme.js";
import { makeCamera } from "./camera.js";
import { makeGround } from "./ground.js";
import { listen } from "./input.js";
import { makeMessages } from "./messages.js";
import { makeModel, nearest } from "./model.js";
import { drawPeople, isNear, label, makeRoom, radiusOf } from "./people.js";
import { makeFaces, makeLabels, paintDots, paintGlyphs, paintSparks, readPalette } from "./palette.js";

const SETTLED = 140; // ms without a move after which the ground is painted anew
const FINGER = 22; // CSS pixels that a finger may be off
const SLOW = 21; // mean ms a frame past which one pixel is drawn for each CSS pixel

function layer(host, name) {
  const node = document.createElement("canvas");
  node.className = "graph-layer";
  node.dataset.layer = name;
  node.setAttribute("aria-hidden", "true");
  host.append(node);
  return node;
}

/**
 * @param {HTMLElement} host takes the canvases, the pointer and the keys
 * @param {{select: (user: number) => void, open: (user: number) => void}} on `select` gets -1 for nobody
 */
export function makeGraph(host, on) {
  const nodes = { ground: layer(host, "ground"), people: layer(host, "people"), top: layer(host, "top") };
  const people = nodes.people.getContext("2d"), top = nodes.top.getContext("2d");
  const camera = makeCamera(), ground = makeGround(nodes.ground), messages = makeMessages(), face = makeFaces(), room = makeRoom();
  const view = { model: null, camera, ratio: Math.min(2, window.devicePixelRatio || 1), actions: new Uint8Array(0), people: [], only: -1,
    dots: null, image: null, glyphs: null, face, words: makeLabels(), room, palette: readPalette() };
  const motion = { model: null, kx: 0, ox: 0, oy: 0, radius: 0, ratio: 1, sparks: null, still: stillPlease() };
  let hover = -1, chosen = -1, frame = 0, movedAt = 0, groundStale = true, peopleStale = true, topStale = true, fitted = false;
  let byId = new Map(), lastFrame = 0, meanFrame = 16, counted = 0, idle = 0, closed = false;

  const wake = () => {
    if (!frame && !closed) frame = requestAnimationFrame(paint);
  };
  function moved() {
    movedAt = performance.now();
    groundStale = peopleStale = topStale = true;
    clearTimeout(idle);
    idle = setTimeout(wake, SETTLED + 10);
    wake();
  }

  function paint(now) {
    frame = 0;
    if (!view.model || camera.width < 2) return;
    if (camera.step(now)) moved();
    pace(now);
    if (groundStale && now - movedAt >= SETTLED) {
      ground.restart(view.model, camera, view.palette, view.ratio);
      groundStale = false;
    }
    if (ground.busy() && !groundStale) ground.step(view.model, view.palette);
    ground.follow(camera);
    if (peopleStale) {
      const radius = radiusOf(view.model, camera) * view.ratio;
      if (!view.dots || Math.abs(view.dots.radius - radius) > 0.25) view.dots = paintDots(view.palette, Math.min(radius, 24));
      view.glyphs ??= paintGlyphs(view.palette, 40);
      drawPeople(people, view);
      peopleStale = false;
    }
    const alive = messages.active(now);
    if (topStale || alive) {
      drawTop(now);
      topStale = false;
    }
    if (alive || camera.gliding() || (ground.busy() && !groundStale)) wake();
  }

  /** Draws fewer pixels where frames take long. */
  function pace(now) {
    const took = now - lastFrame;
    lastFrame = now;
    if (took > 120) return;
    meanFrame += (took - meanFrame) * 0.05;
    if (++counted > 60 && meanFrame > SLOW && view.ratio > 1) {
      view.ratio = 1;
      counted = 0;
      resize();
    }
  }

  function drawTop(now) {
    const { ratio, palette, model } = view;
    top.clearRect(0, 0, nodes.top.width, nodes.top.height);
    motion.model = model;
    motion.kx = camera.k * ratio;
    motion.ox = camera.ox * ratio;
    motion.oy = camera.oy * ratio;
    motion.radius = radiusOf(model, camera) * ratio;
    motion.ratio = ratio;
    const spark = Math.max(2 * ratio, Math.min(5 * ratio, motion.radius * 0.45));
    if (!motion.sparks || Math.abs(motion.sparks.radius - spark) > 0.25) motion.sparks = paintSparks(palette, spark);
    if (chosen >= 0) lightUp(chosen, 0.9);
    if (hover >= 0 && hover !== chosen) lightUp(hover, 0.6);
    messages.draw(top, motion, palette, now);
    if (chosen >= 0) name(chosen, true);
    if (hover >= 0 && hover !== chosen) name(hover, false);
  }

  /** A user's ties, the closer the wider, and a ring around both ends. */
  function lightUp(user, alpha) {
    const { model, palette } = view, { kx, ox, oy, radius, ratio } = motion;
    top.strokeStyle = palette.accent;
    top.globalAlpha = alpha;
    for (let wide = 0; wide < 2; wide++) {
      top.beginPath();
      for (let i = model.start[user]; i < model.start[user + 1]; i++) {
        if ((model.closeness[model.via[i]] > 0.5) !== (wide === 1)) continue;
        const other = model.near[i], dx = (model.x[other] - model.x[user]) * kx, dy = (model.y[other] - model.y[user]) * kx;
        const cut = radius / Math.max(2 * radius, Math.hypot(dx, dy)); // faces are not crossed out
        top.moveTo(model.x[user] * kx + ox + dx * cut, model.y[user] * kx + oy + dy * cut);
        top.lineTo(model.x[other] * kx + ox - dx * cut, model.y[other] * kx + oy - dy * cut);
      }
      top.lineWidth = (wide ? 2 : 1) * ratio;
      top.stroke();
    }
    top.globalAlpha = 1;
    top.beginPath();
    for (let i = model.start[user]; i < model.start[user + 1]; i++) {
      const px = model.x[model.near[i]] * kx + ox, py = model.y[model.near[i]] * kx + oy, r = radius + 2 * ratio;
      top.moveTo(px + r, py);
      top.arc(px, py, r, 0, 6.2832);
    }
    top.lineWidth = 1.5 * ratio;
    top.stroke();
  }

  function name(user, strong) {
    const { model, palette, ratio } = view, px = model.x[user] * motion.kx + motion.ox, py = model.y[user] * motion.kx + motion.oy;
    top.strokeStyle = palette.accent;
    top.lineWidth = (strong ? 3 : 2) * ratio;
    top.beginPath();
    top.arc(px, py, motion.radius + 4 * ratio, 0, 6.2832);
    top.stroke();
    label(top, view.words(model.names[user], palette, true, ratio), px, py - motion.radius - 14 * ratio);
  }

  function resize() {
    const box = host.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) return;
    const dx = (box.width - camera.width) / 2, dy = (box.height - camera.height) / 2;
    camera.width = box.width;
    camera.height = box.height;
    for (const node of [nodes.people, nodes.top]) {
      node.width = Math.round(box.width * view.ratio);
      node.height = Math.round(box.height * view.ratio);
    }
    if (view.model && !fitted) {
      camera.fit(view.model);
      fitted = true;
      movedAt = -SETTLED;
    } else if (view.model) camera.pan(dx, dy);
    groundStale = peopleStale = topStale = true;
    view.dots = null;
    wake();
  }

  const hit = (px, py, slack = 10) => (view.model
    ? nearest(view.model, camera.worldX(px), camera.worldY(py), Math.max(slack, radiusOf(view.model, camera) * 1.3) / camera.k) : -1);
  const setHover = (user) => {
    if (user === hover) return;
    hover = user;
    host.classList.toggle("over-user", user >= 0);
    topStale = true;
    wake();
  };
  const stop = listen(host, {
    pan: (dx, dy) => { camera.pan(dx, dy); moved(); },
    zoom: (factor, x, y) => { camera.zoom(factor, x, y); moved(); },
    hover: (x, y) => setHover(hit(x, y)),
    leave: () => setHover(-1),
    click: (x, y, finger) => on.select(hit(x, y, finger ? FINGER : undefined)),
    open: (x, y) => { const user = hit(x, y); if (user >= 0) on.open(user); },
    key,
  });

  function key(e) {
    const step = 60, mid = [camera.width / 2, camera.height / 2];
    const pans = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (pans[e.key] && e.shiftKey && chosen >= 0) neighbour(-pans[e.key][0], -pans[e.key][1]);
    else if (pans[e.key]) { camera.pan(...pans[e.key]); moved(); }
    else if (e.key === "+" || e.key === "=") { camera.zoom(1.4, ...mid); moved(); }
    else if (e.key === "-") { camera.zoom(1 / 1.4, ...mid); moved(); }
    else if (e.key === "0") api.fit();
    else if (e.key === "Enter" && view.model) {
      if (chosen >= 0 && e.shiftKey) on.open(chosen);
      else on.select(nearest(view.model, camera.worldX(mid[0]), camera.worldY(mid[1]), 0.5));
    } else if (e.key === "Escape" && chosen >= 0) on.select(-1);
    else return false;
    return true;
  }

  /** Selects the acquaintance that lies most in a direction. */
  function neighbour(dx, dy) {
    const { model } = view;
    let best = -1, most = 0.3;
    for (let i = model.start[chosen]; i < model.start[chosen + 1]; i++) {
      const other = model.near[i], ex = model.x[other] - model.x[chosen], ey = model.y[other] - model.y[chosen];
      const along = (ex * dx + ey * dy) / (Math.hypot(ex, ey) * Math.hypot(dx, dy) || 1);
      if (along > most) { most = along; best = other; }
    }
    if (best >= 0) on.select(best);
  }

  const watch = new ResizeObserver(resize);
  watch.observe(host);
  const endTheme = onTheme(() => {
    view.palette = readPalette();
    view.dots = view.glyphs = motion.sparks = null;
    groundStale = peopleStale = topStale = true;
    movedAt = -SETTLED;
    wake();
  });

  const api = {
    /** @param {object} world World of API.md */
    setWorld(world) {
      const anew = !view.model || view.model.n !== world.ids.length;
      view.model = makeModel(world);
      byId = new Map(world.ids.map((id, u) => [id, u]));
      if (anew) fitted = false;
      messages.clear();
      hover = -1;
      view.dots = null;
      camera.width = anew ? 1 : camera.width;
      resize();
    },
    /** @param {Uint8Array} actions @param {number[]} played users played by people */
    setActions(actions, played) {
      if (actions === view.actions && !peopleStale) return;
      view.actions = actions;
      view.people = played.filter((u) => u < (view.model?.n ?? 0));
      peopleStale = true;
      wake();
    },
    /** Pales all others. @param {number} code -1: nobody */
    setOnly(code) {
      view.only = code;
      peopleStale = true;
      wake();
    },
    /** @param {number} user -1: nobody @param {boolean} [bring] whether to bring the user into view */
    select(user, bring = false) {
      chosen = view.model && user < view.model.n ? user : -1;
      topStale = true;
      if (bring && chosen >= 0) {
        const px = view.model.x[user] * camera.k + camera.ox, py = view.model.y[user] * camera.k + camera.oy;
        const covered = camera.width > 700 && px < 360 && py > camera.height - 280; // by the user's card
        const inside = px > 40 && py > 40 && px < camera.width - 40 && py < camera.height - 40 && !covered;
        if (!inside) camera.goTo(view.model.x[user], view.model.y[user], camera.k, performance.now(), motion.still);
        moved();
      }
      wake();
    },
    /** Lets lines of the feed be seen. @param {object[]} lines Lines of API.md */
    say(lines) {
      if (!view.model || document.hidden) return;
      const now = performance.now();
      for (const line of lines) {
        const user = typeof line.user === "number" ? line.user : -1, code = actionCode(line.action);
        if (user < 0 || user >= view.model.n || code === 0) continue;
        let met = 0;
        if (code === 5) {
          for (const id in line.people) {
            const other = byId.get(id);
            if (other !== undefined && other !== user) {
              messages.send(user, other, code, now);
              met++;
            }
          }
        }
        if (code === 6 || (code === 5 && !met)) messages.spread(view.model, user, code, now);
        messages.pulse(user, code, now);
      }
      wake();
    },
    zoomBy(factor) { camera.zoom(factor, camera.width / 2, camera.height / 2); moved(); },
    fit() { if (view.model) { camera.fit(view.model); moved(); } },
    /** Comes close to a user. @param {number} user */
    approach(user) {
      if (view.model && user >= 0) {
        camera.goTo(view.model.x[user], view.model.y[user], Math.max(camera.k, 60 / view.model.spacing), performance.now(), motion.still);
        moved();
      }
    },
    /** For tests and benchmarks: what is drawn, and how. */
    state: () => ({ users: view.model?.n ?? 0, ties: view.model?.m ?? 0, near: view.model ? isNear(radiusOf(view.model, camera)) : false,
      ratio: view.ratio, chosen, hover, k: camera.k, groundBusy: ground.busy() || groundStale }),
    /** Where a user is in the host, in CSS pixels. @param {number} user */
    place: (user) => ({ x: view.model.x[user] * camera.k + camera.ox, y: view.model.y[user] * camera.k + camera.oy }),
    close() {
      closed = true;
      cancelAnimationFrame(frame);
      clearTimeout(idle);
      stop();
      endTheme();
      watch.disconnect();
      for (const node of Object.values(nodes)) node.remove();
    },
  };
  return api;
}
