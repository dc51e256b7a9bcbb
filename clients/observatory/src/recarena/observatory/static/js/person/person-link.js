// A person as a link to her page; the round that is shown goes with it.

import { html } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";

/** @param {{run: string, user: string, name: string, at?: number|null}} props */
export function PersonLink({ run, user, name, at }) {
  if (!user) return html`<span>${name}</span>`;
  return html`<a class="person-link" href=${href("person", { run, user }, { at })}>${name || user}</a>`;
}
