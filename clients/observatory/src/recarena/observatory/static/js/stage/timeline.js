// The rounds of a run as a line to slide on, with interventions marked, and a player for them.
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { useStore } from "../store.js";
import { number } from "../ui/format.js";
import { useThrottled } from "../ui/hooks.js";
import { seek } from "./seek.js";

const SPEEDS = [1, 2, 4, 8, 16];

/** Bars of watches a round as one path in a box of 1000 by 24. */
function profilePath(rounds, last) {
  if (!rounds.length || last < 1) return "";
  const columns = Math.min(250, last), sums = new Float64Array(columns);
  for (const r of rounds) sums[Math.min(columns - 1, Math.floor((r.round - 1) / last * columns))] += r.watches;
  const most = Math.max(1, ...sums), wide = 1000 / columns;
  let d = "";
  sums.forEach((sum, i) => {
    const h = 24 * sum / most;
    d += `M${(i * wide).toFixed(1)} 24V${(24 - h).toFixed(1)}h${Math.max(0.5, wide * 0.8).toFixed(1)}V24z`;
  });
  return d;
}

/** Typing, dialogs and controls keep their keys. */
function taken(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return true;
  const on = event.target instanceof Element ? event.target : null;
  if (on?.closest("input:not([type=range]):not([type=checkbox]), textarea, select, [role=menu], [role=combobox], tr[tabindex]")) return true;
  return event.key === " " && Boolean(on?.closest("button, a, label, summary, input[type=checkbox]"));
}

/** @param {{store: object}} props */
export function Timeline({ store }) {
  const at = useStore(store, (s) => s.at);
  const last = useStore(store, (s) => s.keyframe?.round ?? s.run?.round ?? 0);
  const running = useStore(store, (s) => s.run?.state === "running");
  const total = useStore(store, (s) => s.run?.rounds ?? 0);
  const rounds = useThrottled(useStore(store, (s) => s.rounds), 1000);
  const interventions = useStore(store, (s) => s.interventions);
  const [speed, setSpeed] = useState(4);
  const [playing, setPlaying] = useState(false);
  const now = useRef({});
  now.current = { at, last, speed, playing };
  const end = rounds.at(-1)?.round ?? last;
  const path = useMemo(() => profilePath(rounds, end), [rounds]);
  const marks = useMemo(() => {
    const byRound = new Map();
    for (const i of interventions) if (i.round >= 1 && i.round <= end) byRound.set(i.round, [...(byRound.get(i.round) ?? []), i.text]);
    return [...byRound].map(([round, texts]) => ({ round, text: texts.join("; ") }));
  }, [interventions, end]);

  useEffect(() => {
    if (!playing) return undefined;
    let ended = false, timer = 0;
    const step = async () => {
      if (ended) return;
      const from = performance.now(), { at: here, last: to, speed: pace } = now.current;
      const next = here === null || here >= to ? null : here + 1;
      if (next === null) return setPlaying(false);
      await seek(store, next);
      if (!ended) timer = setTimeout(step, Math.max(0, 1000 / pace - (performance.now() - from)));
    };
    timer = setTimeout(step, 1000 / speed);
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [playing, store]);

  const move = (to) => seek(store, to > now.current.last ? null : Math.max(0, to));
  const toggle = () => {
    const { at: here, last: to, playing: on } = now.current;
    if (!on && (here === null || here >= to)) seek(store, Math.min(1, to));
    setPlaying(!on);
  };
  useEffect(() => {
    const key = (e) => {
      if (taken(e)) return;
      const { at: here, last: to } = now.current, from = here ?? to, by = e.shiftKey ? 10 : 1;
      if (e.key === " ") toggle();
      else if (e.key === "ArrowLeft") move(from - by);
      else if (e.key === "ArrowRight") { if (here !== null) move(from + by); }
      else if (e.key === "Home") move(0);
      else if (e.key === "End") { setPlaying(false); seek(store, null); }
      else return;
      e.preventDefault();
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, [store]);

  const value = at ?? last, of = Math.max(1, last);
  return html`<section class="rounds-line panel" aria-label="Timeline">
    <button type="button" class="icon-button play" aria-label=${playing ? "Stop playing" : "Play rounds"} title=${`${playing ? "Stop playing" : "Play rounds"} (space)`}
      disabled=${last < 1} onClick=${toggle}><svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true"><path fill="currentColor" d=${playing ? "M3 2h4v12H3zM9 2h4v12H9z" : "M4 2l10 6-10 6z"} /></svg></button>
    <label class="speed"><span class="sr">Rounds a second</span><select value=${String(speed)} onChange=${(e) => setSpeed(Number(e.target.value))}
      title="Rounds a second">${SPEEDS.map((s) => html`<option key=${s} value=${String(s)} selected=${s === speed}>${s}/s</option>`)}</select></label>
    <div class="track"><svg class="track-profile" viewBox="0 0 1000 24" preserveAspectRatio="none" aria-hidden="true"><path d=${path} /></svg>
      ${marks.map((m) => html`<button key=${m.round} type="button" class="round-mark" style=${{ left: `${(100 * m.round / of).toFixed(3)}%` }} tabIndex="-1"
        title=${`Round ${m.round}: ${m.text}`} aria-label=${`Round ${m.round}: ${m.text}`} onClick=${() => seek(store, m.round)}></button>`)}
      <input type="range" min="0" max=${of} step="1" value=${value} disabled=${last < 1} aria-label="Round shown"
        aria-valuetext=${at === null ? `${running ? "Live" : "Last"}, round ${last}` : `Round ${at} of ${last}`}
        onInput=${(e) => { setPlaying(false); seek(store, Number(e.target.value)); }} /></div>
    <span class="round-shown"><b>${number(value)}</b><span class="muted">/${number(at === null ? total : last)}</span></span>
    <button type="button" class=${`button to-live ${at === null ? "on" : ""}`} aria-pressed=${String(at === null)} title="What is newest (End)"
      onClick=${() => { setPlaying(false); seek(store, null); }}>${running ? "Live" : "Newest"}</button>
  </section>`;
}
