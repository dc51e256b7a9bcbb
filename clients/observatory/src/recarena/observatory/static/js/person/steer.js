// Sending interventions from a screen: when they take effect, and what the server says of them.

import { useState } from "../../vendor/htm-preact-standalone.js";

/** The round that an intervention sent now takes effect in: the next that begins. @param {object|null} run */
export function effectiveRound(run) {
  if (!run) return 1;
  return run.round + (run.state === "running" ? 2 : 1);
}

const ENDED = new Set(["succeeded", "failed", "stopped"]);

/** Whether a run's rounds are over. @param {object|null} run */
export const hasEnded = (run) => Boolean(run) && ENDED.has(run.state);

/** Why the world of a run cannot be changed; "" where it can. @param {object|null} run @param {string} mayNot */
export function whyNotChange(run, mayNot) {
  if (mayNot) return mayNot;
  return hasEnded(run) ? "The run has ended: fork it at a round, and change the fork." : "";
}

/**
 * @param {object} store a run's
 * @returns {{busy: boolean, problem: {message: string, field: string}|null, clear: () => void,
 *   send: (change: object) => Promise<object|null>}} `send` gives the intervention, or null and a problem
 */
export function useIntervene(store) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const send = async (change) => {
    setBusy(true);
    setProblem(null);
    try {
      return (await store.command("intervene", { change }, { throws: true })).intervention;
    } catch (error) {
      setProblem({ message: error.text ?? String(error), field: error.field ?? "" });
      return null;
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, send, clear: () => setProblem(null) };
}
