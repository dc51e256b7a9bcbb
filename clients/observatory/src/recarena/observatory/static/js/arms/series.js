// A metric over rounds: smoothed as far as wanted, as lines or as a table, and as a file.

import { html, useMemo, useState } from "../../vendor/htm-preact-standalone.js";
import { Chart } from "../ui/chart.js";
import { number } from "../ui/format.js";
import { csvOf, seriesRows, smoothed } from "./axis.js";

/** Most rows of a table on the page; the file has them all. */
const ROWS = 400;

/** Has the browser keep a text as a file. @param {string} name @param {string} text @param {string} type */
export function keep(name, text, type = "text/csv;charset=utf-8") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function SeriesTable({ metric, arms, x, series }) {
  const from = Math.max(0, x.length - ROWS);
  return html`
    <div class="table-box tall" tabindex="0" role="region" aria-label=${`${metric.label} by round`}>
      <table class="table">
        <caption class="sr">${metric.label} by round</caption>
        <thead><tr><th scope="col" class="num">Round</th>${arms.map((arm) => html`<th key=${arm} scope="col" class="num">${arm}</th>`)}</tr></thead>
        <tbody>
          ${x.slice(from).map((round, place) => html`
            <tr key=${round}><th scope="row" class="num">${round}</th>
              ${series.map((one) => html`<td key=${one.label} class="num">${number(one.values[from + place], metric.decimals)}</td>`)}</tr>`)}
        </tbody>
      </table>
    </div>
    ${from > 0 && html`<p class="muted">The last ${ROWS} of ${x.length} rounds; the file has all.</p>`}`;
}

/**
 * @param {{run: string, metric: object, arms: string[], series: object, width: number, marks: object[], at: number|null,
 *   onPick: (round: number) => void}} props
 */
export function Series({ run, metric, arms, series, width, marks, at, onPick }) {
  const [table, setTable] = useState(false);
  const length = Math.max(0, ...arms.map((arm) => series[arm]?.length ?? 0));
  const x = useMemo(() => Array.from({ length }, (_, place) => place + 1), [length]);
  const lines = useMemo(
    () => arms.map((arm) => ({ label: arm, values: smoothed(x.map((_, place) => series[arm]?.[place] ?? null), width) })),
    [arms.join("\n"), series, width, length],
  );
  if (!length) return null;
  const unit = [metric.unit, width > 1 ? `mean of ${width} rounds` : ""].filter(Boolean).join(", ");
  return html`
    <section class="panel pad series" aria-label=${metric.label} data-metric=${metric.name}>
      <div class="series-tools">
        <button type="button" class="button quiet" aria-pressed=${String(table)} onClick=${() => setTable(!table)}>
          ${table ? "Show as chart" : "Show as table"}</button>
        <button type="button" class="button quiet" onClick=${() => keep(`${run}-${metric.name}.csv`, csvOf(seriesRows(series, arms)))}>CSV</button>
      </div>
      ${table
        ? html`<h4 class="chart-title">${metric.label} <span class="unit">${unit}</span></h4>
            <${SeriesTable} metric=${metric} arms=${arms} x=${x} series=${lines} />`
        : html`<${Chart} title=${metric.label} unit=${unit} x=${x} series=${lines} decimals=${metric.decimals} marks=${marks} at=${at}
            onPick=${onPick} controls=${false} height=${200} />`}
    </section>`;
}
