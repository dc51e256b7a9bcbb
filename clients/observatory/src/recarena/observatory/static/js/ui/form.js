// Fields of forms: each a label, a control and what to know about it.
import { html, useEffect, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { count } from "./format.js";

let numbers = 0;
const useId = () => useState(() => `field-${++numbers}`)[0];

/** @param {{label: string, hint?: string, for?: string, children?: any}} props */
const Row = ({ label, hint, id, children }) => html`<div class="field"><label for=${id}>${label}</label>${children}
  ${hint ? html`<span class="hint" id=${`${id}-hint`}>${hint}</span>` : null}</div>`;

/** One line of text. @param {{label: string, value: string, onInput: (v: string) => void, hint?: string, required?: boolean,
 *  max?: number, pattern?: string, placeholder?: string, options?: string[]}} props `options`: what may be meant */
export function TextField({ label, value, onInput, hint, required, max, pattern, placeholder, options }) {
  const id = useId();
  return html`<${Row} label=${label} hint=${hint} id=${id}><input id=${id} type="text" value=${value} required=${required}
    maxLength=${max ?? 1000} pattern=${pattern} placeholder=${placeholder ?? ""} autocomplete="off"
    list=${options ? `${id}-options` : undefined} aria-describedby=${hint ? `${id}-hint` : undefined} onInput=${(e) => onInput(e.target.value)} />
    ${options ? html`<datalist id=${`${id}-options`}>${options.map((o) => html`<option key=${o} value=${o}></option>`)}</datalist>` : null}<//>`;
}

/** Several lines of text, with how many characters are left. @param {{label: string, value: string,
 *  onInput: (v: string) => void, max: number, hint?: string, required?: boolean, rows?: number}} props */
export function TextArea({ label, value, onInput, max, hint, required, rows = 3 }) {
  const id = useId();
  return html`<${Row} label=${label} hint=${`${hint ? `${hint} ` : ""}${max - value.length} characters left.`} id=${id}>
    <textarea id=${id} rows=${rows} maxLength=${max} required=${required} value=${value}
      aria-describedby=${`${id}-hint`} onInput=${(e) => onInput(e.target.value)}></textarea><//>`;
}

/** A number. @param {{label: string, value: number|string, onInput: (v: string) => void, min?: number, max?: number,
 *  step?: number|"any", hint?: string, required?: boolean}} props */
export function NumberField({ label, value, onInput, min, max, step = "any", hint, required }) {
  const id = useId();
  return html`<${Row} label=${label} hint=${hint} id=${id}><input id=${id} type="number" inputmode="decimal" value=${value}
    min=${min} max=${max} step=${step} required=${required} aria-describedby=${hint ? `${id}-hint` : undefined}
    onInput=${(e) => onInput(e.target.value)} /><//>`;
}

/** A slider with its value beside it. @param {{label: string, value: number, onInput: (v: number) => void, min: number,
 *  max: number, step: number, hint?: string, word?: (v: number) => string}} props */
export function SliderField({ label, value, onInput, min, max, step, hint, word }) {
  const id = useId();
  const said = word ? word(value) : String(value);
  return html`<${Row} label=${label} hint=${hint} id=${id}><span class="slider"><input id=${id} type="range" min=${min} max=${max}
    step=${step} value=${value} aria-valuetext=${said} onInput=${(e) => onInput(Number(e.target.value))} />
    <output>${said}</output></span><//>`;
}

/** One of several. @param {{label: string, value: string, options: {value: string, label: string}[],
 *  onInput: (v: string) => void, hint?: string}} props */
export function SelectField({ label, value, options, onInput, hint }) {
  const id = useId();
  return html`<${Row} label=${label} hint=${hint} id=${id}><select id=${id} value=${value} onChange=${(e) => onInput(e.target.value)}>
    ${options.map((o) => html`<option key=${o.value} value=${o.value} selected=${o.value === value}>${o.label}</option>`)}</select><//>`;
}

/** Yes or no. @param {{label: string, value: boolean, onInput: (v: boolean) => void}} props */
export function CheckField({ label, value, onInput }) {
  const id = useId();
  return html`<div class="field check"><input id=${id} type="checkbox" checked=${value}
    onChange=${(e) => onInput(e.target.checked)} /><label for=${id}>${label}</label></div>`;
}

/** Several of a list. @param {{label: string, value: string[], options: string[], onInput: (v: string[]) => void}} props */
export function ManyField({ label, value, options, onInput }) {
  const turn = (option, on) => onInput(on ? [...value, option] : value.filter((v) => v !== option));
  return html`<fieldset class="field many"><legend>${label}</legend><div class="many-list">${options.map((option) => html`<label
    key=${option} class="many-item"><input type="checkbox" checked=${value.includes(option)}
    onChange=${(e) => turn(option, e.target.checked)} />${option}</label>`)}</div></fieldset>`;
}

/**
 * A text field with suggestions below it; arrows, Enter and Escape work.
 * @param {{label: string, hideLabel?: boolean, placeholder?: string, text: string, onText: (t: string) => void,
 *   found: {value: string, label: any, plain: string}[], onPick: (found: {value: string, plain: string}) => void,
 *   hint?: string, required?: boolean, inputRef?: any}} props
 */
export function ComboField({ label, hideLabel, placeholder, text, onText, found, onPick, hint, required, inputRef }) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const now = Math.min(at, found.length - 1);
  const showing = open && found.length > 0;
  const pick = (one) => { setOpen(false); onPick(one); };
  const key = (e) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      setOpen(true);
      setAt(Math.max(0, Math.min(found.length - 1, now + (e.key === "ArrowDown" ? 1 : -1))));
    } else if (e.key === "Enter" && showing) {
      e.preventDefault();
      pick(found[now]);
    } else if (e.key === "Escape" && showing) {
      e.preventDefault();
      e.stopPropagation();
      setOpen(false);
    }
  };
  const control = html`<span class="combo"><input id=${id} ref=${inputRef} type="text" role="combobox" value=${text} required=${required}
    placeholder=${placeholder ?? ""} autocomplete="off" aria-autocomplete="list" aria-expanded=${String(showing)}
    aria-controls=${`${id}-list`} aria-activedescendant=${showing ? `${id}-${now}` : ""} aria-label=${hideLabel ? label : undefined}
    onInput=${(e) => { setOpen(true); setAt(0); onText(e.target.value); }} onKeyDown=${key} onBlur=${() => setOpen(false)} />
    <ul id=${`${id}-list`} role="listbox" aria-label="Suggestions" class="combo-list" hidden=${!showing}>${showing ? found.map((one, i) => html`<li
      key=${one.value} id=${`${id}-${i}`} role="option" aria-selected=${String(i === now)}
      onMouseDown=${(e) => { e.preventDefault(); pick(one); }}>${one.label}</li>`) : null}</ul></span>`;
  return hideLabel ? control : html`<${Row} label=${label} hint=${hint} id=${id}>${control}<//>`;
}

