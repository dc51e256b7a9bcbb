// Changes of the world from the stage: items, ties, posts, forks. They take effect when the next round begins.
import { html, useState } from "../../vendor/htm-preact-standalone.js";
import { go, href } from "../router.js";
import { app, useStore, whyNotSteer } from "../store.js";
import { FormDialog } from "../ui/dialog.js";
import { CheckField, ItemField, ManyField, NumberField, SliderField, TextArea, TextField, UserField } from "../ui/form.js";
import { MenuButton } from "../ui/menu.js";

const WHEN = "It takes effect when the next round begins and stands in the log.";

async function intervene(store, change) {
  const answer = await store.command("intervene", { change }, { throws: true });
  return answer.intervention;
}
const accepted = (i) => `Accepted: ${i.text || i.kind}${i.round ? ` In effect from round ${i.round}.` : ""}`;
const feeling = (v) => ["very badly", "badly", "neither well nor badly", "well", "very well"][Math.round(v) + 2];

function AddItem({ store, world, onClose }) {
  const [item, setItem] = useState({ item_id: "", title: "", description: "", categories: [], year: "", director: "", quality: 0 });
  const put = (key) => (value) => setItem((before) => ({ ...before, [key]: value }));
  const submit = () => {
    const attributes = { ...(item.year ? { year: Number(item.year) } : {}), ...(item.director.trim() ? { director: item.director.trim() } : {}) };
    return intervene(store, { kind: "add_item", quality: item.quality, item: { item_id: item.item_id.trim(), title: item.title.trim(),
      description: item.description.trim(), categories: item.categories, attributes } });
  };
  return html`<${FormDialog} title="Add an item to the catalogue" action="Add the item" onClose=${onClose} submit=${submit} done=${accepted}>
    <p class="hint">${WHEN}</p>
    <div class="two"><${TextField} label="Title" value=${item.title} onInput=${put("title")} required max=${200} /><${TextField} label="Item id" value=${item.item_id}
      onInput=${put("item_id")} required max=${128} hint="New in this run." /></div>
    <${TextArea} label="Description" value=${item.description} onInput=${put("description")} max=${500} rows=${2} />
    <${ManyField} label="Genres" value=${item.categories} options=${world?.genres ?? []} onInput=${put("categories")} />
    <div class="two"><${NumberField} label="Year" value=${item.year} onInput=${put("year")} step=${1} /><${TextField} label="Director" value=${item.director} onInput=${put("director")} max=${200} /></div>
    <${SliderField} label="Quality" value=${item.quality} onInput=${put("quality")} min=${-3} max=${3} step=${0.1}
      hint="Hidden from recommenders: how much better than the average item, in rating points." word=${(v) => `${v > 0 ? "+" : ""}${v.toFixed(1)}`} /><//>`;
}

function WithdrawItem({ store, onClose }) {
  const [item, setItem] = useState("");
  return html`<${FormDialog} title="Withdraw an item" action="Withdraw it" danger onClose=${onClose} done=${accepted}
    submit=${() => intervene(store, { kind: "withdraw_item", item_id: item })}>
    <p class="hint">It is not shown any more; what users saw and remember stays. ${WHEN}</p>
    <${ItemField} label="Item" run=${store.id} value=${item} onPick=${setItem} required /><//>`;
}

function SetTie({ store, world, user, onClose }) {
  const [from, setFrom] = useState(user), [to, setTo] = useState("");
  const [closeness, setCloseness] = useState(0.5), [kind, setKind] = useState(""), [both, setBoth] = useState(true);
  return html`<${FormDialog} title="Set a tie between two users" action="Set the tie" onClose=${onClose} done=${accepted}
    submit=${() => intervene(store, { kind: "set_relation", user_id: from, other_user_id: to, closeness, relation_kind: kind.trim(), both_ways: both })}>
    <p class="hint">A new tie, or another closeness of one that is there. ${WHEN}</p>
    <div class="two"><${UserField} label="From" world=${world} value=${from} onPick=${setFrom} required /><${UserField} label="To" world=${world} value=${to} onPick=${setTo} required /></div>
    <${SliderField} label="Closeness" value=${closeness} onInput=${setCloseness} min=${0} max=${1} step=${0.05} word=${(v) => v.toFixed(2)} />
    <${TextField} label="What they are to each other" value=${kind} onInput=${setKind} max=${64} options=${world?.kinds ?? []} hint="Empty: as it is; a new tie is an acquaintance." />
    <${CheckField} label="The tie back as well" value=${both} onInput=${setBoth} /><//>`;
}

