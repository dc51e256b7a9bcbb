/** Waiting. */

import { setImmediate, setTimeout } from "node:timers/promises";

/** Waits until `step` is settled, or for `ms` milliseconds; whether it was settled in time. */
export async function within(ms: number, step: Promise<unknown>): Promise<boolean> {
  const enough = new AbortController();
  const late = setTimeout(ms, false, { signal: enough.signal }).catch(() => false);
  try {
    return await Promise.race([step.then(() => true, () => true), late]);
  } finally {
    enough.abort();
  }
}

/** Lets the event loop see to everything that has arrived: messages, timers, signals. */
export async function turn(): Promise<void> {
  await setImmediate();
  await setImmediate(); // after the first one only what had been polled already was seen to
}

/** A promise, and the function that settles it. */
export class Settled<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;

  constructor() {
    this.promise = new Promise((resolve) => (this.resolve = resolve));
  }
}
