// One item on a page as the user sees it, and what is made of it.

import { html } from "../../vendor/htm-preact-standalone.js";
import { Badge } from "../ui/parts.js";
import { FEELING_LONGEST } from "./decision.js";

const RATINGS = [1, 2, 3, 4, 5];

function Rating({ position, rating, onRate }) {
  return html`
    <fieldset class="rating">
      <legend>Rating</legend>
      ${RATINGS.map((stars) => html`
        <label key=${stars} class=${stars <= rating ? "lit" : ""}>
          <input type="radio" name=${`rating-${position}`} value=${stars} checked=${rating === stars}
            onChange=${() => onRate(stars)} />
          <span aria-hidden="true">★</span><span class="sr">${stars} of 5</span>
        </label>`)}
      <button type="button" class="link-button" disabled=${!rating} onClick=${() => onRate(0)}>
        ${rating ? `${rating} of 5 – clear` : "not rated"}
      </button>
    </fieldset>`;
}

/**
 * @param {{item: object, mark: {rating: number, feeling: string}|null, place: number, fixed: boolean,
 *   onToggle: () => void, onChange: (change: object) => void}} props
 */
export function Card({ item, mark, place, fixed, onToggle, onChange }) {
  return html`
    <article class=${`offer ${mark ? "marked" : ""}`} data-position=${item.position}>
      <header>
        <kbd aria-hidden="true">${item.position + 1}</kbd>
        <h3><cite>${item.title}</cite></h3>
        ${item.watched_before && html`<${Badge} mark="✓">watched before<//>`}
      </header>
      <p class="offer-facts">
        <span class="genres">${item.categories.join(" · ") || "no genre"}</span>
        ${item.displayed_rating > 0 && html`
          <span class="stars" title="Mean rating as everybody sees it">
            <span aria-hidden="true">★</span> ${item.displayed_rating.toFixed(1)}
            <span class="muted"> of 5 on average</span>
          </span>`}
      </p>
      ${item.description && html`<p class="offer-words">${item.description}</p>`}
      ${item.explanation && html`
        <blockquote class="explanation">
          <span class="muted">The recommender says:</span> “${item.explanation}”
        </blockquote>`}
      <button type="button" class=${`button watch ${mark ? "primary" : ""}`} aria-pressed=${Boolean(mark)}
        disabled=${fixed} onClick=${onToggle} aria-label=${`Watch ${item.title}`}>
        ${mark ? `✓ Watching${place > 1 ? ` (${place}.)` : ""}` : "Watch"}
      </button>
      ${mark && html`
        <div class="verdicts">
          <${Rating} position=${item.position} rating=${mark.rating}
            onRate=${(rating) => onChange({ rating })} />
          <label class="feeling">Feeling
            <input type="text" maxlength=${FEELING_LONGEST} value=${mark.feeling}
              placeholder="how it felt, in a few words" autocomplete="off"
              onInput=${(event) => onChange({ feeling: event.currentTarget.value })} />
          </label>
        </div>`}
    </article>`;
}
