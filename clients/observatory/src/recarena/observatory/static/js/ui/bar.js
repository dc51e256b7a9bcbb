// The bar of a run, on each of its screens: what it is doing, and Start, Pause, Step, Stop, Reset.
import { html, useState } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";
import { app, useStore, whyNotSteer } from "../store.js";
import { Dialog, FormDialog } from "./dialog.js";
import { NumberField, TextField } from "./form.js";
import { count, duration, money, number, sentence, short } from "./format.js";
import { useThrottled } from "./hooks.js";
import { Badge, Progress, Stat, StateBadge } from "./parts.js";
import { ThemeButton } from "./theme.js";

const CAN = {
  start: ["created", "paused", "failed"],
  pause: ["running", "waiting_for_recommenders"],
  step: ["created", "paused", "failed"],
  stop: ["created", "running", "waiting_for_recommenders", "paused", "failed"],
  reset: ["created", "paused", "succeeded", "failed", "stopped"],
};

/** Whether a command makes sense in a state, as the server has it. @param {string} command @param {string} state */
export const allowed = (command, state) => (CAN[command] ?? []).includes(state);

const ICONS = { start: "M4 2.5l9 5.5-9 5.5z", pause: "M4 3h3v10H4zM9 3h3v10H9z", step: "M3 3l6 5-6 5zM10.5 3h2.500v10h-2.500z",
  stop: "M3.5 3.500h9v9h-9z", reset: "M8 3a5 5 0 1 1-4.6 3l1.4.600A3.5 3.5 0 1 0 8 4.500V7L4.5 3.7 8 .500z" };

function CommandButton({ name, word, run, busy, asked, why, onClick }) {
  const can = allowed(name, run.state);
  const pending = busy === name || (asked?.command === name && asked.state === run.state);
  const title = why || (can ? "" : `Not while the run is ${run.state.replaceAll("_", " ")}.`);
  return html`<button type="button" class=${`button command ${name === "start" ? "primary" : ""} ${pending ? "pending" : ""}`} data-command=${name}
    disabled=${Boolean(why) || !can || Boolean(busy) || pending} title=${pending ? "Asked for; it is done when the round under way is committed." : title} aria-busy=${String(pending)} onClick=${onClick}>
    <svg width="14" height="14" viewBox="0 0 16 16" aria-hidden="true"><path d=${ICONS[name]} fill="currentColor" /></svg><span>${word}</span></button>`;
}

function StopDialog({ store, onClose }) {
  const run = store.get().run;
  return html`<${FormDialog} title="Stop this run for good?" action="Stop the run" danger onClose=${onClose}
    submit=${() => store.command("stop", {}, { throws: true })}>
    <p>It ends at round ${run.round} of ${run.rounds}; the round under way is given up. It cannot be started again, but it can be forked or reset.</p><//>`;
}

function ResetDialog({ store, onClose }) {
  const run = store.get().run;
  const [seed, setSeed] = useState("");
  return html`<${FormDialog} title="Reset this run?" action="Reset the run" danger onClose=${onClose}
    submit=${() => store.command("reset", seed.trim() ? { seed: seed.trim() } : {}, { throws: true })}>
    <p>The run goes back to round 0 and its ${count(run.round, "committed round")} ${run.round === 1 ? "is" : "are"} gone; recommenders start afresh.</p>
    <${TextField} label="Seed" value=${seed} onInput=${setSeed} pattern="[0-9]*" placeholder=${run.seed} hint="Empty: the same seed again." /><//>`;
}

function StepDialog({ store, onClose }) {
  const run = store.get().run;
  const left = Math.max(1, run.rounds - run.round);
  const [rounds, setRounds] = useState("10");
  return html`<${FormDialog} title="Play some rounds, then pause" action="Play them" onClose=${onClose}
    submit=${() => store.command("step", { rounds: Number(rounds) }, { throws: true })}>
    <${NumberField} label="Rounds" value=${rounds} onInput=${setRounds} min=${1} max=${left} step=${1} required
      hint=${`${count(left, "round")} left.`} /><//>`;
}

