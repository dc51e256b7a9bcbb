// The arms of a run beside one another: ranks with intervals, and every metric over rounds.

import { html, useMemo, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { useFresh } from "../fresh.js";
import { setQuery } from "../router.js";
import { useStore } from "../store.js";
import { count } from "../ui/format.js";
import { Empty, Failed, Loading } from "../ui/parts.js";
import { csvOf, leaderboardRows } from "../arms/axis.js";
import { Leaderboard } from "../arms/leaderboard.js";
import { Series, keep } from "../arms/series.js";

/** Least time between two readings of a running run, in ms. */
const OFTEN = 2000;

const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** The board as of a round, read again as rounds are committed. */
function useBoard(run, at, people, round) {
  const query = new URLSearchParams({ ...(at === null ? {} : { at }), ...(people ? { people: 1 } : {}) }).toString();
  const path = runPath(run, query ? `arms?${query}` : "arms");
  const read = async () => {
    const board = await get(path);
    return { ...board, metrics: board.metrics.map((one) => ({ ...one, label: capital(one.label) })) };
  };
  const { value, error, again } = useFresh(path, at === null ? round : "", read, OFTEN);
  return { board: value, error, again };
}

function Tools({ board, metric, people, run, route }) {
  return html`
    <div class="arms-tools">
      <label>Metric
        <select value=${metric.name} onChange=${(event) => setQuery({ metric: event.currentTarget.value === board.primary ? null : event.currentTarget.value }, true)}>
          ${board.metrics.map((one) => html`<option key=${one.name} value=${one.name}>${one.label}${one.name === board.primary ? " (primary)" : ""}</option>`)}
        </select>
      </label>
      <label class="check">
        <input type="checkbox" role="switch" checked=${!people} onChange=${(event) => setQuery({ people: event.currentTarget.checked ? null : "1" }, true)} />
        <span>leave out what people played${board.people.user_rounds
          ? html` <span class="muted">(${count(board.people.user_rounds, "user-round")})</span>`
          : html` <span class="muted">(nobody did)</span>`}</span>
      </label>
      <button type="button" class="button" onClick=${() => keep(`${run}-arms.csv`, csvOf(leaderboardRows(board)))}>Download CSV</button>
    </div>`;
}

export default function Arms({ store, route }) {
  const rounds = useStore(store, (state) => state.keyframe?.round ?? state.run?.round ?? 0);
  const interventions = useStore(store, (state) => state.interventions);
  const { at, query } = route;
  const people = query.people === "1";
  const { board, error, again } = useBoard(store.id, at, people, rounds);
  const [chosen, setWidth] = useState(0);
  const marks = useMemo(() => interventions.filter((one) => at === null || one.round <= at).map((one) => ({ x: one.round, text: one.text })), [interventions, at]);
  const names = board?.arms.map((arm) => arm.arm_id) ?? [];
  if (error && !board) return html`<div class="screen arms-screen"><${Failed} error=${error} again=${again} /></div>`;
  if (!board) return html`<div class="screen arms-screen"><${Loading} what="Reading the arms" lines=${5} /></div>`;
  const metric = board.metrics.find((one) => one.name === query.metric) ?? board.metrics.find((one) => one.name === board.primary) ?? board.metrics[0];
  const most = Math.max(1, ...names.flatMap((arm) => Object.values(board.series).map((series) => series[arm]?.length ?? 0)));
  const width = chosen || Math.max(1, Math.round(most / 40));
  if (!metric) return html`<div class="screen arms-screen"><${Empty} title="There is nothing to measure yet" /></div>`;
  const shown = [metric, ...board.metrics.filter((one) => one !== metric)].filter((one) => board.series[one.name]);
  return html`
    <div class="screen arms-screen">
      <header class="screen-head">
        <h2>Arms <span class="muted">${board.round ? `after round ${board.round}` : "before the first round"}</span></h2>
        <${Tools} board=${board} metric=${metric} people=${people} run=${store.id} route=${route} />
      </header>
      ${error && html`<p class="field-error" role="alert">These figures are not new: ${error.text ?? String(error)}</p>`}
      <section class="panel pad" aria-label="Ranks">
        <${Leaderboard} board=${board} metric=${metric} />
        ${board.note && html`<p class="arms-note"><strong>Note.</strong> ${board.note}</p>`}
      </section>
      ${shown.length > 0 && most > 1 && html`
        <div class="series-head">
          <h3>Over rounds</h3>
          <label class="smoothing">Smoothing
            <input type="range" min="1" max=${Math.max(2, Math.min(most, Math.max(50, width)))} value=${width} onInput=${(event) => setWidth(Number(event.currentTarget.value))}
              aria-valuetext=${width === 1 ? "none" : `mean of ${width} rounds`} />
            <output>${width === 1 ? "none" : `mean of ${width} rounds`}</output>
          </label>
          ${marks.length > 0 && html`<span class="muted">dotted lines: ${count(marks.length, "intervention")}</span>`}
        </div>
        <div class="series-grid">
          ${shown.map((one) => html`<${Series} key=${one.name} run=${store.id} metric=${one} arms=${names} series=${board.series[one.name]} width=${width}
            marks=${marks} at=${at} onPick=${(round) => setQuery({ at: round })} />`)}
        </div>`}
      ${most <= 1 && html`<${Empty} title="No rounds yet">Charts come with the second round.<//>`}
    </div>`;
}
