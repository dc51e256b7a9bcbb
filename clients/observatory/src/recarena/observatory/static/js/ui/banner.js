// What kind of time the page shows, and what keeps the run from going on.
import { html, useEffect, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { setQuery } from "../router.js";
import { useStore } from "../store.js";
import { count, sentence } from "./format.js";
import { stateWord } from "./parts.js";

const Note = ({ kind, mark, word, children }) => html`<div class=${`banner ${kind}`}><span class="banner-word"><span aria-hidden="true">${mark} </span>${word}</span>
  <span class="banner-text">${children}</span></div>`;

function messageOf(error) {
  if (!error) return "";
  return typeof error === "string" ? error : error.message ?? "";
}

const OF_WORLD = new Set(["edit_profile", "set_relation", "remove_relation"]);

/** What a replayed round is not told of: changes of users and ties since, which the page shows as they are now. */
function since(interventions, at) {
  const changes = interventions.filter((i) => OF_WORLD.has(i.kind) && i.applied !== false && i.round > at);
  if (!changes.length) return "";
  const rounds = [...new Set(changes.map((i) => i.round))].sort((a, b) => a - b);
  return ` Users and ties are shown as they are now: ${count(changes.length, "change")} since, ${
    rounds.length === 1 ? `in round ${rounds[0]}` : `in rounds ${rounds[0]} ${rounds.length === 2 ? "and" : "to"} ${rounds.at(-1)}`}.`;
}

/** @param {{store: object}} props */
export function Banner({ store }) {
  const run = useStore(store, (s) => s.run);
  const link = useStore(store, (s) => s.link);
  const stranger = useStore(store, (s) => s.stranger);
  const server = useStore(store, (s) => s.server);
  const shown = useStore(store, (s) => s.shown);
  const pending = useStore(store, (s) => s.pending);
  const at = useStore(store, (s) => s.at);
  const interventions = useStore(store, (s) => s.interventions);
  const notes = [];
  if (stranger && link !== "live") {
    notes.push(html`<${Note} key="stranger" kind="bad" mark="⊘" word="OFFLINE">Not signed in: open the address that the program printed. What is shown may be old.<//>`);
  } else if (link === "offline") {
    notes.push(html`<${Note} key="offline" kind="bad" mark="⊘" word="OFFLINE">The observatory does not answer; what is shown may be old. Trying again by itself.<//>`);
  } else if (!server.reachable) {
    notes.push(html`<${Note} key="server" kind="bad" mark="⊘" word="OFFLINE">${sentence(server.message || "The RecArena server does not answer")} What is shown may be old.<//>`);
  }
  if (run && at !== null) {
    notes.push(html`<${Note} key="replay" kind="replay" mark="↺" word=${`REPLAY ROUND ${at}`}>of ${run.round} committed.
      ${at > run.round ? " There is no such round yet." : since(interventions, at)} <button type="button" class="link-button" onClick=${() => setQuery({ at: null, seq: null })}>${
      run.state === "running" ? "Back to live" : "Back to the last round"}</button><//>`);
  }
  if (run?.state === "waiting_for_recommenders") {
    const names = [...new Set(run.arms.map((a) => a.recommender_id))].join(", ");
    notes.push(html`<${Note} key="waiting" kind="wait" mark="◔" word="WAITING">for recommenders (${names}) to connect; the run goes on by itself.<//>`);
  } else if (run?.state === "failed") {
    notes.push(html`<${Note} key="failed" kind="bad" mark="✕" word="FAILED">${sentence(messageOf(run.error) || "The run failed")} Committed rounds are kept; Resume tries again.<//>`);
  } else if (run?.state === "paused" && messageOf(run.error)) {
    notes.push(html`<${Note} key="paused" kind="wait" mark="❚❚" word="PAUSED">by itself: ${sentence(messageOf(run.error))}<//>`);
  }
  if (pending.length && at === null) {
    notes.push(html`<${Note} key="pending" kind="wait" mark="◆" word=${`${pending.length} CHANGE${pending.length > 1 ? "S" : ""}`}>${
      pending.slice(-2).map((p) => p.text.replace(/\.$/, "")).join(" · ")} – in effect when round ${pending[0].round || (run?.round ?? 0) + 1} begins.<//>`);
  }
  return html`<section class="banners" aria-label="Notices">${notes}<${Spoken} run=${run} at=${at} round=${shown?.round} /></section>`;
}

/** Tells of rounds and states to those who listen, at most every four seconds. */
function Spoken({ run, at, round }) {
  const [said, setSaid] = useState("");
  const last = useRef(0), timer = useRef(0), next = useRef("");
  next.current = run ? `${at === null ? stateWord(run.state) : "Replay"}, round ${round ?? run.round} of ${run.rounds}` : "";
  useEffect(() => {
    if (timer.current) return;
    timer.current = setTimeout(() => {
      timer.current = 0;
      last.current = Date.now();
      setSaid(next.current);
    }, Math.max(0, 4000 - (Date.now() - last.current)));
  }, [next.current]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`<span class="sr" role="status" aria-live="polite">${said}</span>`;
}
