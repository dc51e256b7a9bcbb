// One event as a line of fixed height.

import { html } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";
import { Badge, Glyph, PersonBadge } from "../ui/parts.js";
import { Sentence } from "../ui/sentence.js";
import { labelOf } from "./filters.js";

const GLYPHS = {
  watch: "watching", search: "searching", chat: "chatting", post: "posting", converse: "talking", page: "browsing",
  next: "browsing", leave: "away", idle: "away", enter_recommender: "browsing", enter_social: "chatting", shown: "browsing",
};

const FAULTS = new Set(["violations", "rejected", "late", "failed", "lost"]);

/** Address of an event: the round that it is in, and its place there. */
export function permalink(run, event, query) {
  return href("events", { run }, { ...query, at: event.round, seq: event.seq });
}

/**
 * @param {{event: object|null, index: number, top: number, height: number, run: string, at: number|null, query: object,
 *   lit: boolean, total: number}} props
 */
export function Row({ event, index, top, height, run, at, query, lit }) {
  const place = { transform: `translateY(${top}px)`, height: `${height}px` };
  if (!event) return html`<li class="event-row waiting" style=${place} aria-hidden="true"><span class="skeleton"></span></li>`;
  const people = event.other_id && event.other_name ? { [event.other_id]: event.other_name } : {};
  const line = { text: event.text, titles: event.title ? [event.title] : [], people, name: event.name, user_id: event.user_id };
  return html`
    <li class=${`event-row ${lit ? "lit" : ""} type-${event.type}`} style=${place} data-index=${index} data-round=${event.round} data-seq=${event.seq}
      aria-current=${lit ? "true" : undefined}>
      <a class="event-link" href=${permalink(run, event, query)} title="Link to this event">
        <span class="sr">Event </span>${event.round}<span class="muted">·${event.seq}</span></a>
      <span class="event-type">${event.type === "intervention" ? html`<span class="event-mark" aria-hidden="true">◆</span>` : html`<${Glyph} action=${GLYPHS[event.type] ?? "away"} />`}
        <span class="event-word">${labelOf(event.type)}</span></span>
      <span class="event-text" title=${event.text}><${Sentence} line=${line} run=${run} at=${at} /></span>
      <span class="event-badges">
        ${FAULTS.has(event.outcome) && html`<${Badge} mark="⚠" kind="fault" title="What became of the recommender’s list">${event.outcome}<//>`}
        ${event.undecided && html`<${Badge} mark="⚠" kind="fault" title="Nobody decided this: a default stands in its place">undecided<//>`}
        ${event.withheld && html`<${Badge} title="The explanation was kept from the user">withheld<//>`}
        ${event.person && html`<${PersonBadge} />`}
      </span>
    </li>`;
}
