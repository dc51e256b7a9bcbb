// Who is played: what she is like, whom she knows, what she remembers last.

import { html } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";
import { Facts } from "../person/profile.js";
import { Satisfaction } from "../person/header.js";
import { number } from "../ui/format.js";

const MEMORIES = 6;

/** @param {{person: object, memories: object[], run: string}} props */
export function Beside({ person, memories, run }) {
  const liked = Object.entries(person.tastes ?? {}).sort((a, b) => b[1] - a[1]);
  const likes = liked.filter(([, value]) => value > 0).slice(0, 4).map(([genre]) => genre);
  const dislikes = liked.filter(([, value]) => value < 0).slice(-3).map(([genre]) => genre).reverse();
  return html`
    <aside class="panel pad play-beside" aria-label=${`Who ${person.name} is`}>
      <h3>Who ${person.name} is</h3>
      <p class="person-facts"><span><strong>${number(person.watches)}</strong> <span class="muted">watches</span></span>
        <${Satisfaction} value=${person.satisfaction} /></p>
      <${Facts} profile=${person.profile ?? {}} />
      <dl class="facts">
        ${likes.length > 0 && html`<div><dt>likes</dt><dd>${likes.join(", ")}</dd></div>`}
        ${dislikes.length > 0 && html`<div><dt>dislikes</dt><dd>${dislikes.join(", ")}</dd></div>`}
        <div><dt>knows</dt><dd>${person.relations.slice(0, 5).map((one) => one.name).join(", ") || "nobody"}${person.relations.length > 5 ? ` and ${person.relations.length - 5} more` : ""}</dd></div>
      </dl>
      ${memories.length > 0 && html`
        <h3>Remembers last</h3>
        <ul class="memories">${memories.slice(0, MEMORIES).map((one) => html`<li key=${one.number}>${one.text}</li>`)}</ul>`}
      <p><a href=${href("person", { run, user: person.user_id })} target="_blank" rel="noopener">All of ${person.name}, in a new tab</a></p>
    </aside>`;
}
