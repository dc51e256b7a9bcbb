// A user's ties, and the form that makes, changes or ends one.

import { html, useState } from "../../vendor/htm-preact-standalone.js";
import { SliderField, UserField } from "../ui/form.js";
import { PersonLink } from "./person-link.js";

const FIRST = 12;
const LONGEST_KIND = 64;

let numbers = 0;
const useId = () => useState(() => `tie-kinds-${++numbers}`)[0];

function TieForm({ relation, world, effective, busy, problem, onSend, onEnd, onClose }) {
  const [draft, setDraft] = useState(() => ({
    closeness: relation?.closeness ?? 0.5, other: relation?.user_id ?? "", kind: relation?.kind ?? "", both: true,
  }));
  const put = (key) => (event) => {
    const field = event.currentTarget;
    const value = field.type === "checkbox" ? field.checked : field.type === "range" ? Number(field.value) : field.value;
    setDraft((before) => ({ ...before, [key]: value }));
  };
  const change = (kind, more) => ({ kind, other_user_id: draft.other.trim(), both_ways: draft.both, ...more });
  const kinds = useId();
  return html`
    <form class="turn-form tie-form" onSubmit=${(event) => {
      event.preventDefault();
      const kind = draft.kind.trim();
      // Left as it is, each way keeps its own.
      onSend(change("set_relation", { closeness: draft.closeness, ...(kind !== (relation?.kind ?? "") && { relation_kind: kind }) }));
    }}>
      ${!relation && world && html`
        <${UserField} label="With" world=${world} value=${draft.other} required onPick=${(other) => setDraft((before) => ({ ...before, other }))} />`}
      <${SliderField} label="Closeness" value=${draft.closeness} min=${0} max=${1} step=${0.01} word=${(value) => value.toFixed(2)}
        onInput=${(closeness) => setDraft((before) => ({ ...before, closeness }))} />
      <label>Kind of tie
        <input type="text" list=${kinds} maxlength=${LONGEST_KIND} value=${draft.kind} autocomplete="off"
          placeholder=${relation ? "as it is" : "acquaintance"} onInput=${put("kind")} /></label>
      <datalist id=${kinds}>${(world?.kinds ?? []).map((kind) => html`<option key=${kind} value=${kind}></option>`)}</datalist>
      <label class="check"><input type="checkbox" checked=${draft.both} onChange=${put("both")} /><span>both ways</span></label>
      ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
      <div class="turn-actions">
        <button type="submit" class="button primary" disabled=${busy || !draft.other.trim()}>
          ${relation ? "Change" : "Make"} in round ${effective}
        </button>
        ${relation && html`<button type="button" class="button" disabled=${busy} onClick=${() => onEnd(change("remove_relation", {}))}>
          End it in round ${effective}</button>`}
        <button type="button" class="button" onClick=${onClose}>Close</button>
      </div>
    </form>`;
}

function Tie({ relation, run, at, canChange, open, onOpen, children }) {
  const percent = Math.round(100 * relation.closeness);
  return html`
    <li>
      <div class="tie">
        <${PersonLink} run=${run} user=${relation.user_id} name=${relation.name} at=${at} />
        <span class="tie-kind muted">${relation.kind || "acquaintance"}</span>
        <span class="importance" title="Closeness, from 0 to 1">
          <span class="importance-bar" aria-hidden="true"><span style=${{ width: `${percent}%` }}></span></span>
          <span class="sr">closeness</span> ${relation.closeness.toFixed(2)}
        </span>
        ${canChange && html`
          <button type="button" class="link-button tie-edit" aria-expanded=${String(open)} onClick=${onOpen}
            aria-label=${`Edit the tie with ${relation.name}`}>Edit</button>`}
      </div>
      ${open && children}
    </li>`;
}

/**
 * @param {{person: object, world: object|null, run: string, at: number|null, canChange: boolean, effective: number, busy: boolean,
 *   problem: string, send: (change: object) => Promise<boolean>}} props
 */
export function Relations({ person, world, run, at, canChange, effective, busy, problem, send }) {
  const [open, setOpen] = useState(null);
  const [all, setAll] = useState(false);
  const relations = [...person.relations].sort((a, b) => b.closeness - a.closeness);
  const shown = all ? relations : relations.slice(0, FIRST);
  const sent = async (change) => {
    if (await send({ user_id: person.user_id, ...change })) setOpen(null);
  };
  const form = (relation) => html`
    <${TieForm} relation=${relation} world=${world} effective=${effective} busy=${busy} problem=${problem}
      onSend=${sent} onEnd=${sent} onClose=${() => setOpen(null)} />`;
  return html`
    <div class="relations">
      ${!relations.length && html`<p class="muted">${person.name} knows nobody.</p>`}
      <ul>
        ${shown.map((relation) => html`
          <${Tie} key=${relation.user_id} relation=${relation} run=${run} at=${at} canChange=${canChange}
            open=${open === relation.user_id}
            onOpen=${() => setOpen(open === relation.user_id ? null : relation.user_id)}>${form(relation)}<//>`)}
      </ul>
      ${relations.length > FIRST && html`
        <button type="button" class="link-button" onClick=${() => setAll(!all)}>
          ${all ? "Show the closest" : `Show all ${relations.length}`}</button>`}
      ${canChange && html`
        <button type="button" class="button" aria-expanded=${open === "+"} onClick=${() => setOpen(open === "+" ? null : "+")}>New tie</button>
        ${open === "+" && form(null)}`}
    </div>`;
}
