// All runs of the server: find one, go on with one, compare two, make another.
import { html, useEffect, useMemo, useState } from "../../vendor/htm-preact-standalone.js";
import { get, newKey, post, runPath } from "../api.js";
import { go, href, setQuery } from "../router.js";
import { BundleDialog, CloneDialog } from "../runs/clone.js";
import { columnsFor, STATES } from "../runs/columns.js";
import { Compare } from "../runs/compare.js";
import { NoRuns } from "../runs/none.js";
import { app, useStore, whyNotSteer } from "../store.js";
import { count } from "../ui/format.js";
import { useNarrow, useTick } from "../ui/hooks.js";
import { Badge, Chip, Empty, Failed, Loading, stateWord } from "../ui/parts.js";
import { Table } from "../ui/table.js";
import { ThemeButton } from "../ui/theme.js";
import { toast } from "../ui/toast.js";

const AGAIN = 2000; // ms between two looks
const TICK = 15000; // ms after which "5 min ago" is another

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

/** Starts a run, or goes on with it. */
async function resume(run, again) {
  try {
    await post(runPath(run.run_id, "commands"), { command: "start", epoch: run.epoch, key: newKey() });
    toast(`${run.run_id} was started.`);
    again();
  } catch (error) {
    toast(error.text ?? String(error), "error");
  }
}

/** @param {{route: import("../router.js").Route}} props */
export default function Screen({ route }) {
  const { runs, error, again } = useRuns();
  const me = useStore(app, (s) => s.me);
  const [q, setQ] = useState(route.query.q ?? ""), [states, setStates] = useState([]), [dialog, setDialog] = useState(null);
  const compared = (route.query.compare ?? "").split(",").filter(Boolean);
  const [marked, setMarked] = useState(compared);
  const why = whyNotSteer(me);
  const narrow = useNarrow();
  useTick(TICK);
  const mark = (id) => setMarked((now) => (now.includes(id) ? now.filter((m) => m !== id) : [...now, id].slice(-2)));
  const columns = useMemo(() => columnsFor({ why, bundle: me?.bundle, narrow, marked, mark, open: (kind, run) => setDialog({ kind, run }), resume: (run) => resume(run, again) }), [why, me, narrow, marked, again]);
  const rows = useMemo(() => (runs ?? []).filter((r) => (!states.length || states.includes(r.state))
    && q.toLowerCase().split(/\s+/).every((word) => words(r).includes(word))), [runs, states, q]);
  const pair = compared.map((id) => runs?.find((r) => r.run_id === id)).filter(Boolean);
  const turn = (state) => setStates((now) => (now.includes(state) ? now.filter((s) => s !== state) : [...now, state]));
  const counted = STATES.map((s) => [s, (runs ?? []).filter((r) => r.state === s).length]).filter(([, n]) => n > 0);
  let table;
  if (!runs) table = error ? html`<${Failed} title="The runs cannot be listed" error=${error} again=${again} />` : html`<${Loading} what="Loading runs" lines=${6} />`;
  else if (!runs.length) {
    table = html`<${NoRuns} server=${me?.server} />`;
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
