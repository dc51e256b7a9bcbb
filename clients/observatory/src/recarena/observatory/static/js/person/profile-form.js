// The form that edits a user: fields, sliders with numbers, and what an edit comes to before it is sent.

import { html, useState } from "../../vendor/htm-preact-standalone.js";
import { fixed } from "../ui/format.js";
import {
  LONGEST_FIELD, PROFILE_FIELDS, TASTE, boundsOf, changeOf, diffOf, draftOf, inOrder, places, traitLabel,
} from "./edit.js";

/** A slider with its number beside it; either changes the other. */
function Slider({ label, what, value, low, high, step, onValue }) {
  const id = `edit-${label.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  // While a number is typed it stands as typed; what is out of bounds is held to them when it is left.
  const [typed, setTyped] = useState(null);
  const take = (text) => {
    if (text !== "" && Number.isFinite(Number(text))) onValue(Math.min(high, Math.max(low, Number(text))));
  };
  const type = (event) => {
    setTyped(event.currentTarget.value);
    take(event.currentTarget.value);
  };
  return html`
    <div class="edit-slider">
      <label for=${id} title=${what}>${label}</label>
      <input id=${id} type="range" min=${low} max=${high} step=${step} value=${value}
        onInput=${(event) => take(event.currentTarget.value)} />
      <input type="number" aria-label=${`${label}, as a number`} min=${low} max=${high} step=${step}
        value=${typed ?? fixed(value, places(step))} onInput=${type} onBlur=${() => setTyped(null)} />
    </div>`;
}

function told(part, value) {
  if (value === undefined) return "nothing";
  if (typeof value === "number") return fixed(value, 2);
  return part === "profile" && !value ? "nothing" : `“${value}”`;
}

function Diff({ lines, effective }) {
  if (!lines.length) return html`<p class="muted" role="status">Nothing is changed yet.</p>`;
  return html`
    <div class="diff" role="status">
      <p><strong>${lines.length === 1 ? "One change" : `${lines.length} changes`}</strong> – takes effect in
        ${" "}<strong>round ${effective}</strong></p>
      <ul>
        ${lines.map((line) => html`
          <li key=${`${line.part}.${line.key}`}>
            <span>${line.label}</span>
            <del>${told(line.part, line.from)}</del>
            <span aria-hidden="true">→</span>
            <ins>${told(line.part, line.to)}</ins>
          </li>`)}
      </ul>
    </div>`;
}

/**
 * @param {{person: object, effective: number, busy: boolean, problem: {message: string, field: string}|null,
 *   onSend: (change: object) => void, onClose: () => void}} props
 */
export function ProfileForm({ person, effective, busy, problem, onSend, onClose }) {
  // What the form began with: tastes move while a run goes on, and an edit names what was edited alone.
  const [base] = useState(person);
  const [draft, setDraft] = useState(() => draftOf(base));
  const lines = diffOf(base, draft);
  const put = (part, key) => (value) =>
    setDraft((before) => ({ ...before, [part]: { ...before[part], [key]: value } }));
  const typed = (part, key) => (event) => put(part, key)(event.currentTarget.value);
  const send = (event) => {
    event.preventDefault();
    if (lines.length) onSend(changeOf(base, draft));
  };
  return html`
    <form class="edit-profile" novalidate onSubmit=${send}>
      <div class="edit-columns">
        <fieldset>
          <legend>Profile</legend>
          <label>Name
            <input type="text" maxlength="100" value=${draft.name} autocomplete="off"
              onInput=${(event) => {
                const name = event.currentTarget.value;
                setDraft((before) => ({ ...before, name }));
              }} />
          </label>
          ${PROFILE_FIELDS.map((field) => html`
            <label key=${field}>${field.charAt(0).toUpperCase() + field.slice(1)}
              ${field === "traits" || field === "interests"
                ? html`<textarea rows="2" maxlength=${LONGEST_FIELD} value=${draft.profile[field]} onInput=${typed("profile", field)}></textarea>`
                : html`<input type="text" maxlength=${LONGEST_FIELD} value=${draft.profile[field]} autocomplete="off" onInput=${typed("profile", field)} />`}
            </label>`)}
        </fieldset>
        <fieldset>
          <legend>Traits</legend>
          ${inOrder(draft.traits).map(([trait, value]) => {
            const bounds = boundsOf(trait, base.traits[trait] ?? value);
            return html`<${Slider} key=${trait} label=${traitLabel(trait)} what=${bounds.what} value=${value}
              low=${bounds.low} high=${bounds.high} step=${bounds.step} onValue=${put("traits", trait)} />`;
          })}
        </fieldset>
        <fieldset>
          <legend>Tastes <span class="muted">rating points</span></legend>
          ${Object.entries(draft.tastes).sort(([a], [b]) => a.localeCompare(b)).map(([genre, value]) => html`
            <${Slider} key=${genre} label=${genre} value=${value} low=${TASTE.low} high=${TASTE.high} step=${TASTE.step}
              onValue=${put("tastes", genre)} />`)}
        </fieldset>
      </div>
      <div class="edit-foot">
        <${Diff} lines=${lines} effective=${effective} />
        ${problem && html`<p class="field-error" role="alert">${problem.field ? `${problem.field}: ` : ""}${problem.message}</p>`}
        <div class="turn-actions">
          <button type="submit" class="button primary" disabled=${busy || !lines.length}>Send for round ${effective}</button>
          <button type="button" class="button" disabled=${busy || !lines.length} onClick=${() => setDraft(draftOf(base))}>Undo all</button>
          <button type="button" class="button" onClick=${onClose}>Close</button>
        </div>
      </div>
    </form>`;
}
