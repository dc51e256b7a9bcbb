import { html, useEffect, useRef } from "../../vendor/htm-preact-standalone.js";
import { makeGraph } from "../graph/graph.js";
import { go, href, setQuery } from "../router.js";
import { useStore } from "../store.js";
import { actionCode } from "../ui/actions.js";
import { count } from "../ui/format.js";
import { Empty, Loading } from "../ui/parts.js";

/**
 * The graph in its frame. What moves on it goes around the component tree: no line of the feed renders anything here.
 * @param {{store: object, only: string, chosen: number, graphRef: {current: any}}} props
 */
export function GraphView({ store, only, chosen, graphRef }) {
  const host = useRef(null);
  const world = useStore(store, (s) => s.world);
  const users = world?.ids.length ?? 0, ties = world?.edges.a.length ?? 0;

  useEffect(() => {
    const idOf = (user) => store.get().world.ids[user];
    const graph = makeGraph(host.current, {
      select: (user) => setQuery({ u: user < 0 ? null : idOf(user) }),
      open: (user) => go(href("person", { run: store.id, user: idOf(user) }, { at: store.get().at })),
    });
    graphRef.current = graph;
    let drawn = null, said = null;
    const follow = () => {
      const { shown, shownFeed, at, world: now } = store.get();
      if (now && shown && shown !== drawn) {
        drawn = shown;
        graph.setActions(shown.actions, shown.people);
      }
      if (at !== null && shownFeed !== said) {
        said = shownFeed;
        graph.say(shownFeed);
      }
    };
    const ends = [store.subscribe(follow), store.onLines((lines) => { if (store.get().at === null) graph.say(lines); })];
    follow();
    return () => {
      ends.forEach((end) => end());
      graph.close();
      graphRef.current = null;
    };
  }, [store]);
  useEffect(() => {
    if (!world) return;
    graphRef.current.setWorld(world);
    const { shown } = store.get();
    if (shown) graphRef.current.setActions(shown.actions, shown.people);
    graphRef.current.select(chosen, false);
  }, [world]);
  useEffect(() => graphRef.current.setOnly(only ? actionCode(only) : -1), [only]);
  useEffect(() => graphRef.current.select(chosen, true), [chosen, world === null]);

  return html`<div class="graph-frame">
    <div class="graph" ref=${host} tabIndex="0" role="application" aria-roledescription="social graph"
      aria-label=${`Social graph of ${count(users, "user")} and ${count(ties, "tie")}. Arrows move, plus and minus zoom, 0 shows all, Enter selects the user in the middle, Shift with arrows goes along ties. The list view has the same as a table.`}></div>
    ${world ? (users ? null : html`<div class="graph-note"><${Empty} title="This run has no users" /></div>`) : html`<div class="graph-note"><${Loading} what="Loading the world" lines=${4} /></div>`}
    <div class="graph-tools" role="group" aria-label="Zoom"><button type="button" class="icon-button" aria-label="Zoom in" title="Zoom in (+)" onClick=${() => graphRef.current.zoomBy(1.5)}>+</button>
      <button type="button" class="icon-button" aria-label="Zoom out" title="Zoom out (−)" onClick=${() => graphRef.current.zoomBy(1 / 1.5)}>−</button>
      <button type="button" class="icon-button" aria-label="Show all" title="Show all (0)" onClick=${() => graphRef.current.fit()}>⤢</button></div>
  </div>`;
}
