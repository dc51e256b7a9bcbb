// Reading anew what a running run changes: one reading at a time, none too often, none given up because a round came.

import { useEffect, useRef, useState } from "../vendor/htm-preact-standalone.js";

/**
 * What `read` gave for a key; read again, at most every `often` ms, when the version is another. What was read stays until
 * there is something newer, also where a reading fails.
 * @template T
 * @param {string} key of what is read; another key forgets
 * @param {string|number} version of what is known to be there
 * @param {(before: T|null) => Promise<T>} read is given what it gave before for the same key
 * @param {number} often
 * @returns {{value: T|null, version: string|number|null, error: any, again: () => void}} `version`: the one that was read
 */
export function useFresh(key, version, read, often) {
  const [state, setState] = useState({ key: null, value: null, version: null, error: null });
  const [tries, setTries] = useState(0);
  const now = useRef(null);
  now.current = { version, read };
  const poke = useRef(null);
  useEffect(() => {
    let gone = false, idle = false, timer = 0, last = 0, value = null;
    const soon = () => {
      idle = false;
      timer = setTimeout(once, Math.max(0, last + often - Date.now()));
    };
    const once = async () => {
      const asked = now.current.version;
      last = Date.now();
      try {
        value = await now.current.read(value);
        if (!gone) setState({ key, value, version: asked, error: null });
      } catch (error) {
        if (!gone) setState((before) => (before.key === key ? { ...before, error } : { key, value: null, version: asked, error }));
      }
      if (gone) return;
      if (now.current.version === asked) idle = true;
      else soon();
    };
    poke.current = () => {
      if (idle) soon();
    };
    once();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [key, tries]);
  useEffect(() => poke.current(), [version]);
  const mine = state.key === key ? state : { value: null, version: null, error: null };
  return { value: mine.value, version: mine.version, error: mine.error, again: () => setTries(tries + 1) };
}
