// The arms by rank, and which of them cannot be told apart.

import { html } from "../../vendor/htm-preact-standalone.js";
import { number } from "../ui/format.js";
import { Badge } from "../ui/parts.js";
import { axisOf, byRank, faultWords } from "./axis.js";
import { AxisHead, IntervalBar, Measure } from "./measure.js";

const FAULTS = [
  ["violations", "lists of which something was dropped", "violation"],
  ["rejected", "lists that were refused, failed or lost"],
  ["late", "lists that came too late"],
  ["fallback", "lists that the server supplied instead"],
];

function Faults({ faults }) {
  const some = FAULTS.filter(([name]) => faults?.[name] > 0);
  if (!some.length) return html`<span class="muted">none</span>`;
  return html`${some.map(([name, what, one = name]) => html`<span key=${name} class="fault-count" title=${what}>${number(faults[name])} ${faults[name] === 1 ? one : name}</span> `)}`;
}

function Latency({ latency }) {
  if (!Number.isFinite(latency?.p50_ms)) return html`<span class="muted">–</span>`;
  const places = (ms) => number(ms, ms < 10 ? 1 : 0);
  return html`<span title="half of the lists came within the first, 95 of 100 within the second">
    ${places(latency.p50_ms)} <span class="muted">/</span> ${places(latency.p95_ms)} ms</span>`;
}

/** Other arms that an arm cannot be told apart from. @returns {string[]} */
const tiesOf = (arm) => arm.ties?.filter((other) => other !== arm.arm_id) ?? [];

function Row({ arm, metric, axis, groupStart, ranked }) {
  const one = arm.metrics[metric.name];
  const tied = tiesOf(arm);
  return html`
    <tr class=${groupStart ? "group-start" : ""} data-arm=${arm.arm_id}>
      <td class="num rank">${ranked && arm.rank ? html`<strong>${arm.rank}</strong>` : html`<span class="muted">–</span>`}
        ${ranked && arm.rank > 0 && tied.length > 0 && html`<span class="tie-mark" title=${`cannot be told apart from ${tied.join(", ")}`}>
          <span aria-hidden="true">≈</span><span class="sr"> tied with ${tied.join(", ")}</span></span>`}</td>
      <th scope="row"><span class="arm-name">${arm.arm_id}</span>
        ${arm.recommender_id !== arm.arm_id && html`<span class="muted arm-recommender">${arm.recommender_id}</span>`}
        ${arm.connected === false && html`<${Badge} mark="○" title="The recommender has no session now">away<//>`}</th>
      <td class="num measure"><${Measure} one=${one} metric=${metric} /></td>
      <td class="bars"><${IntervalBar} one=${one} axis=${axis} metric=${metric} best=${ranked && arm.rank === 1} /></td>
      <td class="num" title=${`counted: ${number(one?.n)}`}>${number(one?.n)}</td>
      <td class="num">${number(arm.users)}</td>
      <td class="num"><${Latency} latency=${arm.latency} /></td>
      <td><${Faults} faults=${arm.faults} /></td>
    </tr>`;
}

/**
 * @param {{board: object, metric: object}} props ranks are of the board's primary metric
 */
export function Leaderboard({ board, metric }) {
  const ranked = metric.name === board.primary;
  const arms = byRank(board.arms, metric, ranked);
  const axis = axisOf(arms.map((arm) => arm.metrics[metric.name]));
  const tied = ranked && arms.some((arm) => arm.rank && tiesOf(arm).length);
  const better = { higher: "more is better", lower: "less is better" }[metric.better] ?? "";
  return html`
    <div class="table-box" tabindex="0" role="region" aria-label="Leaderboard">
      <table class="table leaderboard">
        <caption class="sr">Arms by ${metric.label}, with intervals</caption>
        <thead>
          <tr>
            <th scope="col" class="num">Rank</th>
            <th scope="col">Arm</th>
            <th scope="col" class="num measure">${metric.label}<span class="measure-unit">${metric.unit ? `${metric.unit}, ` : ""}with interval</span></th>
            <th scope="col" class="bars"><span class="sr">${metric.label} on a common axis</span><${AxisHead} axis=${axis} metric=${metric} /></th>
            <th scope="col" class="num" title="how many the measure is of">n</th>
            <th scope="col" class="num">Users</th>
            <th scope="col" class="num">Latency p50 / p95</th>
            <th scope="col">Faults</th>
          </tr>
        </thead>
        <tbody>
          ${arms.map((arm, place) => html`
            <${Row} key=${arm.arm_id} arm=${arm} metric=${metric} axis=${axis} ranked=${ranked}
              groupStart=${place > 0 && ranked && arm.rank !== arms[place - 1].rank} />`)}
        </tbody>
      </table>
    </div>
    <p class="muted table-note">${better && `${metric.label}: ${better}. `}${ranked
      ? tied && "≈: cannot be told apart from another arm; what is between them may be chance."
      : `Ranks are by ${board.metrics.find((one) => one.name === board.primary)?.label ?? board.primary} alone.`}</p>`;
}
