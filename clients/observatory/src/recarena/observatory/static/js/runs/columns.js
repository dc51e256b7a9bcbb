// What the table of runs says of each.
import { html } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";
import { allowed } from "../ui/bar.js";
import { ago, date, money, number } from "../ui/format.js";
import { MenuButton } from "../ui/menu.js";
import { Progress, StateBadge } from "../ui/parts.js";

export const STATES = ["running", "waiting_for_recommenders", "paused", "created", "succeeded", "stopped", "failed"];
const LONGEST_ARMS = 26, LONGEST_SEED = 10;

/**
 * The sentence about a run's minds, cut to what a column has room for.
 * @param {string} sentence @returns {{model: string, share: string}} `share`: how many users it is that the model plays, where not all
 */
export function mindLabel(sentence) {
  const llm = /(\d+) of (\d+) users are simulated by the language model (\S+) of ([^\s;.]+)/i.exec(sentence);
  if (llm) return { model: `${llm[4]}:${llm[3]}`, share: llm[1] === llm[2] ? "" : `(${llm[1]} of ${llm[2]})` };
  return { model: /choice model/i.test(sentence) ? "choice model" : sentence || "–", share: "" };
}

/** The first arms by name, and how many there are besides. @param {string[]} ids */
export function armsLabel(ids) {
  let kept = 1;
  while (kept < ids.length && ids.slice(0, kept + 1).join(", ").length <= LONGEST_ARMS) kept++;
  return { names: ids.slice(0, kept).join(", "), more: ids.length - kept };
}

const shortSeed = (seed) => (seed.length <= LONGEST_SEED ? seed : `${seed.slice(0, 4)}…${seed.slice(-4)}`);

function RunCell({ run, children }) {
  const { forked_from: from } = run;
  return html`<span class="run-cell"><a href=${href("stage", { run: run.run_id })}>${run.run_id}</a>${from
    ? html`<span class="muted small">fork of ${from.run_id} at ${from.round}</span>` : null}${children}</span>`;
}

function RoundsCell({ run }) {
  return html`<span class="rounds-cell"><${Progress} value=${run.round} of=${run.rounds} label=${`Rounds of ${run.run_id}`} /><span>${number(run.round)}<span
    class="muted">/${number(run.rounds)}</span></span></span>`;
}

function ArmsCell({ run }) {
  const ids = run.arms.map((a) => a.arm_id), { names, more } = armsLabel(ids);
  return html`<span class="clip" title=${ids.join(", ")}><span>${names || "–"}</span>${more > 0 ? html`<span class="muted"> +${more}</span>` : null}</span>`;
}

function MindsCell({ run }) {
  const { model, share } = mindLabel(run.minds);
  return html`<span class="clip" title=${run.minds}><span>${model}</span>${share ? html`<span class="muted"> ${share}</span>` : null}</span>`;
}

/** Start or Resume, and a menu of the rest. @param {{run: object, why: string, open: Function, resume: Function}} props */
function Doings({ run, why, open, resume }) {
  const word = run.round ? "Resume" : "Start";
  return html`<span class="row-actions">${allowed("start", run.state) ? html`<button type="button" class="button" disabled=${Boolean(why)} title=${why}
    aria-label=${`${word} ${run.run_id}`} onClick=${() => resume(run)}>${word}</button>` : null}
    <${MenuButton} label=${html`<span class="sr">More for ${run.run_id}</span><span aria-hidden="true">⋯</span>`} items=${[
      { label: "Same settings again…", hint: why || "Another name, seed, number of rounds", disabled: Boolean(why), onPick: () => open("clone", run) },
      { label: "Export a static bundle…", hint: "Files that open from disk", onPick: () => open("bundle", run) }]} /></span>`;
}

/**
 * @param {{why: string, bundle: boolean, narrow: boolean, marked: string[], mark: (id: string) => void, open: (kind: string, run: object) => void,
 *   resume: (run: object) => void}} props `why` nothing may be changed, or ""
 *   `narrow`: what can be done stands below the name
 * @returns {import("../ui/table.js").Column[]}
 */
export function columnsFor({ why, bundle, narrow, marked, mark, open, resume }) {
  const doings = (run) => html`<${Doings} run=${run} why=${why} open=${open} resume=${resume} />`;
  const columns = [
    { key: "mark", label: html`<span class="sr">Compare</span>`, render: (r) => html`<input type="checkbox" aria-label=${`Compare ${r.run_id}`} checked=${marked.includes(r.run_id)} onChange=${() => mark(r.run_id)} />` },
    { key: "run", label: "Run", value: (r) => r.run_id, render: (r) => html`<${RunCell} run=${r}>${narrow && !bundle ? doings(r) : null}<//>` },
    { key: "state", label: "State", value: (r) => STATES.indexOf(r.state), render: (r) => html`<${StateBadge} state=${r.state} />` },
    { key: "rounds", label: "Rounds", align: "num", value: (r) => r.round, render: (r) => html`<${RoundsCell} run=${r} />` },
    { key: "users", label: "Users", align: "num", value: (r) => r.users, render: (r) => number(r.users), narrow: false },
    { key: "arms", label: "Arms", value: (r) => r.arms.length, narrow: false, wide: true, render: (r) => html`<${ArmsCell} run=${r} />` },
    { key: "minds", label: "Minds", value: (r) => r.minds, narrow: false, wide: true, render: (r) => html`<${MindsCell} run=${r} />` },
    { key: "seed", label: "Seed", align: "num", value: (r) => r.seed, narrow: false, render: (r) => html`<span title=${r.seed}>${shortSeed(r.seed)}</span>` },
    { key: "cost", label: "Cost", align: "num", value: (r) => r.spending?.cost ?? null, narrow: false, render: (r) => (r.spending ? money(r.spending.cost, r.spending.currency) : html`<span class="muted">none</span>`) },
    { key: "created", label: "Created", value: (r) => r.created, narrow: false, render: (r) => html`<time class="when" datetime=${r.created} title=${date(r.created)}>${ago(r.created)}</time>` },
  ];
  if (!bundle && !narrow) columns.push({ key: "do", label: html`<span class="sr">What to do</span>`, align: "num", render: doings });
  return columns;
}
