// Dialogs of the runs screen: the same settings again, and how to take a run along as files.
import { html, useState } from "../../vendor/htm-preact-standalone.js";
import { newKey, post } from "../api.js";
import { go, href } from "../router.js";
import { Command } from "../ui/command.js";
import { Dialog, FormDialog } from "../ui/dialog.js";
import { NumberField, TextField } from "../ui/form.js";

/** A name that no run has yet. @param {string} id @param {Set<string>} taken */
export function freeName(id, taken) {
  const stem = id.replace(/-\d+$/, "");
  for (let n = 2; ; n++) {
    const name = `${stem.slice(0, 58)}-${n}`;
    if (!taken.has(name)) return name;
  }
}

/** @param {{run: object, runs: object[], onClose: () => void}} props */
export function CloneDialog({ run, runs, onClose }) {
  const [id, setId] = useState(() => freeName(run.run_id, new Set(runs.map((r) => r.run_id))));
  const [seed, setSeed] = useState(run.seed), [rounds, setRounds] = useState(String(run.rounds)), [key] = useState(newKey);
  const submit = async () => {
    const answer = await post("/api/runs", { from: run.run_id, run_id: id.trim(), seed: seed.trim(), rounds: Number(rounds), key });
    go(href("stage", { run: answer.run.run_id }));
    return answer;
  };
  return html`<${FormDialog} title=${`A new run with the settings of ${run.run_id}`} action="Create it" onClose=${onClose} submit=${submit}
    done=${(a) => `${a.run.run_id} is there; Start plays it.`}>
    <${TextField} label="Name" value=${id} onInput=${setId} required max=${63} pattern="[a-z0-9][a-z0-9._\\-]{0,62}" hint="Small letters, digits, dots, dashes and underscores." />
    <div class="two"><${TextField} label="Seed" value=${seed} onInput=${setSeed} required max=${20} pattern="[0-9]+" hint="The same seed gives the same run." />
      <${NumberField} label="Rounds" value=${rounds} onInput=${setRounds} min=${1} step=${1} required /></div><//>`;
}

/** One word of a shell's line. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** @param {{run: object, me: object, onClose: () => void}} props */
export function BundleDialog({ run, me, onClose }) {
  const command = `recarena observatory --server ${quoted(me?.server || "127.0.0.1:7788")} --run ${quoted(run.run_id)} --bundle ${quoted(`${run.run_id}-page`)}`;
  return html`<${Dialog} title="Export a static bundle" onClose=${onClose} wide><div class="form">
    <p>Writes the run as files that open from disk, without any server. Type this where the RecArena server can be reached:</p>
    <${Command} line=${command} />
    <p class="hint">Then open ${`${run.run_id}-page/index.html`} in a browser.</p></div><//>`;
}
