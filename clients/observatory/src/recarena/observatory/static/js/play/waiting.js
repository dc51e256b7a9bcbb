// Nothing to decide at the moment: why, and what would bring the next turn.

import { html, useEffect, useRef } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";

const WORDS = {
  created: "The run has not started.",
  paused: "The run is paused between rounds.",
  waiting_for_recommenders: "The run waits for its recommenders.",
  running: "The others decide, and the next round comes.",
};

function Hint({ store, run, mayNot }) {
  if (run.state !== "paused" && run.state !== "created") return null;
  if (mayNot) return html`<p class="muted">${mayNot}</p>`;
  return html`
    <p>Your next turn comes when the run goes on.</p>
    <div class="turn-actions">
      <button type="button" class="button primary" onClick=${() => store.command("start")}>${run.state === "created" ? "Start" : "Resume"}</button>
      <button type="button" class="button" onClick=${() => store.command("step", { rounds: 1 })}>Step one round</button>
    </div>`;
}

/**
 * @param {{store: object, run: object, name: string, mayNot: string, coming: object|null}} props
 *   `coming`: the take-over that waits for a round
 */
export function Waiting({ store, run, name, mayNot, coming }) {
  const title = useRef(null);
  useEffect(() => {
    // The turn that had the focus is gone.
    if (document.activeElement === document.body) title.current?.focus();
  }, []);
  return html`
    <div class="empty waiting" role="status">
      <p class="empty-title" ref=${title} tabindex="-1">${coming
        ? `${mayNot ? `A person becomes ${name}` : `You become ${name}`} in round ${coming.round}` : mayNot ? `A person plays ${name}` : "Nothing to decide now"}</p>
      <p class="empty-text">${WORDS[run.state] ?? ""}</p>
      <${Hint} store=${store} run=${run} mayNot=${mayNot} />
    </div>`;
}

/** The run is over. @param {{run: object, user: string, name: string}} props */
export function Over({ run, user, name }) {
  return html`
    <div class="empty">
      <p class="empty-title">The run has ended</p>
      <p class="empty-text">Nobody decides for ${name} any more. Fork the run at a round on the stage, and play the fork.</p>
      <p><a class="button" href=${href("person", { run: run.run_id, user })}>What ${name} did</a></p>
    </div>`;
}
