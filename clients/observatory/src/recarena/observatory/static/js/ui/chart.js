// Lines over rounds: uPlot in the page's colours, with interventions as vertical lines, smoothing and a table of the same numbers.
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import uPlot from "../../vendor/uplot.js";
import { number } from "./format.js";
import { colour, useTheme } from "./theme.js";

const STROKES = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6"];
const TICK_HALF = 20; // px: half of the widest label under the last tick
const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3], [], [6, 3]];

/** Running mean over a window that ends at each point; gaps stay gaps. @param {(number|null)[]} values @param {number} width */
export function smoothed(values, width) {
  return values.map((value, i) => {
    if (value === null || value === undefined) return null;
    let sum = 0, n = 0;
    for (let j = Math.max(0, i - width + 1); j <= i; j++) {
      if (values[j] !== null && values[j] !== undefined) { sum += values[j]; n++; }
    }
    return sum / n;
  });
}

const Swatch = ({ index }) => html`<svg class="swatch" width="20" height="8" viewBox="0 0 20 8" aria-hidden="true"><line x1="0" y1="4" x2="20" y2="4"
  class=${`series-${index % 6}`} stroke-width="2" stroke-dasharray=${DASHES[index % 6].join(" ")} /></svg>`;

/**
 * @param {{title: string, unit?: string, x: number[], series: {label: string, values: (number|null)[]}[], decimals?: number,
 *   marks?: {x: number, text: string}[], at?: number|null, onPick?: (x: number) => void, height?: number,
 *   smoothing?: boolean, controls?: boolean, xLabel?: string}} props
 *   `at` draws where the page stands; `onPick` is called with the x that was clicked; `controls` false leaves the buttons out
 */
export function Chart({ title, unit = "", x, series, decimals = 0, marks = [], at = null, onPick, height = 180, smoothing = false, controls = true, xLabel = "Round" }) {
  const box = useRef(null), plot = useRef(null), live = useRef({});
  const [smooth, setSmooth] = useState(smoothing);
  const [asTable, setAsTable] = useState(false);
  const [hover, setHover] = useState(null);
  const theme = useTheme();
  const width = Math.max(2, Math.round(x.length / 20));
  const data = useMemo(() => [x, ...series.map((s) => (smooth ? smoothed(s.values, width) : s.values))], [x, series, smooth]);
  live.current = { marks, at, onPick };
  const shape = series.map((s) => s.label).join("\n");

  useEffect(() => {
    if (asTable || !box.current) return undefined;
    const ink = colour("--muted"), line = colour("--line"), font = `12px ${colour("--font")}`;
    const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const made = new uPlot({
      width: Math.max(120, box.current.clientWidth), height, padding: [8, TICK_HALF, 0, 0],
      legend: { show: false }, scales: { x: { time: false } },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      axes: [{ ...axis, size: 24, gap: 4, space: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
        { ...axis, size: 44, gap: 4, space: 18,
        values: (_, all, __, ___, step) => all.map((v) => (v === null ? "" : number(v, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9))))) }],
      series: [{}, ...series.map((s, i) => ({ label: s.label, stroke: colour(STROKES[i % 6]), width: 1.75, dash: DASHES[i % 6],
        points: { show: x.length < 3, size: 5, fill: colour(STROKES[i % 6]) } }))],
      hooks: {
        setCursor: [(u) => setHover(u.cursor.idx ?? null)],
        draw: [(u) => upright(u, live.current)],
      },
    }, data, box.current);
    plot.current = made;
    const click = () => {
      const i = made.cursor.idx;
      if (i !== null && i !== undefined && live.current.onPick) live.current.onPick(made.data[0][i]);
    };
    made.over.addEventListener("click", click);
    const watch = new ResizeObserver(() => {
      const wide = box.current?.clientWidth ?? 0;
      if (wide > 0 && wide !== made.width) made.setSize({ width: wide, height });
    });
    watch.observe(box.current);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme, asTable, shape, height, decimals, x.length < 3]);
  useEffect(() => { plot.current?.setData(data); }, [data]);
  useEffect(() => { plot.current?.redraw(false); }, [at, marks]);

  const shown = at === null ? -1 : x.indexOf(at);
  const row = hover ?? (shown >= 0 ? shown : x.length - 1);
  return html`<figure class="chart"><figcaption class="chart-head"><span class="chart-title">${title}${unit ? html` <span class="unit">${unit}</span>` : null}</span>
    ${controls ? html`<span class="chart-controls"><label class="tick"><input type="checkbox" checked=${smooth} onChange=${(e) => setSmooth(e.target.checked)} />Smooth over ${width} rounds</label>
      <button type="button" class="link-button" aria-pressed=${String(asTable)} onClick=${() => setAsTable(!asTable)}>${asTable ? "Show as chart" : "Show as table"}</button></span>` : null}</figcaption>
    <div class="chart-legend">${row >= 0 ? html`<span class="muted">${xLabel} ${x[row]}</span>` : null}${series.map((s, i) => html`<span key=${s.label} class="legend-item"><${Swatch}
      index=${i} />${s.label === title ? html`<span class="sr">${title}</span>` : s.label} <b>${number(data[i + 1]?.[row], decimals)}</b></span>`)}</div>
    ${asTable ? html`<div class="table-box tall" tabIndex="0" role="region" aria-label=${`${title} as a table`}><table class="table"><caption class="sr">${title}</caption><thead><tr><th scope="col" class="num">${xLabel}</th>${series.map((s) => html`<th
        key=${s.label} scope="col" class="num">${s.label}</th>`)}</tr></thead><tbody>${x.slice(-500).map((value, j) => {
        const i = Math.max(0, x.length - 500) + j;
        return html`<tr key=${value}><th scope="row" class="num">${value}</th>${series.map((s, k) => html`<td key=${s.label} class="num">${number(data[k + 1][i], decimals)}</td>`)}</tr>`;
      })}</tbody></table></div>`
      : html`<div class="chart-box" ref=${box} role="img" aria-label=${`${title}: ${series.map((s, i) => `${s.label} ${number(data[i + 1]?.at(-1), decimals)}`).join(", ")} at ${xLabel.toLowerCase()} ${x.at(-1) ?? 0}`}
        style=${{ height: `${height}px` }}></div>`}
  </figure>`;
}

/** Interventions as dotted lines with a diamond on top, and where the page stands as a full one. */
function upright(u, { marks, at }) {
  const { ctx } = u, { left, top, width, height } = u.bbox, ratio = uPlot.pxRatio;
  const draw = (value, stroke, dash, head) => {
    const px = Math.round(u.valToPos(value, "x", true));
    if (px < left || px > left + width) return;
    ctx.beginPath();
    ctx.strokeStyle = ctx.fillStyle = stroke;
    ctx.lineWidth = ratio;
    ctx.setLineDash(dash.map((d) => d * ratio));
    ctx.moveTo(px, top);
    ctx.lineTo(px, top + height);
    ctx.stroke();
    if (!head) return;
    const r = 4 * ratio;
    ctx.beginPath();
    ctx.moveTo(px, top - r); ctx.lineTo(px + r, top); ctx.lineTo(px, top + r); ctx.lineTo(px - r, top);
    ctx.fill();
  };
  ctx.save();
  for (const mark of marks) draw(mark.x, colour("--muted"), [2, 3], true);
  if (at !== null) draw(at, colour("--accent"), [], false);
  ctx.restore();
}
