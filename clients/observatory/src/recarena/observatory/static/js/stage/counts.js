// Who is doing what, as chips that light those up and pale the others; and the search for a user.
import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { setQuery } from "../router.js";
import { useStore } from "../store.js";
import { ACTIONS } from "../ui/actions.js";
import { ComboField, findUsers } from "../ui/form.js";
import { number } from "../ui/format.js";
import { useThrottled } from "../ui/hooks.js";
import { Chip, Glyph } from "../ui/parts.js";

const ORDER = ["watching", "searching", "talking", "chatting", "posting", "browsing", "away"];

/** @param {{store: object, only: string}} props `only`: name of the action that is lit, or "" */
export function Counts({ store, only }) {
  const counts = useThrottled(useStore(store, (s) => s.shown?.counts ?? null), 200);
  return html`<div class="counts" role="group" aria-label="What users do in this round; press one to light them up">${ORDER.map((name) => {
    const word = ACTIONS.find((a) => a.name === name).word, n = counts ? counts[name] ?? 0 : null;
    return html`<${Chip} key=${name} on=${only === name} title=${`Light up users who are ${word.toLowerCase()}`}
      onClick=${() => setQuery({ action: only === name ? null : name })}><${Glyph} action=${name} /><span class="count-word">${word}</span><b data-count=${name}>${number(n)}</b><//>`;
  })}</div>`;
}

/** Finds users by name or id; "/" goes there. @param {{world: object|null, onPick: (user_id: string) => void}} props */
export function UserSearch({ world, onPick }) {
  const [text, setText] = useState("");
  const input = useRef(null);
  useEffect(() => {
    const key = (e) => {
      if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
      if (e.target instanceof Element && e.target.closest("input:not([type=range]), textarea, select")) return;
      e.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);
  return html`<div class="user-search"><${ComboField} label="Find a user" hideLabel placeholder="Find a user  ( / )" text=${text} inputRef=${input}
    onText=${setText} found=${findUsers(world, text)} onPick=${(one) => { setText(""); onPick(one.value); }} /></div>`;
}
