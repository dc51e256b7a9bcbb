// Who a user is: profile, traits and tastes, read only.

import { html } from "../../vendor/htm-preact-standalone.js";
import { fixed } from "../ui/format.js";
import { PROFILE_FIELDS, TASTE, boundsOf, inOrder, places, traitLabel } from "./edit.js";

/** A number as a place between its bounds. @param {{low: number, high: number, value: number}} props */
function Place({ low, high, value }) {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return html`
    <span class="place" aria-hidden="true">
      <span class="place-dot" style=${{ left: `${100 * share}%` }}></span>
    </span>`;
}

/** Of a value as it is written with two decimals. */
const signOf = (value) => (Number(value.toFixed(2)) === 0 ? "" : value > 0 ? "+" : "−");

function Tastes({ tastes }) {
  const sorted = Object.entries(tastes).sort((a, b) => b[1] - a[1]);
  const widest = Math.max(0.5, ...sorted.map(([, value]) => Math.abs(value)));
  return html`
    <table class="figures tastes">
      <caption>Tastes <span class="muted">rating points by genre, ${TASTE.low} to ${TASTE.high}</span></caption>
      <tbody>
        ${sorted.map(([genre, value]) => html`
          <tr key=${genre}>
            <th scope="row">${genre}</th>
            <td class="diverging" aria-hidden="true">
              <span class=${value < 0 ? "minus" : "plus"}
                style=${{ width: `${(50 * Math.abs(value)) / widest}%` }}></span>
            </td>
            <td class="num">${signOf(value)}${Math.abs(value).toFixed(2)}</td>
          </tr>`)}
      </tbody>
    </table>`;
}

function Traits({ traits }) {
  return html`
    <table class="figures traits">
      <caption>Traits <span class="muted">what drives the choice mind</span></caption>
      <tbody>
        ${inOrder(traits).map(([trait, value]) => {
          const bounds = boundsOf(trait, value);
          return html`
            <tr key=${trait}>
              <th scope="row" title=${bounds.what}>${traitLabel(trait)}</th>
              <td aria-hidden="true"><${Place} low=${bounds.low} high=${bounds.high} value=${value} /></td>
              <td class="num">${fixed(value, places(bounds.step))}
                <span class="muted range"> of ${bounds.low} to ${bounds.high}</span></td>
            </tr>`;
        })}
      </tbody>
    </table>`;
}

/** The words of a profile alone. @param {{profile: Object<string, string>}} props */
export function Facts({ profile }) {
  const known = [...PROFILE_FIELDS, ...Object.keys(profile).filter((key) => !PROFILE_FIELDS.includes(key))];
  const facts = known.filter((field) => profile[field]);
  if (!facts.length) return html`<p class="muted">The profile has no words.</p>`;
  return html`
    <dl class="facts">
      ${facts.map((field) => html`
        <div key=${field}><dt>${field.replaceAll("_", " ")}</dt><dd>${profile[field]}</dd></div>`)}
    </dl>`;
}

/** @param {{person: object}} props */
export function Profile({ person }) {
  return html`
    <${Facts} profile=${person.profile || {}} />
    ${Object.keys(person.traits || {}).length > 0 && html`<${Traits} traits=${person.traits} />`}
    ${Object.keys(person.tastes || {}).length > 0 && html`<${Tastes} tastes=${person.tastes} />`}`;
}
