// A page of items: mark what is watched, then go on, search or leave.

import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { Card } from "./card.js";
import {
  QUERY_LONGEST, UNDECIDED, canTurnPage, keyOfPage, pageDecision, pageProblem, toggledWatch, withWatch,
} from "./decision.js";

const TYPING = "input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]";

/** Calls back on keys that are neither typed into a field nor part of a shortcut of the browser. */
function useKeys(onKey) {
  const latest = useRef(onKey);
  latest.current = onKey;
  useEffect(() => {
    const heard = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      const target = event.target instanceof Element ? event.target : null;
      if (target?.closest(TYPING) || document.querySelector("dialog[open]")) return;
      if (latest.current(event.key)) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
    };
    document.addEventListener("keydown", heard, true);
    return () => document.removeEventListener("keydown", heard, true);
  }, []);
}

/**
 * @param {{turn: object, name: string, busy: boolean, pageSize: number, onDecide: (decision: object) => void}} props
 */
export function PageTurn({ turn, name, busy, pageSize, onDecide }) {
  const [draft, setDraft] = useState(UNDECIDED);
  const [problem, setProblem] = useState("");
  const query = useRef(null);
  const more = canTurnPage(turn, pageSize);
  const decide = (action) => {
    const wrong = pageProblem(draft, action);
    setProblem(wrong);
    if (wrong) query.current?.focus();
    else onDecide(pageDecision(draft, action));
  };
  useKeys((key) => {
    const meant = busy ? null : keyOfPage(key, turn, more);
    if (!meant) return false;
    if (meant.mark !== undefined) setDraft((before) => toggledWatch(before, meant.mark));
    else if (meant.action === "search") query.current?.focus();
    else decide(meant.action);
    return true;
  });
  const markOf = (position) => draft.watches.find((one) => one.position === position) ?? null;
  const ways = [more && "next", turn.can_search && !turn.last && "search"].filter(Boolean);
  const placeOf = (position) => draft.watches.findIndex((one) => one.position === position) + 1;
  return html`
    ${turn.query && html`<p class="turn-query">Results for “${turn.query}”</p>`}
    ${turn.items.length === 0 && html`<p class="turn-empty">The page is empty: nothing was recommended.</p>`}
    ${turn.items.length > 0 && html`<p class="muted">Watched when you go on: ${ways.join(", ")}${ways.length ? " or " : ""}leave.</p>`}
    <ol class="offers">
      ${turn.items.map((item) => html`
        <li key=${item.position}>
          <${Card} item=${item} mark=${markOf(item.position)} place=${placeOf(item.position)} fixed=${busy}
            onToggle=${() => setDraft((before) => toggledWatch(before, item.position))}
            onChange=${(change) => setDraft((before) => withWatch(before, item.position, change))} />
        </li>`)}
    </ol>
    <div class="turn-foot"><div class="turn-actions">
      ${more && html`
        <button type="button" class="button primary" disabled=${busy} onClick=${() => decide("next")}>
          Next page <kbd aria-hidden="true">n</kbd>
        </button>`}
      ${turn.can_search && !turn.last && html`
        <form class="turn-search" role="search" onSubmit=${(event) => {
          event.preventDefault();
          decide("search");
        }}>
          <input ref=${query} type="search" maxlength=${QUERY_LONGEST} value=${draft.query}
            aria-label="Search for" placeholder="search for…" autocomplete="off"
            onInput=${(event) => {
              const words = event.currentTarget.value;
              setDraft((before) => ({ ...before, query: words }));
            }} />
          <button type="submit" class="button" disabled=${busy}>Search <kbd aria-hidden="true">s</kbd></button>
        </form>`}
      <button type="button" class=${more ? "button" : "button primary"} disabled=${busy} onClick=${() => decide("leave")}>
        Leave <kbd aria-hidden="true">l</kbd>
      </button>
    </div>
    ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
    ${!turn.last && !more && pageSize > 0 && html`<p class="muted">There is no next page: this one has all there is.</p>`}
    ${turn.last && html`
      <p class="muted">This is the last page of the visit: ${name} leaves after it.</p>`}
    <p class="muted keys-hint">
      Keys: ${turn.items.length ? html`<kbd>1</kbd>${turn.items.length > 1 ? html`–<kbd>${Math.min(9, turn.items.length)}</kbd>` : ""} watch` : "none to watch"}${more ? html`, <kbd>n</kbd> next` : ""}${
        turn.can_search && !turn.last ? html`, <kbd>s</kbd> search` : ""}, <kbd>l</kbd> leave
    </p></div>`;
}
