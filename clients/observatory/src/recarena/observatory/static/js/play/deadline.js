// How much time is left to decide: a bar, seconds, and words read out near the end.

import { html, useEffect, useState } from "../../vendor/htm-preact-standalone.js";
import { secondsLeft } from "./clock.js";

/** From when on time is short: fifteen seconds, or a third of a short turn. */
const soonOf = (total) => Math.min(15000, total / 3);

/** What is read out, once each: when time gets short, at five seconds, and when it is over. */
function spoken(left, soon) {
  if (left <= 0) return "Time is over.";
  if (left <= 5000) return "5 seconds left.";
  return left <= soon ? `${Math.round(soon / 1000)} seconds left.` : "";
}

/**
 * @param {{countdown: import("./clock.js").Countdown, name: string, onOver: () => void}} props
 */
export function Deadline({ countdown, name, onOver }) {
  const [left, setLeft] = useState(() => countdown.left());
  useEffect(() => {
    const look = () => {
      const now = countdown.left();
      setLeft(now);
      if (now <= 0) {
        clearInterval(timer);
        onOver();
      }
    };
    const timer = setInterval(look, 200);
    document.addEventListener("visibilitychange", look);
    look();
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [countdown]);
  const share = countdown.total > 0 ? Math.min(1, left / countdown.total) : 0;
  const soon = soonOf(countdown.total);
  const state = left <= 0 ? "over" : left <= soon ? "soon" : "";
  return html`
    <div class=${`deadline ${state}`} data-left=${Math.floor(left / 1000)}>
      <div class="deadline-bar" aria-hidden="true">
        <div class="deadline-left" style=${{ transform: `scaleX(${share})` }}></div>
      </div>
      <p class="deadline-words">
        <strong role="timer">${secondsLeft(left)}</strong>
        ${left > 0 ? html` left, then ${name}’s own mind decides` : html` – ${name}’s own mind decides`}
      </p>
      <p class="sr" role="status">${spoken(left, soon)}</p>
    </div>`;
}
