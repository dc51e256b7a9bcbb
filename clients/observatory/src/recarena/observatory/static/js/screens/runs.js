// All runs of the server: find one, go on with one, compare two, make another.
import { html, useEffect, useMemo, useState } from "../../vendor/htm-preact-standalone.js";
import { get, newKey, post, runPath } from "../api.js";
import { go, href, setQuery } from "../router.js";
import { BundleDialog, CloneDialog } from "../runs/clone.js";
import { Compare } from "../runs/compare.js";
import { app, useStore, whyNotSteer } from "../store.js";
import { allowed } from "../ui/bar.js";
import { count, date, money, number } from "../ui/format.js";
import { MenuButton } from "../ui/menu.js";
import { Badge, Chip, Empty, Failed, Loading, Progress, StateBadge, stateWord } from "../ui/parts.js";
import { Table } from "../ui/table.js";
import { ThemeButton } from "../ui/theme.js";
import { toast } from "../ui/toast.js";

const AGAIN = 2000; // ms between two looks
const STATES = ["running", "waiting_for_recommenders", "paused", "created", "succeeded", "stopped", "failed"];

/** The list of runs, looked at again and again while the page is seen. */
function useRuns() {
  const [state, setState] = useState({ runs: null, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let timer = 0, ended = false, last = "";
    const look = async () => {
      try {
        const { runs } = await get("/api/runs");
        const text = JSON.stringify(runs);
        if (!ended && text !== last) setState({ runs, error: null });
        else if (!ended) setState((s) => (s.error ? { ...s, error: null } : s));
        last = text;
      } catch (error) {
        if (!ended) setState((s) => ({ ...s, error }));
      }
      if (!ended) timer = setTimeout(look, document.hidden ? 5 * AGAIN : AGAIN);
    };
    look();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [turn]);
  return { ...state, again: () => setTurn(turn + 1) };
}

const words = (run) => [run.run_id, run.world, run.minds, run.seed, stateWord(run.state), ...run.arms.map((a) => `${a.arm_id} ${a.recommender_id}`)].join(" ").toLowerCase();

async function resume(run, again) {
  try {
    await post(runPath(run.run_id, "commands"), { command: "start", epoch: run.epoch, key: newKey() });
    toast(`${run.run_id} was started.`);
    again();
  } catch (error) {
    toast(error.text ?? String(error), "error");
  }
}

function columnsFor({ why, bundle, marked, mark, open, again }) {
  return [
    { key: "mark", label: html`<span class="sr">Compare</span>`, render: (r) => html`<input type="checkbox" aria-label=${`Compare ${r.run_id}`} checked=${marked.includes(r.run_id)} onChange=${() => mark(r.run_id)} />` },
    { key: "run", label: "Run", value: (r) => r.run_id, render: (r) => html`<span class="run-cell"><a href=${href("stage", { run: r.run_id })}>${r.run_id}</a>${r.forked_from
      ? html`<span class="muted small">fork of ${r.forked_from.run_id} at ${r.forked_from.round}</span>` : null}</span>` },
    { key: "state", label: "State", value: (r) => STATES.indexOf(r.state), render: (r) => html`<${StateBadge} state=${r.state} />` },
    { key: "rounds", label: "Rounds", align: "num", value: (r) => r.round, render: (r) => html`<span class="rounds-cell"><${Progress} value=${r.round} of=${r.rounds}
      label=${`Rounds of ${r.run_id}`} /><span>${number(r.round)}<span class="muted">/${number(r.rounds)}</span></span></span>` },
    { key: "users", label: "Users", align: "num", value: (r) => r.users, render: (r) => number(r.users), narrow: false },
    { key: "arms", label: "Arms", value: (r) => r.arms.length, narrow: false, render: (r) => html`<span class="clip" title=${r.arms.map((a) => a.arm_id).join(", ")}>${r.arms.map((a) => a.arm_id).join(", ")}</span>` },
    { key: "minds", label: "Minds", value: (r) => r.minds, narrow: false, render: (r) => html`<span class="clip" title=${r.minds}>${r.minds || "–"}</span>` },
    { key: "seed", label: "Seed", align: "num", value: (r) => r.seed, narrow: false, render: (r) => html`<span class="small">${r.seed}</span>` },
    { key: "cost", label: "Cost", align: "num", value: (r) => r.spending?.cost ?? null, narrow: false, render: (r) => (r.spending ? money(r.spending.cost, r.spending.currency) : html`<span class="muted">none</span>`) },
    { key: "created", label: "Created", value: (r) => r.created, narrow: false, render: (r) => html`<span class="small">${date(r.created)}</span>` },
    { key: "do", label: html`<span class="sr">What to do</span>`, align: "num", narrow: !bundle, render: (r) => (bundle ? null : html`<span class="row-actions">
      ${allowed("start", r.state) ? html`<button type="button" class="button" disabled=${Boolean(why)} title=${why} aria-label=${`${r.round ? "Resume" : "Start"} ${r.run_id}`} onClick=${() => resume(r, again)}>${r.round ? "Resume" : "Start"}</button>` : null}
      <${MenuButton} label=${html`<span class="sr">More for ${r.run_id}</span><span aria-hidden="true">⋯</span>`} items=${[
        { label: "Same settings again…", hint: why || "Another name, seed, number of rounds", disabled: Boolean(why), onPick: () => open("clone", r) },
        { label: "Export a static bundle…", hint: "Files that open from disk", onPick: () => open("bundle", r) }]} /></span>`) },
  ];
}

/** @param {{route: import("../router.js").Route}} props */
export default function Screen({ route }) {
  const { runs, error, again } = useRuns();
  const me = useStore(app, (s) => s.me);
  const [q, setQ] = useState(route.query.q ?? ""), [states, setStates] = useState([]), [dialog, setDialog] = useState(null);
  const compared = (route.query.compare ?? "").split(",").filter(Boolean);
  const [marked, setMarked] = useState(compared);
  const why = whyNotSteer(me);
  const mark = (id) => setMarked((now) => (now.includes(id) ? now.filter((m) => m !== id) : [...now, id].slice(-2)));
  const columns = useMemo(() => columnsFor({ why, bundle: me?.bundle, marked, mark, open: (kind, run) => setDialog({ kind, run }), again }), [why, me, marked, again]);
  const rows = useMemo(() => (runs ?? []).filter((r) => (!states.length || states.includes(r.state))
    && q.toLowerCase().split(/\s+/).every((word) => words(r).includes(word))), [runs, states, q]);
  const pair = compared.map((id) => runs?.find((r) => r.run_id === id)).filter(Boolean);
  const turn = (state) => setStates((now) => (now.includes(state) ? now.filter((s) => s !== state) : [...now, state]));
  const counted = STATES.map((s) => [s, (runs ?? []).filter((r) => r.state === s).length]).filter(([, n]) => n > 0);
  let table;
  if (!runs) table = error ? html`<${Failed} title="The runs cannot be listed" error=${error} again=${again} />` : html`<${Loading} what="Loading runs" lines=${6} />`;
  else if (!runs.length) {
    table = html`<${Empty} title="There is no run yet">Create one with <code>recarena run</code>, or <code>recarena demo</code> for one that needs no keys; it shows here by itself.<//>`;
  } else {
    table = html`<${Table} caption="Runs" columns=${columns} rows=${rows} rowKey=${(r) => r.run_id} onOpen=${(r) => go(href("stage", { run: r.run_id }))}
      sort=${{ key: "created", desc: true }} rowClass=${(r) => (marked.includes(r.run_id) ? "chosen" : "")}
      empty=${html`<${Empty} title="No run is like this" action=${html`<button type="button" class="button" onClick=${() => { setQ(""); setStates([]); }}>Show all ${runs.length}</button>`} />`} />`;
  }
  return html`<div class="page screen-runs"><header class="runs-head"><h1><svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="13" fill="none" stroke="currentColor" stroke-width="3" /><circle cx="11" cy="13" r="3" fill="currentColor" /><circle
      cx="21" cy="12" r="2.4" fill="currentColor" /><circle cx="17" cy="21" r="3.4" fill="currentColor" /></svg>Runs</h1>
      <span class="muted wide-only">${me?.bundle ? "A bundle" : me?.server ?? ""}</span>
      <span class="bar-end">${me && !me.bundle && why ? html`<${Badge} mark="◉" title=${why}>Watching only<//>` : null}${error && runs ? html`<${Badge} mark="⊘" kind="link-offline" title=${error.text}>Offline<//>` : null}<${ThemeButton} /></span></header>
    <main id="main" tabIndex="-1"><div class="runs-tools"><input type="search" aria-label="Filter runs" placeholder="Filter: name, arm, minds, seed" value=${q} onInput=${(e) => setQ(e.target.value)} />
        ${counted.map(([s, n]) => html`<${Chip} key=${s} on=${states.includes(s)} onClick=${() => turn(s)}>${stateWord(s)} <b>${n}</b><//>`)}
        <span class="muted small">${runs && rows.length !== runs.length ? `${rows.length} of ${count(runs.length, "run")}` : runs ? count(runs.length, "run") : ""}</span>
        <button type="button" class="button end" disabled=${marked.length !== 2} title=${marked.length === 2 ? "" : "Mark two runs"} onClick=${() => setQuery({ compare: marked.join(",") })}>Compare two</button></div>
      ${pair.length === 2 ? html`<${Compare} key=${compared.join()} a=${pair[0]} b=${pair[1]} onClose=${() => { setMarked([]); setQuery({ compare: null }); }} />` : null}
      <section class="panel runs-table" aria-label="Runs">${table}</section></main>
    ${dialog?.kind === "clone" ? html`<${CloneDialog} run=${dialog.run} runs=${runs} onClose=${() => setDialog(null)} />` : null}
    ${dialog?.kind === "bundle" ? html`<${BundleDialog} run=${dialog.run} me=${me} onClose=${() => setDialog(null)} />` : null}</div>`;
}
