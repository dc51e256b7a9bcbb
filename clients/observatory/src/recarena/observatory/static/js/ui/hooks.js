import { useEffect, useReducer, useRef, useState } from "../../vendor/htm-preact-standalone.js";

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

/** Renders again every `ms`. @param {number} ms */
export function useTick(ms) {
  const [, again] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    const timer = setInterval(again, ms);
    return () => clearInterval(timer);
  }, [ms]);
}

const phone = window.matchMedia("(max-width: 720px)");

/** Whether the page is as narrow as a phone. @returns {boolean} */
export function useNarrow() {
  const [narrow, setNarrow] = useState(phone.matches);
  useEffect(() => {
    const look = () => setNarrow(phone.matches);
    phone.addEventListener("change", look);
    return () => phone.removeEventListener("change", look);
  }, []);
  return narrow;
}
