// One turn: what is asked, how long there is, and the parts that take the answer.

import { html, useEffect, useMemo, useRef, useState } from "../../vendor/htm-preact-standalone.js";
import { Countdown } from "./clock.js";
import { Deadline } from "./deadline.js";
import { announcementOf } from "./decision.js";
import { ActivityTurn, OpeningTurn, SocialTurn } from "./other-turns.js";
import { usePageSize } from "./page-size.js";
import { PageTurn } from "./page-turn.js";

const PARTS = { activity: ActivityTurn, opening: OpeningTurn, page: PageTurn, social: SocialTurn };

/** A countdown of a turn from when it was heard; a newer word of the server's about the same turn counts. */
function useCountdown(turn, heard) {
  const kept = useRef({ id: "", heard: -1, countdown: null });
  if (kept.current.id !== turn.turn_id) {
    kept.current = { id: turn.turn_id, heard, countdown: new Countdown(turn.remaining_ms) };
  } else if (kept.current.heard !== heard) {
    kept.current.heard = heard;
    kept.current.countdown.renew(turn.remaining_ms);
  }
  return kept.current.countdown;
}

/**
 * @param {{run: string, turn: object, heard: number, name: string, decide: (decision: object) => Promise<string>}} props
 *   `heard` names the message that told of the turn; `decide` gives why it was refused, or ""
 */
export function Turn({ run, turn, heard, name, decide }) {
  const countdown = useCountdown(turn, heard);
  const pageSize = usePageSize(run, turn.items?.length ?? 0);
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const head = useRef(null);
  const asked = useMemo(() => announcementOf(turn, name), [turn.turn_id, name]);
  useEffect(() => {
    head.current?.focus();
  }, []);
  const send = async (decision) => {
    setBusy(true);
    setProblem("");
    const refused = await decide(decision);
    setProblem(refused);
    if (refused) setBusy(false);
  };
  const Part = PARTS[turn.kind];
  return html`
    <section class=${`panel pad turn turn-${turn.kind}`} aria-label="Your turn" data-turn=${turn.turn_id} data-kind=${turn.kind}>
      <${Deadline} countdown=${countdown} name=${name} onOver=${() => setOver(true)} />
      <h3 ref=${head} tabindex="-1" class="turn-head">${asked} <span class="muted">round ${turn.round}</span></h3>
      ${Part
        ? html`<${Part} turn=${turn} name=${name} busy=${busy || over} pageSize=${pageSize} onDecide=${send} />`
        : html`<p class="field-error" role="alert">This page does not know turns of the kind “${turn.kind}”.</p>`}
      ${busy && !problem && html`<p class="muted" role="status">Sent. Waiting for what comes next…</p>`}
      ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
    </section>`;
}
