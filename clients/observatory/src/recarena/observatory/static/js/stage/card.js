// The user who is selected: what she does now, whom she knows, where to read on.
import { html, useEffect, useMemo, useState } from "../../vendor/htm-preact-standalone.js";
import { get, runPath } from "../api.js";
import { href, setQuery } from "../router.js";
import { app, useStore, whyNotSteer } from "../store.js";
import { ACTIONS } from "../ui/actions.js";
import { Avatar } from "../ui/avatar.js";
import { count } from "../ui/format.js";
import { useThrottled } from "../ui/hooks.js";
import { ActionLabel, PersonBadge } from "../ui/parts.js";
import { Sentence } from "../ui/sentence.js";

const TIES = 6;

/** Acquaintances of a user, the closest first. */
function tiesOf(world, user) {
  const { a, b, closeness } = world.edges, found = [];
  for (let e = 0; e < a.length; e++) {
    if (a[e] === user || b[e] === user) found.push({ user: a[e] === user ? b[e] : a[e], closeness: closeness?.[e] ?? 0 });
  }
  return found.sort((p, q) => q.closeness - p.closeness);
}

/** @param {{store: object, world: object, user: number, onZoom: () => void}} props */
export function UserCard({ store, world, user, onZoom }) {
  const at = useStore(store, (s) => s.at);
  const shown = useThrottled(useStore(store, (s) => s.shown), 250);
  const me = useStore(app, (s) => s.me);
  const round = useThrottled(shown?.round ?? 0, 1000);
  const [line, setLine] = useState(null);
  const id = world.ids[user], run = store.id;
  const ties = useMemo(() => tiesOf(world, user), [world, user]);
  useEffect(() => {
    const stop = new AbortController();
    setLine(null);
    if (round > 0) get(runPath(run, `feed/${round}?users=${user}`), { signal: stop.signal }).then((got) => setLine(got.lines.find((l) => l.user === user) ?? null), () => {});
    return () => stop.abort();
  }, [run, round, user]);
  const action = ACTIONS[shown?.actions[user] ?? 0].name, played = shown?.people.includes(user);
  const profile = world.profiles?.[user] ?? {};
  const facts = [profile.age, profile.gender, profile.occupation].filter(Boolean).join(", ");
  return html`<aside class="stage-card panel" aria-label=${`${world.names[user]}, selected`}>
    <div class="stage-card-head"><${Avatar} user=${id} size=${44} action=${action} /><div class="stage-card-name"><h2>${world.names[user]}</h2>
      <span class="muted small">${id} · ${world.arms[world.arm[user]] ?? ""}</span></div>
      <button type="button" class="icon-button" aria-label="Let go of this user" title="Let go (Escape)" onClick=${() => setQuery({ u: null })}>✕</button></div>
    <p class="stage-card-now"><${ActionLabel} action=${action} />${played ? html` <${PersonBadge} />` : null}<span class="muted">${count(shown?.watches[user] ?? 0, "watch", "watches")} · ${count(ties.length, "tie")}</span></p>
    ${facts ? html`<p class="muted small">${facts}</p>` : null}
    ${line ? html`<p class="stage-card-line"><${Sentence} line=${{ ...line, user_id: id }} run=${run} at=${at} /></p>` : null}
    ${ties.length ? html`<p class="stage-card-ties small">${ties.slice(0, TIES).map((t) => html`<button key=${t.user} type="button" class="link-button"
      onClick=${() => setQuery({ u: world.ids[t.user] })}>${world.names[t.user]}</button>`)}${ties.length > TIES ? html`<span class="muted">and ${ties.length - TIES} more</span>` : null}</p>` : null}
    <p class="stage-card-links"><a class="button" href=${href("person", { run, user: id }, { at })}>Person</a>
      ${whyNotSteer(me) ? null : html`<a class="button" href=${href("play", { run, user: id })}>Play</a>`}
      <button type="button" class="button" onClick=${onZoom}>Come close</button></p></aside>`;
}
