// The list as it was read up to a round, and how much there is beyond it.

import { useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { askedOf } from "./filters.js";
import { PAGE, Pages } from "./pages.js";

/** Least time between two readings of a running run, in ms. */
const OFTEN = 1000;

/** Path of a question for events. @param {string} run @param {object} asked @param {string} [file] */
export function eventsPath(run, asked, file = "events") {
  const query = new URLSearchParams(asked).toString();
  return runPath(run, query ? `${file}?${query}` : file);
}

/** Reads a list up to a round from its beginning. */
async function begin(run, filters, anchor) {
  const pages = new Pages((cursor) => get(eventsPath(run, askedOf(filters, anchor, { limit: PAGE, before: cursor || undefined }))));
  const answer = await get(eventsPath(run, askedOf(filters, anchor, { limit: PAGE })));
  pages.begin(answer);
  return { pages, counts: answer.counts, total: answer.total };
}

/**
 * The events that filters let through up to a round; live, the list stands still where it was read to
 * while it is being looked at, and moves on where `following`.
 * @returns {{list: object|null, error: any, anchor: number, fresh: number|null, renew: () => void}} `fresh`: how many events
 *   came since, null where only that there are some is known
 */
export function useFeed({ run, filters, at, newest, following }) {
  const [state, setState] = useState({ list: null, error: null, anchor: 0, key: "" });
  const [fresh, setFresh] = useState(0);
  const [asked, setAsked] = useState(0);
  const last = useRef(0);
  const key = JSON.stringify([run, filters, at]);
  const anew = state.key !== key;
  const wanted = at ?? newest;
  useEffect(() => {
    if (!anew && !(at === null && wanted > state.anchor) && asked === 0) return undefined;
    let over = false;
    const move = anew || following || asked > 0;
    const read = async () => {
      last.current = Date.now();
      try {
        if (move) {
          const list = await begin(run, filters, wanted);
          if (over) return;
          setState({ list, error: null, anchor: wanted, key });
          setFresh(0);
          setAsked(0);
        } else {
          const { total } = await get(eventsPath(run, askedOf(filters, wanted, { limit: 1 })));
          if (!over) setFresh(Number.isFinite(total) && Number.isFinite(state.list?.total) ? Math.max(0, total - state.list.total) : null);
        }
      } catch (error) {
        if (!over) setState((before) => ({ ...before, error, key: before.list ? before.key : key }));
      }
    };
    const timer = setTimeout(read, anew || asked > 0 ? 0 : Math.max(0, last.current + OFTEN - Date.now()));
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key, wanted, following, asked, anew]);
  const problem = (error) => setState((before) => ({ ...before, error }));
  return { ...state, stale: anew, fresh, renew: () => setAsked((count) => count + 1), problem };
}
