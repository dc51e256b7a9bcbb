import type { Log } from "./log.js";

/**
 * Ctrl-C and SIGTERM call `leave`; the second one ends the program at once.
 *
 * The function that comes back ends that.
 */
export function leavingOnSignals(log: Log, leave: () => void): () => void {
  const settle = () => {
    process.off("SIGINT", first);
    process.off("SIGTERM", first);
  };
  const first = () => {
    settle(); // without a listener Node lets the next one end the process
    log("leaving; a second Ctrl-C ends at once");
    leave();
  };
  process.on("SIGINT", first);
  process.on("SIGTERM", first);
  return settle;
}
