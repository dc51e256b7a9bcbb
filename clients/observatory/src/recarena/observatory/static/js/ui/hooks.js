import { useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";

/** A value that is passed on at most every `ms`; the last one always comes. @template T @param {T} value @param {number} ms @returns {T} */
export function useThrottled(value, ms) {
  const [shown, setShown] = useState(value);
  const latest = useRef(value), timer = useRef(0), last = useRef(0);
  latest.current = value;
  useEffect(() => {
    if (timer.current || Object.is(shown, value)) return;
    timer.current = setTimeout(() => {
      timer.current = 0;
      last.current = Date.now();
      setShown(latest.current);
    }, Math.max(0, ms - (Date.now() - last.current)));
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  return shown;
}
