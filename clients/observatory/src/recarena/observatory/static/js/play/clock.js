/** How much of a turn is left. */

/**
 * A countdown from what the server said was left. Two clocks are read: the one that runs evenly
 * may stand still while a machine sleeps, the other may be set back; the more time passed on
 * either, the less is left, so the page never promises time that is over.
 */
export class Countdown {
  constructor(remainingMs, steady = () => performance.now(), wall = () => Date.now()) {
    this.steady = steady;
    this.wall = wall;
    this.remaining = remainingMs;
    this.total = remainingMs;
    this.sinceSteady = steady();
    this.sinceWall = wall();
  }

  /** Takes up what the server says anew; the whole time of the turn stays the longest heard. */
  renew(remainingMs) {
    this.remaining = remainingMs;
    this.total = Math.max(this.total, remainingMs);
    this.sinceSteady = this.steady();
    this.sinceWall = this.wall();
  }

  left() {
    const passed = Math.max(this.steady() - this.sinceSteady, this.wall() - this.sinceWall, 0);
    return Math.max(0, this.remaining - passed);
  }

  /** Share of the time that is left, from 0 to 1. */
  share() {
    return this.total > 0 ? this.left() / this.total : 0;
  }
}

/** Time in words: full seconds, rounded down so that it is never more than there is. */
export function secondsLeft(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds >= 120) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${seconds} s`;
}
