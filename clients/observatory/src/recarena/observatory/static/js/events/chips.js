// The filters of the list.

import { html, useEffect, useState } from "../../vendor/htm-preact-standalone.js";
import { number } from "../ui/format.js";
import { ComboField, findUsers } from "../ui/form.js";
import { Chip } from "../ui/parts.js";
import { TYPES, isFiltered, labelOf, toggled } from "./filters.js";

/** A text field whose words go into the address a moment after the last key. */
function Words({ label, value, type = "search", onValue, placeholder, ...rest }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => onValue(text.trim()), 300);
    return () => clearTimeout(timer);
  }, [text]);
  return html`
    <input type=${type} aria-label=${label} placeholder=${placeholder ?? label} value=${text} autocomplete="off" ...${rest}
      onInput=${(event) => setText(event.currentTarget.value)} />`;
}

function UserFilter({ world, value, onValue }) {
  const nameOf = (id) => (id && world ? (world.names[world.ids.indexOf(id)] ?? id) : id);
  const [text, setText] = useState(nameOf(value));
  useEffect(() => setText(nameOf(value)), [value, world]);
  return html`
    <${ComboField} label="User" hideLabel placeholder="user" text=${text} found=${text === nameOf(value) ? [] : findUsers(world, text)}
      onText=${(words) => {
        setText(words);
        if (!words) onValue("");
      }}
      onPick=${(one) => onValue(one.value)} />`;
}

/**
 * @param {{filters: object, counts: object|null, world: object|null, arms: string[], onFilters: (filters: object) => void}} props
 */
export function Filters({ filters, counts, world, arms, onFilters }) {
  const set = (change) => onFilters({ ...filters, ...change });
  const known = TYPES.filter(([type]) => filters.actions.includes(type) || !counts || counts[type] > 0 || type === "shown");
  return html`
    <div class="event-filters" role="search" aria-label="Filter events">
      <div class="chips" role="group" aria-label="Kinds of events">
        ${known.map(([type]) => html`
          <${Chip} key=${type} on=${filters.actions.includes(type)} onClick=${() => onFilters(toggled(filters, type))}>
            ${labelOf(type)}${counts && Number.isFinite(counts[type]) ? html` <span class="count">${number(counts[type])}</span>` : null}<//>`)}
      </div>
      <div class="event-fields">
        <${Words} label="Words in the sentence" placeholder="words" value=${filters.q} onValue=${(q) => set({ q })} />
        <${UserFilter} world=${world} value=${filters.u} onValue=${(u) => set({ u })} />
        <label><span class="sr">Arm</span>
          <select value=${filters.arm} onChange=${(event) => set({ arm: event.currentTarget.value })}>
            <option value="">every arm</option>
            ${arms.map((arm) => html`<option key=${arm} value=${arm}>${arm}</option>`)}
          </select>
        </label>
        <${Words} label="Round" placeholder="round" type="number" min="1" value=${filters.round} onValue=${(round) => set({ round })} />
        <${Chip} on=${filters.errors} onClick=${() => set({ errors: !filters.errors })}
          title="Pages without the recommender’s own list, and decisions that nobody took">Errors only<//>
        ${isFiltered(filters) && html`
          <button type="button" class="button quiet" onClick=${() => onFilters({ actions: [], u: "", arm: "", round: "", errors: false, q: "" })}>
            Clear filters</button>`}
      </div>
    </div>`;
}
