// What operators changed, newest first: who, when, what, and the round in which it took effect.

import { html, useEffect, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { href } from "../router.js";
import { date } from "../ui/format.js";
import { Badge, Empty, Failed, Loading } from "../ui/parts.js";
import { Sentence } from "../ui/sentence.js";
import { Table } from "../ui/table.js";
import { since } from "./since.js";

const KINDS = {
  edit_profile: "profile", set_relation: "tie", remove_relation: "tie", add_item: "item", withdraw_item: "item", inject_post: "post",
  tell_user: "talk", take_over: "take over", hand_back: "hand back",
};

function columns(run, now, nameOf) {
  return [
    { key: "number", label: "No.", align: "num", value: (one) => one.number, render: (one) => one.number },
    { key: "round", label: "Round", align: "num", value: (one) => one.round,
      render: (one) => one.applied ? html`<a href=${href("stage", { run }, { at: one.round })} title="See the stage after this round">${one.round}</a>` : one.round },
    { key: "applied", label: "Effect", value: (one) => (one.applied ? 1 : 0),
      render: (one) => (one.applied ? html`<${Badge} mark="✓">applied<//>` : html`<${Badge} mark="◔" kind="pending">pending<//>`) },
    { key: "kind", label: "Kind", value: (one) => one.kind, narrow: false, render: (one) => KINDS[one.kind] ?? one.kind },
    { key: "text", label: "What",
      render: (one) => html`<${Sentence} run=${run} line=${{ text: one.text, user_id: one.user_id, name: nameOf(one.user_id) }} />
        <details class="audit-change"><summary>fields</summary><pre tabindex="0">${JSON.stringify(one.change, null, 2)}</pre></details>` },
    { key: "by", label: "By", value: (one) => one.by, render: (one) => one.by || html`<span class="muted">–</span>` },
    { key: "received", label: "When", value: (one) => one.received,
      render: (one) => html`<time datetime=${one.received} title=${date(one.received)}>${since(one.received, now)}</time>` },
  ];
}

/**
 * @param {{run: string, version: string, at: number|null, nameOf: (user_id: string) => string}} props
 *   `version` changes when there is something new to read
 */
export function Audit({ run, version, at, nameOf }) {
  const [state, setState] = useState({ list: null, error: null });
  useEffect(() => {
    let over = false;
    get(runPath(run, "interventions")).then(
      (got) => over || setState({ list: got.interventions, error: null }),
      (error) => over || setState((before) => ({ ...before, error })),
    );
    return () => {
      over = true;
    };
  }, [run, version]);
  if (state.error && !state.list) return html`<${Failed} error=${state.error} />`;
  if (!state.list) return html`<${Loading} what="Reading the audit" lines=${4} />`;
  const list = at === null ? state.list : state.list.filter((one) => one.round <= at);
  return html`
    <section class="panel audit" aria-label="Audit"><${Table} caption="Interventions" rows=${list} columns=${columns(run, Date.now(), nameOf)} rowKey=${(one) => one.number}
      empty=${html`<${Empty} title="Nobody has changed anything">
        ${at === null ? "What operators change in this run is listed here, with the round in which it took effect." : `Up to round ${at} nothing was changed.`}<//>`} /></section>`;
}
