// There is no run: what to type to get one.
import { html } from "../../vendor/htm-preact-standalone.js";
import { Command } from "../ui/command.js";

const CREATE = JSON.stringify({ run: { run_id: "first", world: "new:users=200,seed=7", seed: 7, round_limit: 200, arms: [{ arm_id: "ease", recommender_id: "ease" }] } });

/** Title, what to type, and what comes of it. @param {string} server @returns {[string, string[], string][]} */
const ways = (server) => [
  ["A run on this server", [`grpcurl -plaintext -d '${CREATE}' ${server} recarena.v1.SimulationControlService/CreateRun`, `recarena-recommender ease --server ${server}`],
    "The first line creates the run, by gRPC in whatever language you like; the second serves it. Start it here."],
  ["A run that hosts itself", ["recarena run new:users=200,seed=7 -r ease -r popular --rounds 200 --listen 127.0.0.1:7790", "recarena observatory --server 127.0.0.1:7790"],
    "The second line, in another terminal, prints the address of its page."],
  ["Only looking", ["recarena demo --watch"], "One world with reference recommenders, and its page. No key, no network."],
];

/** @param {{server: string}} props the RecArena server that is watched */
export function NoRuns({ server }) {
  return html`<div class="no-runs"><h2>There is no run yet</h2>
    <p class="muted">The server at ${server || "this address"} holds none. A run stands here as soon as it is created; nothing needs to be loaded anew.</p>
    <ul>${ways(server || "127.0.0.1:7788").map(([title, lines, words]) => html`<li key=${title}><h3>${title}</h3>${lines.map((line) => html`<${Command} key=${line} line=${line} />`)}
      <p class="hint">${words}</p></li>`)}</ul></div>`;
}
