// A person decides for a user, and sees exactly what the user would.

import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { useFresh } from "../fresh.js";
import { app, useStore, whyNotSteer } from "../store.js";
import { Avatar } from "../ui/avatar.js";
import { count } from "../ui/format.js";
import { Empty, Failed, Loading, PersonBadge } from "../ui/parts.js";
import { toast } from "../ui/toast.js";
import { effectiveRound, hasEnded, useIntervene, whyNotChange } from "../person/steer.js";
import { TakeOver } from "../person/take-over.js";
import { Beside } from "../play/beside.js";
import { Leaving } from "../play/leaving.js";
import { Turn } from "../play/turn.js";
import { Over, Waiting } from "../play/waiting.js";

/** Least time between two readings of a running run, in ms. */
const OFTEN = 1500;

/** Who is played, read again with every round. */
function usePlayed(run, user, round) {
  const path = runPath(run, `u/${encodeURIComponent(user)}`);
  const read = async () => {
    const [person, bank] = await Promise.all([get(path), get(`${path}/memories`)]);
    return { person, memories: bank.memories };
  };
  const { value, error, again } = useFresh(path, round, read, OFTEN);
  return { person: value?.person ?? null, memories: value?.memories ?? [], error, again };
}

/** What became of turns that were missed. */
function Missed({ message, name, lost }) {
  const note = useRef(null);
  useEffect(() => {
    // The turn that had the focus is gone.
    if (lost && document.activeElement === document.body) note.current?.focus();
  }, [lost]);
  if (lost) {
    return html`
      <div class="missed" role="status" ref=${note} tabindex="-1"><strong>The mind decided.</strong> Nobody decided anything for a whole round: ${name} was handed back,
        and ${name}’s own mind decides again.</div>`;
  }
  if (message.last_outcome !== "timed_out" && !message.missed_rounds) return null;
  return html`
    <div class="missed" role="status">
      <strong>The mind decided.</strong> ${message.last_outcome === "timed_out"
        ? `Time was over: ${name}’s own mind decided, and decides for the rest of that round.` : ""}
      ${message.missed_rounds > 0 ? ` Nobody decided anything in ${message.missed_rounds === 1 ? "one round" : `${message.missed_rounds} rounds`}: ${name} is handed back when the next begins.` : ""}
    </div>`;
}

/** What is known of a user whom nobody plays before the server says so. */
const NOT_TAKEN = { taken_over: false, turn: null, last_outcome: "", missed_rounds: 0 };

/** The last of a user's interventions that wait, of a kind. */
const comingOf = (pending, user, kind) => pending.findLast((one) => one.kind === kind && one.user_id === user) ?? null;

export default function Play({ store, route }) {
  const { user } = route;
  const run = useStore(store, (state) => state.run);
  const told = useStore(store, (state) => state.turn);
  const pending = useStore(store, (state) => state.pending);
  const rounds = useStore(store, (state) => state.keyframe?.round ?? 0);
  const link = useStore(store, (state) => state.link);
  const me = useStore(app, (state) => state.me);
  const intervene = useIntervene(store);
  const connected = link === "live";
  useEffect(() => {
    // A socket that is only being opened is left alone: closing it is an error to the browser.
    if (connected) store.playAs(user);
  }, [store, user, connected]);
  useEffect(() => () => store.playAs(""), [store, user]);
  const { person, memories, error, again } = usePlayed(store.id, user, `${rounds} ${Boolean(told?.taken_over)}`);
  const message = told ?? (link === "bundle" || (person && !person.by_person && link !== "connecting") ? NOT_TAKEN : null);
  const active = Boolean(message?.taken_over);
  const before = useRef(active);
  const [lost, setLost] = useState(false);
  const wanted = useRef(false);
  useEffect(() => {
    if (before.current && !active) setLost(!wanted.current);
    if (active) {
      setLost(false);
      wanted.current = false;
    }
    before.current = active;
  }, [active]);
  if (error && !person) return html`<div class="screen play-screen"><${Failed} error=${error} again=${again} /></div>`;
  if (!person || !run || !message) return html`<div class="screen play-screen"><${Loading} what="Taking a seat" lines=${6} /></div>`;

  const mayNot = whyNotSteer(me);
  const { name } = person;
  const taking = comingOf(pending, user, "take_over");
  const giving = comingOf(pending, user, "hand_back");
  const handBack = async () => {
    const one = await intervene.send({ kind: "hand_back", user_id: user });
    if (one) {
      wanted.current = true;
      toast(`${name} is handed back in round ${one.round}.`);
    }
    return Boolean(one);
  };
  const decide = async (decision) => {
    try {
      await store.command("take_turn", { user_id: user, turn_id: message.turn.turn_id, decision }, { throws: true });
      return "";
    } catch (refused) {
      return refused.text ?? String(refused);
    }
  };
  const body = () => {
    if (message.turn) {
      return mayNot
        ? html`<${Empty} title=${`${name} is being played`}>${mayNot}<//>`
        : html`<${Turn} key=${message.turn.turn_id} run=${store.id} turn=${message.turn} heard=${message.heard} name=${name} decide=${decide} />`;
    }
    if (hasEnded(run)) return html`<${Over} run=${run} user=${user} name=${name} />`;
    if (active || taking) return html`<${Waiting} store=${store} run=${run} name=${name} mayNot=${mayNot} coming=${active ? null : taking} />`;
    const why = whyNotChange(run, mayNot);
    if (why) return html`<${Empty} title=${`Nobody plays ${name}`}>${why}<//>`;
    return html`
      <section class="panel pad" aria-label=${`Become ${name}`}><h3>Become ${name}</h3>
        <${TakeOver} name=${name} effective=${effectiveRound(run)} busy=${intervene.busy} problem=${intervene.problem?.message}
          onTake=${(seconds) => intervene.send({ kind: "take_over", user_id: user, turn_time: seconds })} /></section>`;
  };
  return html`
    <div class="screen play-screen">
      <header class="person-head">
        <${Avatar} user=${user} size=${48} />
        <div class="person-who"><h2>${active && !mayNot ? `You are ${name}` : name}</h2>
          <p class="person-facts">${active ? html`<${PersonBadge} title="What you do is labelled as a person’s" /> <span class="muted">${mayNot ? "played by a person: " : ""}labelled as a person’s everywhere, left out of the metrics unless asked for</span>`
            : html`<span class="muted">${count(run.round, "round")} ${run.round === 1 ? "is" : "are"} committed</span>`}</p></div>
        <div class="person-actions">
          ${active && giving && html`<span class="muted">handed back in round ${giving.round}</span>`}
          ${active && !giving && !mayNot && html`<button type="button" class="button" disabled=${intervene.busy} onClick=${handBack}>Hand back</button>`}
        </div>
      </header>
      ${intervene.problem && active && html`<p class="field-error" role="alert">${intervene.problem.message}</p>`}
      <${Missed} message=${message} name=${name} lost=${lost && !hasEnded(run)} />
      <div class="play-columns">
        <div class="play-main">${body()}</div>
        <${Beside} person=${person} memories=${memories} run=${store.id} />
      </div>
      <${Leaving} name=${name} active=${active && !mayNot && !giving} onHandBack=${handBack} />
    </div>`;
}
