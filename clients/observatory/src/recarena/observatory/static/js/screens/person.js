// One user: who she is, what she remembers and did, and the ways to change, ask or become her.

import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { useFresh } from "../fresh.js";
import { go, href } from "../router.js";
import { app, useStore, whyNotSteer } from "../store.js";
import { Failed, Loading } from "../ui/parts.js";
import { toast } from "../ui/toast.js";
import { pendingFor } from "../person/edit.js";
import { Header } from "../person/header.js";
import { Memories } from "../person/memories.js";
import { Profile } from "../person/profile.js";
import { ProfileForm } from "../person/profile-form.js";
import { Relations } from "../person/relations.js";
import { effectiveRound, useIntervene, whyNotChange } from "../person/steer.js";
import { TakeOver } from "../person/take-over.js";
import { Talk } from "../person/talk.js";
import { Timeline } from "../person/timeline.js";

/** Least time between two readings of a running run, in ms. */
const OFTEN = 1500;

/** A user as of a round, and the memory bank; read again as rounds are committed. */
function usePerson(run, user, at, round) {
  const path = runPath(run, `u/${encodeURIComponent(user)}`);
  const read = async () => {
    const [person, bank] = await Promise.all([get(at === null ? path : `${path}?at=${at}`), get(`${path}/memories`)]);
    return { person, memories: bank.memories };
  };
  const { value, version, error } = useFresh(`${path} ${at}`, at === null ? round : "", read, OFTEN);
  return { person: value?.person ?? null, memories: value?.memories ?? [], error, read: version };
}

function Pending({ list }) {
  if (!list.length) return null;
  return html`
    <section class="panel pad waits" aria-label="Waiting for a round">
      <h3>Waiting for a round</h3>
      <ul>${list.map((one) => html`<li key=${one.number}><strong>round ${one.round}</strong> ${one.text}</li>`)}</ul>
    </section>`;
}

const PANELS = { edit: "Edit profile", talk: "Talk", become: "Become" };
const WHOM = { talk: (name) => `Talk to ${name}`, become: (name) => `Become ${name}` };

function Buttons({ person, run, open, onOpen, mayNot, mayNotAsk }) {
  const wait = mayNot || undefined;
  const button = (panel, off) => html`
    <button type="button" class="button" aria-expanded=${String(open === panel)} disabled=${Boolean(off)} title=${off || undefined}
      aria-label=${WHOM[panel]?.(person.name)} onClick=${() => onOpen(open === panel ? "" : panel)}>${PANELS[panel]}</button>`;
  return html`
    ${button("talk", person.mind === "llm" ? mayNotAsk : wait)}
    ${button("edit", wait)}
    ${person.by_person
      ? html`<a class="button" href=${href("play", { run, user: person.user_id })}>Go on playing</a>`
      : button("become", wait)}`;
}

/** What a button opened. */
function Panel({ open, person, store, effective, mayNot, onClose }) {
  const intervene = useIntervene(store);
  const box = useRef(null);
  useEffect(() => {
    intervene.clear();
    box.current?.querySelector("input, textarea, select")?.focus();
  }, [open]);
  if (!open) return null;
  const send = async (change) => {
    const one = await intervene.send(change);
    if (one) toast(`Accepted: takes effect in round ${one.round}.`);
    return one;
  };
  const parts = {
    edit: () => html`<${ProfileForm} person=${person} effective=${effective} busy=${intervene.busy} problem=${intervene.problem}
      onClose=${onClose} onSend=${async (change) => (await send(change)) && onClose()} />`,
    talk: () => html`<${Talk} person=${person} effective=${effective} canChange=${!mayNot} onClose=${onClose}
      ask=${(question, turns) => store.command("talk", { user_id: person.user_id, question, turns }, { throws: true })}
      tell=${async (said, answer) => (await store.command("intervene",
        { change: { kind: "tell_user", user_id: person.user_id, said, answer } }, { throws: true })).intervention} />`,
    become: () => html`<${TakeOver} name=${person.name} effective=${effective} busy=${intervene.busy} problem=${intervene.problem?.message}
      onTake=${async (seconds) => {
        const taken = await send({ kind: "take_over", user_id: person.user_id, turn_time: seconds });
        if (taken) go(href("play", { run: store.id, user: person.user_id }));
      }} />`,
  };
  return html`
    <section ref=${box} class="panel pad opened" aria-label=${`${PANELS[open]} – ${person.name}`}>${parts[open]()}</section>`;
}