/** Start, Pause, Step, Stop, Reset. Enabled by what the server says, never ahead of it. @param {{store: object}} props */
export function Commands({ store }) {
  const run = useStore(store, (s) => s.run);
  const busy = useStore(store, (s) => s.commanding);
  const asked = useStore(store, (s) => s.asked);
  const link = useStore(store, (s) => s.link);
  const server = useStore(store, (s) => s.server);
  const me = useStore(app, (s) => s.me);
  const [dialog, setDialog] = useState("");
  if (!run || me?.bundle) return null;
  const why = whyNotSteer(me) || (link === "offline" ? "The observatory cannot be reached." : "") || (server.reachable ? "" : sentence(server.message || "The server cannot be reached"));
  const shut = () => setDialog("");
  const props = { run, busy, asked, why };
  return html`<div class="commands" role="group" aria-label="Run">
    <${CommandButton} ...${props} name="start" word=${run.round > 0 || run.state === "paused" ? "Resume" : "Start"} onClick=${() => store.command("start")} />
    <${CommandButton} ...${props} name="pause" word="Pause" onClick=${() => store.command("pause")} />
    <span class="joined"><${CommandButton} ...${props} name="step" word="Step" onClick=${() => store.command("step", { rounds: 1 })} />
      <button type="button" class="button command more" aria-label="Play several rounds" title="Play several rounds, then pause"
        disabled=${Boolean(why) || !allowed("step", run.state) || Boolean(busy)} onClick=${() => setDialog("step")}>…</button></span>
    <${CommandButton} ...${props} name="stop" word="Stop" onClick=${() => setDialog("stop")} />
    <${CommandButton} ...${props} name="reset" word="Reset" onClick=${() => setDialog("reset")} />
    ${dialog === "stop" ? html`<${StopDialog} store=${store} onClose=${shut} />` : null}
    ${dialog === "reset" ? html`<${ResetDialog} store=${store} onClose=${shut} />` : null}
    ${dialog === "step" ? html`<${StepDialog} store=${store} onClose=${shut} />` : null}
  </div>`;
}

function tokens({ input_tokens: a, output_tokens: b }) {
  return a === null || a === undefined || b === null || b === undefined ? null : a + b;
}

const SOON = 5000; // ms; less than that is over before it is read

/** Time left at the pace that rounds have come lately; "" where it cannot be said. */
function timeLeft(run, pace) {
  const left = pace && run.state === "running" ? 1000 * (run.rounds - run.round) / pace : 0;
  if (left < SOON) return "";
  return left < 120000 ? duration(5000 * Math.round(left / 5000)) : left < 3600000 ? `${Math.round(left / 60000)} min` : duration(left);
}

function Numbers({ store, run }) {
  const left = useThrottled(timeLeft(run, useStore(store, (s) => s.pace)), 1000);
  const spent = run.spending;
  const budget = spent?.max_cost ? ` of ${money(spent.max_cost, "")}` : "";
  return html`<div class="numbers">
    <span class="round-count"><span class="stat"><span class="stat-label">Round</span> <b class="stat-value" data-shown="round">${number(run.round)}</b><span
      class="muted">/${number(run.rounds)}</span></span><${Progress} value=${run.round} of=${run.rounds} label="Rounds committed" /></span>
    ${spent ? html`<${Stat} label="calls" value=${short(spent.calls)} title="Calls to language models" />
      <${Stat} label="tokens" value=${short(tokens(spent))} title=${`${number(spent.input_tokens)} in, ${number(spent.output_tokens)} out`} />
      <${Stat} label=${`${spent.currency}${budget}`} value=${money(spent.cost, "")} title="What the calls cost, against the budget" />
      ${spent.failures ? html`<${Stat} kind="bad" label="unread" value=${short(spent.failures)} title="Decisions of a language model that could not be read" />` : null}` : null}
    ${left && run.state === "running" ? html`<${Stat} label="left" value=${left} title="At the pace at which rounds have come lately" />` : null}
  </div>`;
}

