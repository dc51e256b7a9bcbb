// The memory bank by kind, a stretch of it at a time.

import { html, useState } from "../../vendor/htm-preact-standalone.js";
import { ageOf, byKind, recalledIn } from "./bank.js";
import { PersonLink } from "./person-link.js";

const FIRST = 5;
const MORE = 40;
const MOST = 200;

function Memory({ memory, now, run, at, nameOf, until }) {
  const recalled = recalledIn(memory, until);
  const percent = Math.round(100 * memory.importance);
  return html`
    <li class="memory">
      <p class="memory-words">${memory.text}</p>
      <p class="memory-facts">
        <span class="importance" title="Importance, from 0 to 1">
          <span class="importance-bar" aria-hidden="true"><span style=${{ width: `${percent}%` }}></span></span>
          importance ${memory.importance.toFixed(2)}
        </span>
        <span title=${`Made in round ${memory.round}`}>${ageOf(memory, now)}</span>
        ${memory.source && html`<span>from <${PersonLink} run=${run} user=${memory.source}
          name=${nameOf(memory.source)} at=${at} /></span>`}
        ${recalled && html`<span class="recalled">${recalled}</span>`}
      </p>
    </li>`;
}

function Kind({ group, opened, ...rest }) {
  const [shown, setShown] = useState(FIRST);
  const [start, setStart] = useState(0);
  const list = group.list.slice(start, start + Math.min(shown, MOST));
  const left = group.list.length - start - list.length;
  const more = () => (shown < MOST ? setShown(shown + MORE) : setStart(start + MOST));
  return html`
    <details class="memory-kind" open=${opened}>
      <summary><h4>${group.label}</h4> <span class="count">${group.list.length}</span>
        ${group.what && html`<span class="muted"> ${group.what}</span>`}</summary>
      ${start > 0 && html`
        <button type="button" class="link-button" onClick=${() => setStart(Math.max(0, start - MOST))}>Newer ones</button>`}
      <ul class="memories">
        ${list.map((memory) => html`<${Memory} key=${memory.number} memory=${memory} ...${rest} />`)}
      </ul>
      ${left > 0 && html`
        <button type="button" class="link-button" onClick=${more}>Show more (${left} older)</button>`}
    </details>`;
}

/**
 * @param {{memories: object[], now: number, at: number|null, run: string, nameOf: (id: string) => string}} props
 */
export function Memories({ memories, now, at, run, nameOf }) {
  const until = at ?? 0;
  const groups = byKind(memories.filter((one) => at === null || one.round <= at));
  if (!groups.length) return html`<p class="muted">Nothing is remembered${at === null ? " yet" : ` at round ${at}`}.</p>`;
  return html`
    <div class="memory-bank">
      ${groups.map((group, place) => html`
        <${Kind} key=${group.kind} group=${group} opened=${place < 3} now=${now} until=${until} at=${at} run=${run} nameOf=${nameOf} />`)}
    </div>`;
}
