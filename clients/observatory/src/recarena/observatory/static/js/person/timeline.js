// A user's rounds, newest first, a few at a time; what was read long ago leaves the page again.

import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { Empty, Failed, Loading } from "../ui/parts.js";
import { Story } from "./story.js";

/** Most rounds on the page at once. */
const MOST = 60;

/** @param {string} run @param {string} user @param {object} query */
async function read(run, user, query) {
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  return get(runPath(run, `u/${encodeURIComponent(user)}/timeline?${words}`));
}

/**
 * Rounds read so far. `newest` is the round up to which the list was read; it moves on when it is asked to.
 */
function useRounds(run, user, at, anchor) {
  const [list, setList] = useState({ rounds: [], next: "", state: "loading", error: null, trail: [] });
  const mine = useRef(0);
  const load = async (cursor, trail) => {
    const turn = ++mine.current;
    setList((before) => ({ ...before, state: before.rounds.length ? "more" : "loading" }));
    try {
      const answer = await read(run, user, { before: cursor, at: at ?? "" });
      if (turn !== mine.current) return;
      setList((before) => {
        const come = at === null ? answer.rounds : answer.rounds.filter((one) => one.round <= at);
        const kept = cursor ? [...before.rounds, ...come] : come;
        const from = Math.max(0, kept.length - MOST);
        return { rounds: kept.slice(from), next: answer.next, state: "ready", error: null, trail, cut: from > 0 || (cursor && before.cut) };
      });
    } catch (error) {
      if (turn === mine.current) setList((before) => ({ ...before, state: "failed", error }));
    }
  };
  useEffect(() => {
    load("", []);
  }, [run, user, at, anchor]);
  return { ...list, more: () => load(list.next, [...list.trail, list.next]), again: () => load("", []) };
}

/**
 * @param {{run: string, person: object, at: number|null, anchor: number, newer: number, onNewest: () => void}} props
 *   `newer`: rounds committed since the list was read
 */
export function Timeline({ run, person, at, anchor, newer, onNewest }) {
  const list = useRounds(run, person.user_id, at, anchor);
  if (list.state === "loading") return html`<${Loading} what="Reading the timeline" lines=${4} />`;
  if (list.state === "failed" && !list.rounds.length) return html`<${Failed} error=${list.error} again=${list.again} />`;
  if (!list.rounds.length) {
    return html`<${Empty} title="Nothing has happened yet">
      ${at === null ? `${person.name} was not active in any round so far.` : `${person.name} was not active up to round ${at}.`}<//>`;
  }
  return html`
    <div class="timeline" aria-busy=${list.state === "more"}>
      ${(newer > 0 || list.cut) && html`
        <button type="button" class="button newer" onClick=${list.cut && !newer ? list.again : onNewest}>
          ${newer > 0 ? `${newer} newer ${newer === 1 ? "round" : "rounds"}: show the newest` : "Back to the newest rounds"}</button>`}
      ${list.rounds.map((round) => html`
        <${Story} key=${round.round} round=${round} run=${run} user=${person.user_id} arm=${person.arm} at=${at}
          language=${person.mind === "llm" && !round.person} />`)}
      ${list.state === "failed" && html`<${Failed} error=${list.error} again=${list.more} />`}
      ${list.next
        ? html`<button type="button" class="button" disabled=${list.state === "more"} onClick=${list.more}>Earlier rounds</button>`
        : html`<p class="muted timeline-end">The beginning.</p>`}
    </div>`;
}
