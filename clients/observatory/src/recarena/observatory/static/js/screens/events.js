// Everything that happened, newest first, and what operators changed.

import { html, useEffect, useMemo, useState } from "../../vendor/htm-preact-standalone.js";
import { inBundle } from "../api.js";
import { href, setQuery } from "../router.js";
import { useStore } from "../store.js";
import { count, number } from "../ui/format.js";
import { Empty, Failed, Loading } from "../ui/parts.js";
import { hasEnded } from "../person/steer.js";
import { toast } from "../ui/toast.js";
import { Audit } from "../events/audit.js";
import { Filters } from "../events/chips.js";
import { eventsPath, useFeed } from "../events/feed.js";
import { addressOf, askedOf, filtersOf, isFiltered } from "../events/filters.js";
import { EventList } from "../events/list.js";

/** What the list says of new events. @param {number|null} fresh */
function freshWords(fresh) {
  if (fresh === null) return "New events";
  return fresh > 0 ? `${number(fresh)} new` : "";
}

function Tabs({ run, tab, query, changes }) {
  const link = (name, words) => html`
    <a href=${href("events", { run }, { at: query.at, tab: name })} aria-current=${tab === name || (!tab && !name) ? "page" : undefined}>${words}</a>`;
  return html`<nav class="subtabs" aria-label="Events and audit">${link("", "Events")}${link("audit", html`Audit${changes ? html` <span class="count">${changes}</span>` : null}`)}</nav>`;
}

function Feed({ store, route, newest }) {
  const { at, query } = route;
  const world = useStore(store, (state) => state.world);
  const run = useStore(store, (state) => state.run);
  const filters = useMemo(() => filtersOf(query), [JSON.stringify(query)]);
  const target = useMemo(() => (at !== null && /^\d+$/.test(query.seq ?? "") ? { round: at, seq: Number(query.seq) } : null), [at, query.seq]);
  const [onTop, setOnTop] = useState(true);
  const [follow, setFollow] = useState(true);
  const [missing, setMissing] = useState(false);
  const feed = useFeed({ run: store.id, filters, at, newest, following: follow && onTop, world });
  useEffect(() => setMissing(false), [target, filters]);
  const { list } = feed;
  const words = at === null ? freshWords(feed.fresh) : "";
  const onFilters = (next) => setQuery({ ...Object.fromEntries(Object.entries(addressOf(next)).map(([key, value]) => [key, value ?? null])), seq: null }, true);
  return html`
    <${Filters} filters=${filters} counts=${list?.counts ?? null} world=${world} arms=${run?.arms.map((arm) => arm.arm_id) ?? []} onFilters=${onFilters} />
    <div class="event-tools">
      <span class="muted" role="status">${list ? html`${Number.isFinite(list.total) ? count(list.total, "event") : "Events"}${at !== null ? ` up to round ${at}` : feed.anchor ? ` up to round ${feed.anchor}` : ""}` : "Reading…"}</span>
      ${at === null && !hasEnded(run) && html`<label class="check"><input type="checkbox" checked=${follow} onChange=${(event) => setFollow(event.currentTarget.checked)} /><span>follow the newest</span></label>`}
      ${words && html`<button type="button" class="button primary small new-events" onClick=${feed.renew}>↑ ${words}</button>`}
      ${!inBundle() && html`<a class="button quiet" download=${`${store.id}-events.jsonl`} href=${eventsPath(store.id, askedOf(filters, at), "events.jsonl")}>JSONL</a>`}
    </div>
    ${missing && html`<p class="field-error" role="alert">Event ${target.round}·${target.seq} is not in this list${isFiltered(filters) ? ": the filters leave it out." : "."}</p>`}
    ${feed.error && html`<${Failed} error=${feed.error} again=${feed.again} />`}
    ${!list && !feed.error && html`<${Loading} what="Reading events" lines=${8} />`}
    ${list && list.pages.length === 0 && list.pages.ended && html`
      <${Empty} title=${isFiltered(filters) ? "No event is like that" : "Nothing has happened yet"}>
        ${isFiltered(filters) ? "Take a filter away to see more." : "Events come with the first round."}<//>`}
    ${list && !(list.pages.length === 0 && list.pages.ended) && html`
      <${EventList} key=${feed.key} pages=${list.pages} run=${store.id} at=${at} query=${query} target=${target} onTop=${setOnTop}
        onMissing=${() => setMissing(true)} onError=${(error) => toast(error.text ?? String(error), "error")} />`}`;
}

export default function Events({ store, route }) {
  const newest = useStore(store, (state) => state.keyframe?.round ?? state.run?.round ?? 0);
  const ready = useStore(store, (state) => state.run !== null);
  const interventions = useStore(store, (state) => state.interventions);
  const pending = useStore(store, (state) => state.pending);
  const world = useStore(store, (state) => state.world);
  const nameOf = (id) => (id && world ? (world.names[world.ids.indexOf(id)] ?? "") : "");
  const tab = route.query.tab === "audit" ? "audit" : "";
  const version = `${interventions.length}/${pending.length}/${pending.at(-1)?.number ?? 0}`;
  return html`
    <div class="screen events-screen">
      <header class="screen-head"><h2>Events</h2>
        <${Tabs} run=${store.id} tab=${tab} query=${route.query} changes=${interventions.length + pending.length} /></header>
      ${!ready && html`<${Loading} what="Reading the run" lines=${8} />`}
      ${ready && (tab === "audit"
        ? html`<${Audit} run=${store.id} version=${version} at=${route.at} nameOf=${nameOf} />`
        : html`<${Feed} store=${store} route=${route} newest=${newest} />`)}
    </div>`;
}
