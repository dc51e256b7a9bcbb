// Who this is, at a glance.

import { html } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";
import { Avatar } from "../ui/avatar.js";
import { number } from "../ui/format.js";
import { PersonBadge } from "../ui/parts.js";

/** Satisfaction as a meter with its number. @param {{value: number}} props */
export function Satisfaction({ value }) {
  if (!Number.isFinite(value)) return null;
  return html`
    <span class="satisfaction" title="Satisfaction, from 0 to 1">
      <meter min="0" max="1" value=${value} aria-label="Satisfaction">${value.toFixed(2)}</meter>
      <span><strong>${value.toFixed(2)}</strong> <span class="muted">of 1 satisfied</span></span>
    </span>`;
}

/**
 * @param {{person: object, run: string, at: number|null, watches: number|null, children?: any}} props
 *   `watches`: those of the run up to round `at`; null: as many as there are now
 */
export function Header({ person, run, at, watches, children }) {
  return html`
    <header class="person-head">
      <${Avatar} user=${person.user_id} size=${64} />
      <div class="person-who">
        <h2>${person.name}</h2>
        <p class="person-facts">
          <code title="user id">${person.user_id}</code>
          <a href=${href("arms", { run }, { at })}>arm <span class="arm-name">${person.arm}</span></a>
          ${watches === null
            ? html`<span><strong>${number(person.watches)}</strong> <span class="muted">watches</span></span>
                <${Satisfaction} value=${person.satisfaction} />`
            : html`<span><strong>${number(watches)}</strong> <span class="muted">watches up to round ${at}</span></span>`}
          <span class="muted">${person.mind === "llm" ? "language mind" : "choice mind"}</span>
          ${person.by_person && html`<${PersonBadge} title="From the next round on a person decides for this user" />`}
        </p>
      </div>
      <div class="person-actions">${children}</div>
    </header>`;
}