/** What a bundle holds, and what was left out of it. */
function BundleDialog({ onClose }) {
  const { rounds, users_in_full: users, left_out: leftOut } = window.RECARENA_BUNDLE;
  return html`<${Dialog} title="This is a bundle" onClose=${onClose}>
    <p>It holds ${count(rounds, "round")} of one run, with memory and timeline of ${count(users, "user")}, as files: no server is asked for more.</p>
    ${leftOut?.length ? html`<p>Not in it:</p><ul class="left-out">${leftOut.map((one) => html`<li key=${one}>${one}</li>`)}</ul>` : null}<//>`;
}

function BundleBadge() {
  const [open, setOpen] = useState(false);
  return html`<button type="button" class="badge link-bundle" title="What this bundle holds, and what is left out of it" aria-haspopup="dialog"
    onClick=${() => setOpen(true)}><span class="badge-mark" aria-hidden="true">▣</span>Bundle</button>
    ${open ? html`<${BundleDialog} onClose=${() => setOpen(false)} />` : null}`;
}

function LinkBadge({ store }) {
  const link = useStore(store, (s) => s.link);
  const server = useStore(store, (s) => s.server);
  const ended = useStore(store, (s) => s.run?.state === "succeeded" || s.run?.state === "stopped");
  if (link === "bundle") return html`<${BundleBadge} />`;
  if (link === "offline" || !server.reachable) return html`<${Badge} mark="⊘" kind="link-offline" title=${server.message}>Offline<//>`;
  if (link === "connecting") return html`<${Badge} mark="◌" kind="link-connecting">Connecting<//>`;
  return html`<${Badge} mark="●" kind="link-live" title="The page is told of every round as it comes"><span class="link-word">${ended ? "Connected" : "Live"}</span><//>`;
}

const TABS = [["stage", "Stage"], ["arms", "Arms"], ["events", "Events"]];

/** Tabs of a run's screens. @param {{route: import("../router.js").Route}} props */
export function Tabs({ route }) {
  const { run, at } = route;
  const own = route.screen === "person" || route.screen === "play" ? route.user : route.query.u ?? "";
  const bundle = useStore(app, (s) => s.me?.bundle);
  const more = own ? [["person", "Person"], ...(bundle ? [] : [["play", "Play"]])] : [];
  return html`<nav class="tabs" aria-label="Screens of this run">${[...TABS, ...more].map(([screen, word]) => html`<a key=${screen}
    class="tab" aria-current=${route.screen === screen ? "page" : undefined}
    href=${href(screen, { run, user: own }, { at: screen === "play" ? null : at, u: screen === "person" || screen === "play" ? null : own })}>${word}</a>`)}</nav>`;
}

/** @param {{store: object, route: import("../router.js").Route}} props */
export function Bar({ store, route }) {
  const run = useStore(store, (s) => s.run);
  const me = useStore(app, (s) => s.me);
  const error = useStore(store, (s) => s.error);
  const observer = me && !me.bundle && whyNotSteer(me);
  return html`<header class="bar">
    <div class="bar-row">
      <a class="brand" href=${href("runs")} title="All runs"><svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="13" fill="none" stroke="currentColor"
        stroke-width="3" /><circle cx="11" cy="13" r="3" fill="currentColor" /><circle cx="21" cy="12" r="2.4" fill="currentColor" /><circle cx="17" cy="21" r="3.4" fill="currentColor" /></svg><span class="brand-word">Runs</span></a>
      <h1 class="run-name" title=${route.run}>${route.run}</h1>
      ${run ? html`<${StateBadge} state=${run.state} />` : null}
      <${Tabs} route=${route} />
      <span class="bar-end">${observer ? html`<${Badge} mark="◉" title=${observer}>Watching only<//>` : null}${run || !error ? html`<${LinkBadge} store=${store} />` : null}<${ThemeButton} /></span>
    </div>
    ${run ? html`<div class="bar-row second"><${Commands} store=${store} /><${Numbers} store=${store} run=${run} /></div>` : null}
  </header>`;
}
