// The turns that are not pages: what to do in a round, words to the recommender, words to people.

import { html, useState } from "../../vendor/htm-preact-standalone.js";
import { QUERY_LONGEST, WORDS_LONGEST } from "./decision.js";

/** @param {{turn: object, name: string, busy: boolean, onDecide: (decision: object) => void}} props */
export function ActivityTurn({ turn, name, busy, onDecide }) {
  const choose = (activity) => () => onDecide({ activity });
  return html`
    <div class="choices">
      <button type="button" class="choice" disabled=${busy} onClick=${choose("recommender")}>
        <strong>Open the recommender</strong><span>look at what it offers, watch, search</span>
      </button>
      <button type="button" class="choice" disabled=${busy || !turn.can_socialise} onClick=${choose("social")}>
        <strong>Open the social network</strong>
        <span>${turn.can_socialise ? "chat with an acquaintance or post" : `${name} knows nobody`}</span>
      </button>
      <button type="button" class="choice" disabled=${busy} onClick=${choose("nothing")}>
        <strong>Do nothing</strong><span>sit this round out</span>
      </button>
    </div>`;
}

/** @param {{name: string, busy: boolean, onDecide: (decision: object) => void}} props */
export function OpeningTurn({ name, busy, onDecide }) {
  const [words, setWords] = useState("");
  return html`
    <form class="turn-form" onSubmit=${(event) => {
      event.preventDefault();
      onDecide({ opening: { words: words.trim() } });
    }}>
      <label>What ${name} asks the recommender
        <input type="text" maxlength=${QUERY_LONGEST} value=${words} autocomplete="off"
          placeholder="something to laugh about, not too long"
          onInput=${(event) => setWords(event.currentTarget.value)} />
      </label>
      <div class="turn-actions">
        <button type="submit" class="button primary" disabled=${busy || !words.trim()}>Ask</button>
        <button type="button" class="button" disabled=${busy} onClick=${() => onDecide({ opening: { words: "" } })}>
          Say nothing, see the home page
        </button>
      </div>
    </form>`;
}

const SENTIMENTS = [[-2, "hates it"], [-1, "dislikes it"], [0, "neutral"], [1, "likes it"], [2, "loves it"]];

function toWhom(turn, to) {
  const friend = turn.acquaintances.find((one) => one.user_id === to);
  return friend ? friend.name : "all acquaintances";
}

/** @param {{turn: object, name: string, busy: boolean, onDecide: (decision: object) => void}} props */
export function SocialTurn({ turn, name, busy, onDecide }) {
  const nearest = turn.acquaintances[0]?.user_id ?? "";
  const [draft, setDraft] = useState({ to: nearest, words: "", about: Boolean(turn.last_item_id), sentiment: 0 });
  const set = (change) => setDraft((before) => ({ ...before, ...change }));
  const sender = turn.acquaintances.find((one) => one.user_id === turn.unread_user_id);
  const say = (words) => onDecide({
    social: {
      user_id: words ? draft.to : "",
      words,
      item_id: words && draft.about ? turn.last_item_id : "",
      sentiment: words && draft.about ? draft.sentiment : 0,
    },
  });
  return html`
    <form class="turn-form" onSubmit=${(event) => {
      event.preventDefault();
      say(draft.words.trim());
    }}>
      ${turn.unread && html`
        <blockquote class="explanation">
          <span class="muted">${sender?.name ?? "An acquaintance"} posted:</span> “${turn.unread}”
        </blockquote>`}
      <label>To
        <select value=${draft.to} onChange=${(event) => set({ to: event.currentTarget.value })}>
          ${turn.acquaintances.map((one) => html`
            <option key=${one.user_id} value=${one.user_id}>
              ${one.name} – ${one.kind || "acquaintance"}, closeness ${one.closeness.toFixed(2)}
            </option>`)}
          <option value="">everybody: a post to all acquaintances</option>
        </select>
      </label>
      <label>What ${name} says
        <textarea rows="3" maxlength=${WORDS_LONGEST} value=${draft.words}
          onInput=${(event) => set({ words: event.currentTarget.value })}></textarea>
      </label>
      ${turn.last_item_id && html`
        <div class="turn-about">
          <label class="check">
            <input type="checkbox" checked=${draft.about}
              onChange=${(event) => set({ about: event.currentTarget.checked })} />
            <span>about <cite>${turn.last_title}</cite>, which ${name} watched last</span>
          </label>
          ${draft.about && html`
            <label>and ${name}
              <select value=${String(draft.sentiment)}
                onChange=${(event) => set({ sentiment: Number(event.currentTarget.value) })}>
                ${SENTIMENTS.map(([value, words]) => html`<option key=${value} value=${String(value)}>${words}</option>`)}
              </select>
            </label>`}
        </div>`}
      <div class="turn-actions">
        <button type="submit" class="button primary" disabled=${busy || !draft.words.trim()}>
          ${draft.to ? `Say it to ${toWhom(turn, draft.to)}` : "Post it"}
        </button>
        <button type="button" class="button" disabled=${busy} onClick=${() => say("")}>Say nothing</button>
      </div>
    </form>`;
}
