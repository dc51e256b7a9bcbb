// Lines of a batch are let go over the time until the next batch is due, so that a feed flows instead of jumping.

const TICK = 80; // ms between releases
const SHOWN = 250; // ms between two changes of the list that is drawn
const READ = 10; // lines that one change of the list brings at most; more nobody reads
const WAITING = 240; // lines that may wait; past that the oldest are let go at once

/** @param {(lines: object[]) => void} draw called with new lines, at most four times a second */
export function makePacer(draw) {
  let queue = [], drawn = [], timer = 0, whole = false, last = 0, period = 400, due = 0, drawnAt = 0;
  const listeners = new Set();

  function release(lines) {
    if (!lines.length) return;
    for (const listener of listeners) listener(lines);
    drawn.push(...lines);
  }

  function tick() {
    timer = 0;
    const now = Date.now();
    const left = Math.max(1, Math.ceil((due - now) / TICK));
    release(queue.splice(0, Math.ceil(queue.length / left)));
    if (drawn.length && (now - drawnAt >= SHOWN || !queue.length)) {
      drawnAt = now;
      draw(drawn.slice(whole ? 0 : -READ));
      drawn = [];
      whole = false;
    }
    if (queue.length || drawn.length) timer = setTimeout(tick, TICK);
  }

  return {
    /** @param {object[]} lines @param {number} now when they came; 0: all at once */
    push(lines, now) {
      if (!now) {
        drawn.push(...lines);
        whole = true;
      } else {
        if (last) period = 0.7 * period + 0.3 * Math.min(4000, Math.max(80, now - last));
        last = now;
        due = now + period;
        queue.push(...lines);
        if (queue.length > WAITING) release(queue.splice(0, queue.length - WAITING));
      }
      if (!timer && (queue.length || drawn.length)) timer = setTimeout(tick, 0);
    },
    /** @param {(lines: object[]) => void} f @returns {() => void} ends it */
    listen(f) {
      listeners.add(f);
      return () => listeners.delete(f);
    },
    clear() {
      clearTimeout(timer);
      timer = 0;
      queue = [];
      drawn = [];
    },
  };
}

const WINDOW = 20000; // ms that the pace of rounds is taken over, and at least so many of them:
const LEAST = 4;

/** How fast rounds come, from when they came: with whatever paces a run, be it people or pauses between rounds. */
export function makeArrivals() {
  let seen = [];
  return {
    /** @param {number} round the last that is there @param {number} now ms */
    note(round, now) {
      if (seen.length && round <= seen.at(-1).round) return;
      seen.push({ round, now });
      while (seen.length > LEAST && now - seen[1].now > WINDOW) seen.shift();
    },
    /** Rounds a second; null where too few have come. @returns {number|null} */
    pace() {
      const first = seen[0], last = seen.at(-1);
      return seen.length > 1 && last.now - first.now >= 1000 ? 1000 * (last.round - first.round) / (last.now - first.now) : null;
    },
    clear() {
      seen = [];
    },
  };
}