export default function Person({ store, route }) {
  const run = useStore(store, (state) => state.run);
  const rounds = useStore(store, (state) => state.keyframe?.round ?? state.run?.round ?? 0);
  const pending = useStore(store, (state) => state.pending);
  const world = useStore(store, (state) => state.world);
  const shown = useStore(store, (state) => state.shown);
  const me = useStore(app, (state) => state.me);
  const { at, user } = route;
  const { person, memories, error, read } = usePerson(store.id, user, at, rounds);
  const [open, setOpen] = useState("");
  const [anchor, setAnchor] = useState(null);
  useEffect(() => {
    setAnchor(null);
    setOpen("");
  }, [user, at]);
  useEffect(() => {
    if (anchor === null && read !== null) setAnchor(rounds);
  }, [anchor, read]);
  const intervene = useIntervene(store);
  const current = person && person.user_id === user ? person : null;
  if (error && !current) return html`<div class="screen person-screen"><${Failed} error=${error} /></div>`;
  if (!current || !run) return html`<div class="screen person-screen"><${Loading} what="Reading the user" lines=${6} /></div>`;
  const mayNot = whyNotChange(run, whyNotSteer(me));
  const effective = effectiveRound(run);
  const now = at ?? rounds;
  const past = at === null || shown?.round !== at ? null : (shown.watches[current.user] ?? 0);
  const nameOf = (id) => world?.names[world.ids.indexOf(id)] ?? id;
  const send = async (change) => {
    const one = await intervene.send(change);
    if (one) toast(`Accepted: takes effect in round ${one.round}.`);
    return Boolean(one);
  };
  return html`
    <div class="screen person-screen">
      <${Header} person=${current} run=${store.id} at=${at} watches=${past}>
        <${Buttons} person=${current} run=${store.id} open=${open} onOpen=${setOpen} mayNot=${mayNot} mayNotAsk=${whyNotSteer(me)} />
      <//>
      <${Panel} open=${open} person=${current} store=${store} effective=${effective} mayNot=${mayNot} onClose=${() => setOpen("")} />
      <${Pending} list=${pendingFor(pending, user)} />
      <div class="person-columns">
        <section class="panel pad person-profile"><h3>Profile</h3>
          ${at !== null && html`<p class="muted as-of">As it is after round ${current.as_of ?? rounds}: profiles and ties of earlier rounds are in the
            ${" "}<a href=${href("events", { run: store.id }, { tab: "audit" })}>audit</a>.</p>`}
          <${Profile} person=${current} />
          <h3>Knows <span class="count">${current.relations.length}</span></h3>
          <${Relations} person=${current} world=${world} run=${store.id} at=${at} canChange=${!mayNot && at === null} effective=${effective}
            busy=${intervene.busy} problem=${intervene.problem?.message} send=${send} />
        </section>
        <section class="panel pad person-timeline"><h3>Rounds${at === null ? "" : ` up to ${at}`}</h3>
          <${Timeline} run=${store.id} person=${current} at=${at} anchor=${anchor} newer=${at === null && anchor !== null ? Math.max(0, rounds - anchor) : 0}
            onNewest=${() => setAnchor(rounds)} />
        </section>
        <section class="panel pad person-memory"><h3>Remembers <span class="count">${memories.filter((one) => at === null || one.round <= at).length}</span></h3>
          <${Memories} memories=${memories} now=${now} at=${at} run=${store.id} nameOf=${nameOf} />
        </section>
      </div>
    </div>`;
}
