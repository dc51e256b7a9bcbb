// The stage: who lives here, who is doing what now, and what passes between them.
import { html, useEffect, useRef } from "../../vendor/htm-preact-standalone.js";
import { setQuery } from "../router.js";
import { UserCard } from "../stage/card.js";
import { Counts, UserSearch } from "../stage/counts.js";
import { Feed } from "../stage/feed.js";
import { GraphView } from "../stage/graph-view.js";
import { UserList } from "../stage/list.js";
import { Minis } from "../stage/minis.js";
import { SteerMenu } from "../stage/steer.js";
import { Timeline } from "../stage/timeline.js";
import { useStore } from "../store.js";
import { ACTIONS } from "../ui/actions.js";

/** @param {{store: object, route: import("../router.js").Route}} props */
export default function Screen({ store, route }) {
  const world = useStore(store, (s) => s.world);
  const graph = useRef(null);
  const { query } = route;
  const only = ACTIONS.some((a) => a.name === query.action) ? query.action : "";
  const chosen = world && query.u ? world.ids.indexOf(query.u) : -1, list = query.view === "list";
  useEffect(() => {
    const key = (e) => {
      if (e.key !== "Escape" || e.defaultPrevented || document.querySelector("dialog[open]")) return;
      if (e.target instanceof Element && e.target.closest("input, textarea, select")) return;
      if (query.u) setQuery({ u: null });
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, [query.u]);
  return html`<div class="stage">
    <div class="stage-tools"><${Counts} store=${store} only=${only} />
      <span class="stage-actions"><${UserSearch} world=${world} onPick=${(id) => setQuery({ u: id })} />
        <button type="button" class="button" aria-pressed=${String(list)} onClick=${() => setQuery({ view: list ? null : "list" })}>${list ? "Graph" : "List"}</button>
        <${SteerMenu} store=${store} chosen=${chosen >= 0 ? query.u : ""} /></span></div>
    <div class="stage-main">${list ? html`<${UserList} store=${store} only=${only} chosen=${query.u ?? ""} />`
      : html`<${GraphView} store=${store} only=${only} chosen=${chosen} graphRef=${graph} />`}
      ${chosen >= 0 ? html`<${UserCard} key=${query.u} store=${store} world=${world} user=${chosen}
        onZoom=${() => (list ? setQuery({ view: null }) : graph.current?.approach(chosen))} />` : null}</div>
    <div class="stage-side"><${Minis} store=${store} /><${Feed} store=${store} only=${only} chosen=${chosen >= 0 ? query.u : ""} /></div>
    <${Timeline} store=${store} /></div>`;
}
