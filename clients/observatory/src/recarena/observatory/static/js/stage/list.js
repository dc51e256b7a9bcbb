// The stage's users as a table: the same data as the graph, for those who read rather than look.
import { html, useMemo } from "../../vendor/htm-preact-standalone.js";
import { go, href } from "../router.js";
import { useStore } from "../store.js";
import { ACTIONS, actionCode } from "../ui/actions.js";
import { number } from "../ui/format.js";
import { useThrottled } from "../ui/hooks.js";
import { ActionLabel, Empty, Loading, PersonBadge } from "../ui/parts.js";
import { Table } from "../ui/table.js";

/** @param {{store: object, only: string, chosen: string}} props */
export function UserList({ store, only, chosen }) {
  const world = useStore(store, (s) => s.world);
  const shown = useThrottled(useStore(store, (s) => s.shown), 1000);
  const at = useStore(store, (s) => s.at);
  const ties = useMemo(() => {
    const degree = new Uint32Array(world?.ids.length ?? 0);
    for (const side of world ? [world.edges.a, world.edges.b] : []) for (const u of side) degree[u]++;
    return degree;
  }, [world]);
  const columns = useMemo(() => [
    { key: "name", label: "User", value: (u) => world.names[u], render: (u) => html`<a href=${href("person", { run: store.id, user: world.ids[u] }, { at })}>${world.names[u]}</a> <span class="muted small">${world.ids[u]}</span>` },
    { key: "action", label: "Does", value: (u) => actionCode(ACTIONS[shown.actions[u]].name), render: (u) => html`<${ActionLabel} action=${ACTIONS[shown.actions[u]].name} />${shown.people.includes(u) ? html` <${PersonBadge} />` : null}` },
    { key: "watches", label: "Watches", align: "num", value: (u) => shown.watches[u], render: (u) => number(shown.watches[u]) },
    { key: "ties", label: "Ties", align: "num", narrow: false, value: (u) => ties[u], render: (u) => number(ties[u]) },
    { key: "arm", label: "Arm", narrow: false, value: (u) => world.arms[world.arm[u]], render: (u) => world.arms[world.arm[u]] },
    { key: "community", label: "Community", narrow: false, value: (u) => world.communities[world.community[u]]?.label ?? "", render: (u) => world.communities[world.community[u]]?.label || "–" },
  ], [world, shown, ties, at]);
  const rows = useMemo(() => {
    const code = only ? actionCode(only) : -1, all = [];
    for (let u = 0; u < (world?.ids.length ?? 0); u++) if (code < 0 || shown?.actions[u] === code) all.push(u);
    return all;
  }, [world, shown, only]);
  if (!world || !shown) return html`<${Loading} what="Loading users" lines=${8} />`;
  return html`<section class="panel list-view" aria-label="Users"><${Table} caption=${`Users in round ${shown.round}`} columns=${columns} rows=${rows} limit=${150}
    rowKey=${(u) => world.ids[u]} onOpen=${(u) => go(href("person", { run: store.id, user: world.ids[u] }, { at }))} rowClass=${(u) => (world.ids[u] === chosen ? "chosen" : "")}
    empty=${html`<${Empty} title="Nobody does this in this round" />`} /></section>`;
}
