// One round of a user as it went: pages with what was watched on them, and what was said.

import { html } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";
import { PersonBadge } from "../ui/parts.js";
import { Calls } from "./calls.js";
import { PersonLink } from "./person-link.js";
import { OUTCOMES, headlineOf, storyOf } from "./telling.js";

const SURFACES = {
  feed: "home page", similar_items: "similar items", search: "search results", conversation: "conversation",
};

function Stars({ rating }) {
  if (!rating) return html`<span class="muted">not rated</span>`;
  const whole = Math.round(rating);
  return html`
    <span class="stars"><span aria-hidden="true">${"★".repeat(whole)}<span class="unlit">${"★".repeat(Math.max(0, 5 - whole))}</span></span>
      <span class="sr">${rating} of 5</span></span>`;
}

function Item({ item }) {
  return html`
    <li class=${item.watched ? "watched" : "skipped"} value=${item.position + 1}>
      <div class="item-line">
        <span class="verdict">${item.watched ? "watched" : "skipped"}</span>
        <span class="item-title"><cite>${item.title || item.itemId}</cite>
          ${item.watched && html` <${Stars} rating=${item.rating} />`}</span>
      </div>
      ${item.feeling && html`<p class="item-feeling">“${item.feeling}”</p>`}
      ${item.explanation && html`
        <p class="item-reason"><span class="muted">${item.withheld ? "explanation, kept from the user:" : "explanation:"}</span>
          ${" "}“${item.explanation}”</p>`}
    </li>`;
}

function Then({ then }) {
  if (!then) return null;
  if (then.type === "search") return html`<p class="page-then">→ searched for “${then.words}”</p>`;
  return html`<p class="page-then">→ ${then.type === "next" ? "went on to the next page" : "left"}</p>`;
}

function Page({ page, arm }) {
  const where = SURFACES[page.surface] ?? page.surface.replaceAll("_", " ");
  return html`
    <div class="story-page" role="group" aria-label=${`Page ${page.step + 1}`}>
      <p class="page-head">
        <strong>Page ${page.step + 1}</strong>
        ${where && html`<span>${where}</span>`}
        ${arm && html`<span>by <span class="arm-name">${arm}</span></span>`}
        ${page.query && html`<span>for “${page.query}”</span>`}
        ${OUTCOMES[page.outcome] && html`<span class="fault" title=${page.outcome}>⚠ ${OUTCOMES[page.outcome]}</span>`}
      </p>
      ${page.items.length
        ? html`<ol class="story-items">${page.items.map((item) => html`<${Item} key=${item.position} item=${item} />`)}</ol>`
        : html`<p class="muted">An empty page.</p>`}
      <${Then} then=${page.then} />
    </div>`;
}

function Said({ event, run, at }) {
  const words = event.words ? html`“${event.words}”` : html`<span class="muted">(nothing was put into words)</span>`;
  const about = event.title ? html` about <cite>${event.title}</cite>` : "";
  return html`
    <p class="story-said">
      ${event.type === "chat"
        ? html`Chatted with <${PersonLink} run=${run} user=${event.other_id} name=${event.other_name} at=${at} />${about}: `
        : html`Posted${about}: `}
      <span class="said-words">${words}</span>
    </p>`;
}

/**
 * @param {{round: object, run: string, user: string, arm: string, at: number|null, language: boolean}} props
 *   `language`: whether the user's mind has calls to show
 */
export function Story({ round, run, user, arm, at, language }) {
  const story = storyOf(round);
  return html`
    <article class="story" id=${`round-${round.round}`} data-round=${round.round}>
      <header>
        <h4><a href=${href("stage", { run }, { at: round.round, u: user })}>Round ${round.round}</a></h4>
        <span class="story-headline">${headlineOf(story)}</span>
        ${story.person && html`<${PersonBadge} />`}
      </header>
      ${story.opening && html`<p class="story-said">Asked the recommender: <span class="said-words">“${story.opening}”</span></p>`}
      ${story.pages.map((page) => html`<${Page} key=${page.step} page=${page} arm=${arm} />`)}
      ${story.social.map((event) => html`<${Said} key=${event.seq} event=${event} run=${run} at=${at} />`)}
      ${language && html`<${Calls} run=${run} user=${user} round=${round.round} />`}
    </article>`;
}
