// Prompts and replies of a round with what they cost, read when they are asked for.

import { html, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { count } from "../ui/format.js";

/** JSON made readable; what is no JSON stays as it is. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch (_) {
    return text;
  }
}

function costOf(call) {
  if (call.cost === null || call.cost === undefined) return "cost not known";
  return `${call.cost.toFixed(call.cost < 0.01 ? 6 : 4)} ${call.currency}`.trim();
}

function tokens(count, way) {
  return count === null || count === undefined ? "" : `${count.toLocaleString("en-GB")} tokens ${way}`;
}

function Call({ call }) {
  const facts = [
    tokens(call.input_tokens, "in"), tokens(call.output_tokens, "out"), costOf(call), `${Math.round(call.latency_ms)} ms`,
  ].filter(Boolean);
  return html`
    <li class="call">
      <p class="call-head"><strong>${call.purpose}</strong>${call.step > 0 ? ` ${call.step + 1}` : ""} · ${call.model}
        <span class="muted">${facts.join(" · ")}</span></p>
      ${call.failure && html`<p class="fault">⚠ not read: ${call.failure}</p>`}
      <details><summary>Prompt</summary><pre tabindex="0">${pretty(call.request)}</pre></details>
      <details open><summary>Reply</summary><pre tabindex="0">${pretty(call.response)}</pre></details>
    </li>`;
}

/** @param {{run: string, user: string, round: number}} props */
export function Calls({ run, user, round }) {
  const [calls, setCalls] = useState(null);
  const [problem, setProblem] = useState("");
  const read = async (event) => {
    if (!event.currentTarget.open || calls) return;
    try {
      setProblem("");
      const path = runPath(run, `u/${encodeURIComponent(user)}/calls?round=${round}`);
      setCalls((await get(path)).calls);
    } catch (error) {
      setProblem(error.text ?? String(error));
    }
  };
  const known = (calls ?? []).filter((call) => Number.isFinite(call.cost));
  const sum = known.reduce((total, call) => total + call.cost, 0);
  return html`
    <details class="calls" onToggle=${read}>
      <summary>Prompts and replies</summary>
      ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
      ${!calls && !problem && html`<p class="muted" aria-busy="true">Reading…</p>`}
      ${calls && calls.length === 0 && html`<p class="muted">The run keeps no calls of this round.</p>`}
      ${calls && calls.length > 0 && html`
        <p class="muted">${count(calls.length, "call")}${known.length ? `, ${sum.toFixed(6)} ${known[0].currency} together` : ""}</p>
        <ol class="call-list">${calls.map((call, place) => html`<${Call} key=${place} call=${call} />`)}</ol>`}
    </details>`;
}
