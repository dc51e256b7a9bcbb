// What users do, in sentences. A fixed number of lines; held while the pointer or the focus is on them.
import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { useStore } from "../store.js";
import { actionCode, ACTIONS } from "../ui/actions.js";
import { number } from "../ui/format.js";
import { Empty, Glyph, Loading, PersonBadge } from "../ui/parts.js";
import { Sentence } from "../ui/sentence.js";

const LINES = 60;

/** The user_id of a line. @param {object} line @param {object|null} world */
const idOf = (line, world) => (typeof line.user === "number" ? world?.ids[line.user] ?? "" : line.user);

function Line({ line, run, at, world }) {
  const id = idOf(line, world);
  return html`<li class="feed-line"><${Glyph} action=${line.action} /><span class="sr">${ACTIONS[actionCode(line.action)].word}: </span>
    <span class="feed-text"><${Sentence} line=${{ ...line, user_id: id }} run=${run} at=${at} />${line.person ? html` <${PersonBadge} />` : null}</span>
    <span class="feed-round" title="Round">${line.round}</span></li>`;
}

/** @param {{store: object, only: string, chosen: string}} props lines of an action, or of a user, alone */
export function Feed({ store, only, chosen }) {
  const at = useStore(store, (s) => s.at);
  const live = useStore(store, (s) => s.feed);
  const replayed = useStore(store, (s) => s.shownFeed);
  const world = useStore(store, (s) => s.world);
  const running = useStore(store, (s) => s.run?.state === "running");
  const loading = useStore(store, (s) => (s.at === null ? s.keyframe === null : s.shown?.round !== s.at) && (s.run?.round ?? 0) > 0);
  const waiting = useStore(store, (s) => s.run?.state === "waiting_for_recommenders");
  const ended = useStore(store, (s) => s.run?.state === "succeeded" || s.run?.state === "stopped");
  const leftOut = useStore(store, (s) => s.leftOut);
  const [held, setHeld] = useState(null);
  const source = at === null ? live : replayed;
  const box = useRef(null);
  useEffect(() => setHeld(null), [at === null]);
  const given = at === null && held ? held : source;
  const fit = given.filter((l) => (!only || l.action === only) && (!chosen || idOf(l, world) === chosen || chosen in (l.people ?? {})));
  const lines = at === null ? fit.slice(-LINES).reverse() : fit.slice(0, LINES);
  const unread = held && held !== source && at === null;
  const hold = () => { if (at === null && !held) setHeld(source); };
  const free = () => { if (!box.current?.contains(document.activeElement)) setHeld(null); };
  const what = [only ? ACTIONS[actionCode(only)].word.toLowerCase() : "", chosen ? "one user" : ""].filter(Boolean).join(", ");
  return html`<section class="panel stage-feed" aria-label="Feed of the round" onMouseEnter=${hold} onMouseLeave=${() => setHeld(null)}>
    <div class="panel-head"><h2 class="panel-title">${at !== null ? `Round ${at}` : ended ? "Newest" : "Now"}</h2>${what ? html`<span class="muted small">${what}</span>` : null}
      <span class="feed-note muted small">${unread ? "held while you read" : at === null && leftOut && running ? `and ${number(leftOut)} more events` : ""}</span></div>
    ${lines.length ? html`<ol class="feed-list" ref=${box} tabIndex="0" aria-label="Lines, newest first" onFocusCapture=${hold} onBlurCapture=${() => setTimeout(free, 0)}>
      ${lines.map((l, i) => html`<${Line} key=${`${l.round} ${l.user} ${l.action} ${l.text.length}`} line=${l} run=${store.id} at=${at ?? null} world=${world} index=${i} />`)}</ol>`
      : loading ? html`<${Loading} what="Loading what happened" lines=${5} />` : html`<${Empty} title=${what ? "No line of this kind" : "Nobody has done anything yet"}>${what ? "In the lines at hand; the Events screen has them all."
        : running ? "The first round is being played." : waiting ? "The first round begins when all recommenders are there." : "Start the run and its users come to life."}<//>`}
  </section>`;
}
