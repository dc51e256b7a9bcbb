// How many positions a page has: a turn tells of its items alone, the run's events of where items stood.

import { useEffect, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";

const known = new Map(); // run -> positions

/**
 * Positions of a page of a run: the largest place at which an item was shown, here or in the newest rounds.
 * @param {string} run @param {number} here items of the page in view @returns {number} 0 while nobody knows
 */
export function usePageSize(run, here) {
  const [size, setSize] = useState(() => known.get(run) ?? 0);
  useEffect(() => {
    if (known.has(run)) return undefined;
    const stop = new AbortController();
    get(runPath(run, "events?action=shown&limit=200"), { signal: stop.signal }).then(({ events }) => {
      const most = Math.max(0, ...events.map((event) => (event.position ?? -1) + 1));
      if (most) known.set(run, most);
      setSize(most || here);
    }, (error) => { if (error.name !== "AbortError") setSize(here); });
    return () => stop.abort();
  }, [run]);
  return size ? Math.max(size, here) : 0;
}
