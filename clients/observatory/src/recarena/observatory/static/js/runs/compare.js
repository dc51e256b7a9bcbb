// Two runs side by side: where their settings differ, and how their rounds went.
import { html, useEffect, useMemo, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { href } from "../router.js";
import { Chart } from "../ui/chart.js";
import { date, money, number } from "../ui/format.js";
import { Empty, Failed, Loading, StateBadge, stateWord } from "../ui/parts.js";

const arms = (run) => run.arms.map((a) => `${a.arm_id} (${a.recommender_id}${a.weight > 1 ? ` × ${a.weight}` : ""}${a.explanations ? ", explains" : ""})`).join(", ");

const ROWS = [
  ["State", (r) => stateWord(r.state)], ["World", (r) => r.world], ["Seed", (r) => r.seed], ["Minds", (r) => r.minds], ["Users", (r) => number(r.users)],
  ["Arms", arms], ["Rounds played", (r) => number(r.round)], ["Rounds in all", (r) => number(r.rounds)],
  ["Cost", (r) => (r.spending ? money(r.spending.cost, r.spending.currency) : "none")], ["Forked from", (r) => (r.forked_from ? `${r.forked_from.run_id} at round ${r.forked_from.round}` : "–")],
  ["Created", (r) => date(r.created)],
];

const CHARTS = [["Watches", "a round", "watches", 0], ["Mean rating", "1 to 5", "mean_rating", 2], ["Active users", "a round", "active", 0], ["Chats and posts", "a round", "talk", 0]];

function useRounds(run) {
  const [got, setGot] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    setGot(null);
    get(runPath(run, "rounds"), { signal: stop.signal }).then(setGot, (error) => { if (error.name !== "AbortError") setGot({ error }); });
    return () => stop.abort();
  }, [run]);
  return got;
}

/** Both runs' values over the rounds that either has. */
function pair(a, b, key) {
  const value = (r) => (key === "talk" ? r.chats + r.posts : r[key] ?? null);
  const last = Math.max(a.at(-1)?.round ?? 0, b.at(-1)?.round ?? 0), of = (rounds) => {
    const out = new Array(last).fill(null);
    for (const r of rounds) out[r.round - 1] = value(r);
    return out;
  };
  return [of(a), of(b)];
}

/** @param {{a: object, b: object, onClose: () => void}} props two Runs of API.md */
export function Compare({ a, b, onClose }) {
  const left = useRounds(a.run_id), right = useRounds(b.run_id);
  const failed = left?.error ?? right?.error, ready = left?.rounds && right?.rounds;
  const charts = useMemo(() => (ready ? CHARTS.map(([title, unit, key, decimals]) => {
    const values = pair(left.rounds, right.rounds, key);
    return { title, unit, decimals, x: Array.from({ length: values[0].length }, (_, i) => i + 1), series: [{ label: a.run_id, values: values[0] }, { label: b.run_id, values: values[1] }] };
  }) : []), [left, right]);
  return html`<section class="panel compare" aria-label="Comparison"><div class="compare-head"><h2>Compared</h2>
      <button type="button" class="button" onClick=${onClose}>Close the comparison</button></div>
    <div class="table-box"><table class="table"><caption class="sr">Settings of both runs; rows that differ are marked</caption>
      <thead><tr><th scope="col">Setting</th>${[a, b].map((r) => html`<th key=${r.run_id} scope="col"><a href=${href("stage", { run: r.run_id })}>${r.run_id}</a> <${StateBadge} state=${r.state} /></th>`)}</tr></thead>
      <tbody>${ROWS.map(([label, of]) => html`<tr key=${label} class=${of(a) !== of(b) ? "differs" : ""}><th scope="row">${label}</th><td>${of(a)}</td><td>${of(b)}</td></tr>`)}</tbody></table></div>
    ${failed ? html`<${Failed} error=${failed} />` : !ready ? html`<${Loading} what="Loading rounds" />`
      : charts[0].x.length ? html`<div class="compare-charts">${charts.map((c) => html`<${Chart} key=${c.title} ...${c} />`)}</div>`
      : html`<${Empty} title="Neither run has a committed round yet" />`}</section>`;
}