function RemoveTie({ store, world, user, onClose }) {
  const [from, setFrom] = useState(user), [to, setTo] = useState(""), [both, setBoth] = useState(true);
  return html`<${FormDialog} title="Remove a tie" action="Remove the tie" danger onClose=${onClose} done=${accepted}
    submit=${() => intervene(store, { kind: "remove_relation", user_id: from, other_user_id: to, both_ways: both })}>
    <p class="hint">${WHEN}</p>
    <div class="two"><${UserField} label="From" world=${world} value=${from} onPick=${setFrom} required /><${UserField} label="To" world=${world} value=${to} onPick=${setTo} required /></div>
    <${CheckField} label="The tie back as well" value=${both} onInput=${setBoth} /><//>`;
}

function InjectPost({ store, world, user, onClose }) {
  const [from, setFrom] = useState(user), [text, setText] = useState(""), [item, setItem] = useState(""), [sentiment, setSentiment] = useState(0);
  return html`<${FormDialog} title="Inject a post" action="Post it" onClose=${onClose} done=${accepted}
    submit=${() => intervene(store, { kind: "inject_post", user_id: from, text: text.trim(), item_id: item, sentiment })}>
    <p class="hint">All acquaintances of the user read it as the user's own words. ${WHEN}</p>
    <${UserField} label="In whose name" world=${world} value=${from} onPick=${setFrom} required />
    <${TextArea} label="Words" value=${text} onInput=${setText} max=${500} required />
    <${ItemField} label="About which item" run=${store.id} value=${item} onPick=${setItem} hint="Empty: nothing in particular." />
    <${SliderField} label="How it speaks of it" value=${sentiment} onInput=${setSentiment} min=${-2} max=${2} step=${1} word=${feeling} /><//>`;
}

function Fork({ store, onClose }) {
  const { at, run } = store.get();
  const [round, setRound] = useState(String(at ?? run.round)), [id, setId] = useState("");
  const submit = () => store.command("fork", { round: Number(round), ...(id.trim() ? { new_run_id: id.trim() } : {}) }, { throws: true });
  return html`<${FormDialog} title="Fork this run" action="Fork it" onClose=${onClose} submit=${async () => {
      const answer = await submit();
      go(href("stage", { run: answer.run.run_id }));
      return answer;
    }} done=${(a) => `${a.run.run_id} goes on from round ${round} of ${run.run_id}.`}>
    <p class="hint">A new run with the same rounds up to this one; it stands paused and goes its own way. This run is not changed.</p>
    <div class="two"><${NumberField} label="Up to round" value=${round} onInput=${setRound} min=${0} max=${run.round} step=${1} required /><${TextField} label="Name of the new run"
      value=${id} onInput=${setId} max=${63} pattern="[a-z0-9][a-z0-9._\\-]{0,62}" hint="Empty: the server chooses one." /></div><//>`;
}

const DIALOGS = { add: AddItem, withdraw: WithdrawItem, set: SetTie, remove: RemoveTie, post: InjectPost, fork: Fork };

/** @param {{store: object, chosen: string}} props `chosen`: user_id that dialogs begin with, or "" */
export function SteerMenu({ store, chosen }) {
  const me = useStore(app, (s) => s.me);
  const world = useStore(store, (s) => s.world);
  const state = useStore(store, (s) => s.run?.state);
  const at = useStore(store, (s) => s.at);
  const [open, setOpen] = useState("");
  const why = whyNotSteer(me);
  if (me?.bundle) return null;
  const ended = state === "succeeded" || state === "stopped";
  const item = (key, label, hint) => ({ label, hint: ended && key !== "fork" ? "The run has ended; fork it and change the fork." : hint,
    disabled: !world || (ended && key !== "fork"), onPick: () => setOpen(key) });
  const Open = DIALOGS[open];
  return html`<span class="steer"><${MenuButton} label="Change" disabled=${Boolean(why)} title=${why || "Change the world of this run"} items=${[
    item("add", "Add an item…", "The catalogue grows"), item("withdraw", "Withdraw an item…", "It is not shown any more"),
    item("set", "Set a tie…", "Between two users"), item("remove", "Remove a tie…", "Between two users"),
    item("post", "Inject a post…", "In a user's name"), item("fork", at === null ? "Fork here…" : `Fork at round ${at}…`, "A new run goes on from a round")]} />
    ${Open ? html`<${Open} store=${store} world=${world} user=${chosen} onClose=${() => setOpen("")} />` : null}</span>`;
}
