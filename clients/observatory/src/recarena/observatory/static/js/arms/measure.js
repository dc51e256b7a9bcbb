// Measures with their intervals: as numbers and as bars on an axis that all arms share.

import { html } from "../../vendor/htm-preact-standalone.js";
import { number } from "../ui/format.js";
import { along } from "./axis.js";

/** A value in its unit. @param {number|null} value @param {{unit: string, decimals: number}} metric */
export function inUnit(value, metric) {
  if (!Number.isFinite(value)) return "–";
  const unit = metric.unit === "%" ? " %" : metric.unit ? ` ${metric.unit}` : "";
  return `${number(value, metric.decimals)}${unit}`;
}

/** "12.3 % (11.9 to 12.8)". @param {{value: number|null, low: number|null, high: number|null}} one */
export function inWords(one, metric) {
  if (!one || !Number.isFinite(one.value)) return "not known";
  if (!Number.isFinite(one.low) || !Number.isFinite(one.high)) return `${inUnit(one.value, metric)}, no interval`;
  return `${inUnit(one.value, metric)} (${number(one.low, metric.decimals)} to ${number(one.high, metric.decimals)})`;
}

/** The same without the unit, for columns that name it. */
export function Measure({ one, metric }) {
  if (!one || !Number.isFinite(one.value)) return html`<span class="muted">not known</span>`;
  const known = Number.isFinite(one.low) && Number.isFinite(one.high);
  return html`
    <strong>${number(one.value, metric.decimals)}</strong>${" "}<span class="muted">${known
      ? `(${number(one.low, metric.decimals)} to ${number(one.high, metric.decimals)})` : "no interval"}</span>`;
}

/** A measure as a dot in its interval. @param {{one: object, axis: object, metric: object, best: boolean}} props */
export function IntervalBar({ one, axis, metric, best }) {
  if (!axis || !one || !Number.isFinite(one.value)) return html`<span class="muted">not known</span>`;
  const at = (value) => `${along(axis, value)}%`;
  const known = Number.isFinite(one.low) && Number.isFinite(one.high);
  return html`
    <span class=${`interval ${best ? "best" : ""}`} role="img" aria-label=${inWords(one, metric)} title=${inWords(one, metric)}>
      ${axis.ticks.map((tick) => html`<span key=${tick} class="interval-grid" style=${{ left: at(tick) }}></span>`)}
      ${known && html`
        <span class="interval-range" style=${{ left: at(one.low), width: `${along(axis, one.high) - along(axis, one.low)}%` }}></span>`}
      <span class="interval-dot" style=${{ left: at(one.value) }}></span>
    </span>`;
}

/** The axis above the bars. @param {{axis: object, metric: object}} props */
export function AxisHead({ axis, metric }) {
  if (!axis) return null;
  const decimals = Math.max(0, Math.min(6, -Math.floor(Math.log10(axis.step) + 1e-9) + (/^2\.?5/.test(String(axis.step).replace(/^0\.0*/, "")) ? 1 : 0)));
  return html`
    <span class="interval-axis" aria-hidden="true">
      ${axis.ticks.map((tick, place) => html`
        <span key=${tick} class=${place === 0 ? "first" : place === axis.ticks.length - 1 ? "last" : ""}
          style=${{ left: `${along(axis, tick)}%` }}>${number(tick, decimals)}</span>`)}
    </span>`;
}
