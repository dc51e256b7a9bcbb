// Becoming a user: how long a decision may take, and what is done with what is decided.

import { html, useState } from "../../vendor/htm-preact-standalone.js";

const TIMES = [15, 30, 60, 120, 300, 600];

/**
 * @param {{name: string, effective: number, busy: boolean, problem: string, onTake: (seconds: number) => void}} props
 */
export function TakeOver({ name, effective, busy, problem, onTake }) {
  const [seconds, setSeconds] = useState(60);
  return html`
    <form class="turn-form take-over" onSubmit=${(event) => {
      event.preventDefault();
      onTake(seconds);
    }}>
      <p>From <strong>round ${effective}</strong> on you decide for ${name}: what ${name} sees, you see. A decision that takes too
        long is taken by ${name}’s own mind, for the rest of that round; a whole round without you hands ${name} back.</p>
      <label>Time for one decision
        <select value=${String(seconds)} onChange=${(event) => setSeconds(Number(event.currentTarget.value))}>
          ${TIMES.map((time) => html`<option key=${time} value=${String(time)}>${time < 120 ? `${time} seconds` : `${time / 60} minutes`}</option>`)}
        </select>
      </label>
      <p class="muted">What you do is labelled as a person’s everywhere and left out of the metrics, unless they are asked to count it.</p>
      ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
      <div class="turn-actions"><button type="submit" class="button primary" disabled=${busy}>Become ${name}</button></div>
    </form>`;
}
