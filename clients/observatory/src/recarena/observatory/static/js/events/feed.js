// The list as it was read up to a round, and how much there is beyond it.

import { useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { get, inBundle, runPath } from "../api.js";
import { useFresh } from "../fresh.js";
import { askedOf } from "./filters.js";
import { PAGE, Pages } from "./pages.js";
import { sift } from "./sift.js";

/** Least time between two readings of a running run, in ms. */
const OFTEN = 1000;

/** Path of a question for events. @param {string} run @param {object} asked @param {string} [file] */
export function eventsPath(run, asked, file = "events") {
  const query = new URLSearchParams(asked).toString();
  return runPath(run, query ? `${file}?${query}` : file);
}

/** Reads a list up to a round from its beginning. */
async function begin(run, filters, anchor, armOf) {
  if (inBundle()) {
    const held = new Pages(async () => ({ events: [], next: "" }));
    const answer = sift((await get(runPath(run, "events"))).events, filters, anchor, armOf);
    held.begin(answer);
    return { pages: held, counts: answer.counts, total: answer.total };
  }
  const pages = new Pages((cursor) => get(eventsPath(run, askedOf(filters, anchor, { limit: PAGE, before: cursor || undefined }))));
  const answer = await get(eventsPath(run, askedOf(filters, anchor, { limit: PAGE })));
  pages.begin(answer);
  return { pages, counts: answer.counts, total: answer.total };
}

/** How many came; null where it is not known. */
function since(before, total) {
  return Number.isFinite(before) && Number.isFinite(total) ? Math.max(0, total - before) : null;
}

/**
 * The events that filters let through up to a round; live, the list stands still where it was read to
 * while it is being looked at, and moves on where `following`.
 * @returns {{key: string, list: object|null, error: any, anchor: number, fresh: number|null, renew: () => void, again: () => void}}
 *   `fresh`: how many events came since, null where only that there are some is known
 */
export function useFeed({ run, filters, at, newest, following, world }) {
  const [renewed, setRenewed] = useState(0);
  const follows = useRef(following);
  follows.current = following;
  const armOf = (user) => world?.arms[world.arm[user]] ?? "";
  const key = JSON.stringify([run, filters, at, inBundle() && Boolean(world)]);
  const wanted = at ?? newest;
  const read = async (before) => {
    const moved = before && at === null && wanted > before.anchor;
    const asked = !before || before.renewed !== renewed;
    if (asked || (moved && follows.current)) {
      const list = await begin(run, filters, wanted, armOf);
      // Whoever began to scroll meanwhile keeps the list that is being looked at.
      if (!asked && !follows.current) return { ...before, fresh: since(before.list.total, list.total) };
      return { list, anchor: wanted, fresh: 0, renewed };
    }
    if (!moved) return before;
    const { total } = await get(eventsPath(run, askedOf(filters, wanted, { limit: 1 })));
    return { ...before, fresh: since(before.list.total, total) };
  };
  const { value, error, again } = useFresh(key, `${wanted} ${following} ${renewed}`, read, OFTEN);
  const shown = value ?? { list: null, anchor: 0, fresh: 0 };
  return { ...shown, key, error, again, renew: () => setRenewed(renewed + 1) };
}
