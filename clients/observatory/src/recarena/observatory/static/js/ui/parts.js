// Small shared parts: states that are designed, glyphs, badges, chips.
import { html } from "../../vendor/htm-preact-standalone.js";
import { ACTIONS, actionCode } from "./actions.js";

/** The shape of an action, in its colour. @param {{action: string, size?: number}} props */
export function Glyph({ action, size = 16 }) {
  const shape = ACTIONS[actionCode(action)];
  return html`<svg class=${`glyph a-${shape.name}`} width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true">
    <path d=${shape.d} fill=${shape.fill ? "currentColor" : "none"} stroke=${shape.fill ? "none" : "currentColor"}
      stroke-width="1.6" stroke-linejoin="round" stroke-linecap="round" /></svg>`;
}

/** Shape and word of an action. @param {{action: string}} props */
export const ActionLabel = ({ action }) => html`<span class="action-label"><${Glyph} action=${action} />${
  ACTIONS[actionCode(action)].word}</span>`;

const STATES = {
  created: ["Not started", "○"], waiting_for_recommenders: ["Waiting", "◔"], running: ["Running", "▶"],
  paused: ["Paused", "❚❚"], succeeded: ["Finished", "✓"], failed: ["Failed", "✕"], stopped: ["Stopped", "■"],
};

/** State of a run: shape and word. @param {{state: string}} props */
export function StateBadge({ state }) {
  const [word, mark] = STATES[state] ?? [state, "?"];
  return html`<span class=${`badge state-${state}`} data-state=${state}><span class="badge-mark" aria-hidden="true">${mark}</span>${word}</span>`;
}

/** Word of a run's state. @param {string} state */
export const stateWord = (state) => (STATES[state] ?? [state])[0];

/** A plain badge. @param {{mark?: string, title?: string, kind?: string, children?: any}} props */
export const Badge = ({ mark, title, kind = "", children }) => html`<span class=${`badge ${kind}`} title=${title}>${
  mark ? html`<span class="badge-mark" aria-hidden="true">${mark}</span>` : null}${children}</span>`;

/** Says that a person played. @param {{title?: string}} props */
export const PersonBadge = ({ title }) => html`<span class="badge person" title=${title ?? "Played by a person"}>
  <span class="badge-mark" aria-hidden="true">☻</span>person</span>`;

/** Nothing there, and what to do about it. @param {{title: string, children?: any, action?: any}} props */
export const Empty = ({ title, children, action }) => html`<div class="empty"><p class="empty-title">${title}</p>
  ${children ? html`<div class="empty-text">${children}</div>` : null}${action ?? null}</div>`;

/** Grey lines where something is on its way. @param {{what?: string, lines?: number}} props */
export const Loading = ({ what = "Loading", lines = 3 }) => html`<div class="loading" role="status">
  <span class="sr">${what}…</span>${Array.from({ length: lines }, (_, i) => html`<span key=${i} class="skeleton"></span>`)}</div>`;

/** What went wrong, in the server's words. @param {{error: any, title?: string, again?: () => void}} props */
export const Failed = ({ error, title = "This cannot be shown", again }) => html`<div class="empty failed" role="alert">
  <p class="empty-title"><span aria-hidden="true">✕ </span>${title}</p><p class="empty-text">${error?.message ?? String(error)}</p>
  ${error?.remedy ? html`<p class="empty-text">${error.remedy}</p>` : null}
  ${again ? html`<button type="button" class="button" onClick=${again}>Try again</button>` : null}</div>`;

/** A number with its name. @param {{label: string, value: any, title?: string, kind?: string}} props */
export const Stat = ({ label, value, title, kind = "" }) => html`<span class=${`stat ${kind}`} title=${title}>
  <span class="stat-value">${value}</span><span class="stat-label">${label}</span></span>`;

/** A button that stays pressed. @param {{on: boolean, onClick: () => void, label?: string, title?: string, children?: any}} props */
export const Chip = ({ on, onClick, label, title, children }) => html`<button type="button" class="chip" aria-pressed=${String(on)}
  aria-label=${label} title=${title} onClick=${onClick}>${children}</button>`;

/** A line of bars. @param {{value: number, of: number, label: string}} props */
export function Progress({ value, of, label }) {
  const share = of > 0 ? Math.min(1, value / of) : 0;
  return html`<span class="progress" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax=${of}
    aria-valuenow=${value}><span class="progress-fill" style=${{ width: `${(100 * share).toFixed(2)}%` }}></span></span>`;
}