/** Up to eight users whose name or id begins with, then contains, the words. @param {object} world @param {string} words */
export function findUsers(world, words) {
  const wanted = words.trim().toLowerCase();
  if (!world || !wanted) return [];
  const first = [], later = [];
  for (let n = 0; n < world.ids.length && first.length < 8; n++) {
    const name = world.names[n].toLowerCase(), id = world.ids[n].toLowerCase();
    const one = { value: world.ids[n], plain: world.names[n], number: n, label: `${world.names[n]} · ${world.ids[n]}` };
    if (name.startsWith(wanted) || id === wanted) first.push(one);
    else if (later.length < 8 && (name.includes(wanted) || id.startsWith(wanted))) later.push(one);
  }
  return first.concat(later).slice(0, 8);
}

/** Picks a user of the world. @param {{label: string, world: object, value: string, onPick: (user_id: string) => void,
 *  hint?: string, required?: boolean}} props */
export function UserField({ label, world, value, onPick, hint, required }) {
  const named = (id) => { const n = world.ids.indexOf(id); return n < 0 ? "" : `${world.names[n]} · ${id}`; };
  const [text, setText] = useState(() => named(value));
  return html`<${ComboField} label=${label} text=${text} hint=${hint} required=${required} placeholder="Name or id" found=${findUsers(world, text)}
    onText=${(t) => { setText(t); onPick(""); }} onPick=${(one) => { setText(named(one.value)); onPick(one.value); }} />`;
}

/** Picks an item of the run. @param {{label: string, run: string, value: string, onPick: (item_id: string) => void,
 *  hint?: string, required?: boolean, withdrawn?: boolean}} props */
export function ItemField({ label, run, onPick, hint, required }) {
  const [text, setText] = useState("");
  const [items, setItems] = useState([]);
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      get(runPath(run, `items?q=${encodeURIComponent(text)}`), { signal: stop.signal })
        .then((got) => setItems(got.items.filter((i) => !i.withdrawn).slice(0, 8)), () => {});
    }, 150);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [run, text]);
  return html`<${ComboField} label=${label} text=${text} hint=${hint} required=${required} placeholder="Title"
    found=${items.map((i) => ({ value: i.item_id, plain: i.title, label: `${i.title}${i.year ? ` (${i.year})` : ""} · ${count(i.watches, "watch", "watches")}` }))}
    onText=${(t) => { setText(t); onPick(""); }} onPick=${(one) => { setText(one.plain); onPick(one.value); }} />`;
}
