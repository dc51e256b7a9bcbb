// Paths and queries <-> what is shown. A bundle keeps both in the hash.

/**
 * @typedef {object} Route
 * @property {"runs"|"stage"|"person"|"arms"|"events"|"play"|"lost"} screen
 * @property {string} run     run_id, "" on the runs screen
 * @property {string} user    user_id of person and play, else ""
 * @property {Object<string,string>} query
 * @property {number|null} at round shown; null is live
 */

const bundle = () => Boolean(window.RECARENA_BUNDLE);
const listeners = new Set();
let guard = null;

/** @returns {{path: string, query: Object<string,string>}} */
function here() {
  const text = bundle() ? location.hash.slice(1) || "/" : location.pathname + location.search;
  const cut = text.indexOf("?");
  const path = cut < 0 ? text : text.slice(0, cut);
  return { path, query: Object.fromEntries(new URLSearchParams(cut < 0 ? "" : text.slice(cut))) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch (_) {
    return part;
  }
}

/** What the address says. @returns {Route} */
export function current() {
  const { path, query } = here();
  const parts = path.split("/").filter(Boolean).map(decoded);
  const at = /^\d+$/.test(query.at ?? "") ? Number(query.at) : null;
  const route = { screen: "lost", run: "", user: "", query, at };
  if (parts.length === 0) return { ...route, screen: "runs" };
  if (parts[0] !== "run" || !parts[1]) return route;
  route.run = parts[1];
  if (parts.length === 2) return { ...route, screen: "stage" };
  if (parts.length === 3 && (parts[2] === "arms" || parts[2] === "events")) {
    return { ...route, screen: parts[2] };
  }
  if (parts.length === 4 && (parts[2] === "u" || parts[2] === "play")) {
    return { ...route, screen: parts[2] === "u" ? "person" : "play", user: parts[3] };
  }
  return route;
}

/**
 * The address of a screen. Empty and null query values are left out.
 * @param {string} screen @param {{run?: string, user?: string}} where
 * @param {Object<string, string|number|null|undefined>} [query] @returns {string}
 */
export function href(screen, where = {}, query = {}) {
  const run = encodeURIComponent(where.run ?? "");
  const user = encodeURIComponent(where.user ?? "");
  const paths = {
    runs: "/", stage: `/run/${run}`, arms: `/run/${run}/arms`, events: `/run/${run}/events`,
    person: `/run/${run}/u/${user}`, play: `/run/${run}/play/${user}`,
  };
  const kept = Object.entries(query).filter(([, v]) => v !== null && v !== undefined && v !== "");
  const search = new URLSearchParams(kept.map(([k, v]) => [k, String(v)])).toString();
  const target = paths[screen] + (search ? `?${search}` : "");
  return bundle() ? `#${target}` : target;
}

/** Goes to an address made by `href`. @param {string} target @param {boolean} [replace] */
export function go(target, replace = false) {
  history[replace ? "replaceState" : "pushState"](null, "", target);
  tell();
}

/**
 * Changes the query of the present screen alone; null or "" takes a key out.
 * @param {Object<string, string|number|null>} changes @param {boolean} [replace]
 */
export function setQuery(changes, replace = false) {
  const route = current();
  if (route.screen === "lost") return;
  go(href(route.screen, { run: route.run, user: route.user }, { ...route.query, ...changes }), replace);
}

/** @param {() => void} listener @returns {() => void} ends it */
export function onRoute(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Asks before back and forward are followed. `f` is called when the address has changed already; true: it has dealt with that.
 * @param {() => boolean} f @returns {() => void} ends it
 */
export function guardBack(f) {
  guard = f;
  return () => { if (guard === f) guard = null; };
}

function moved() {
  if (!guard?.()) tell();
}

function tell() {
  for (const listener of [...listeners]) listener();
}

/** Follows back, forward and every plain click on a link of the page's own. */
export function startRouter() {
  window.addEventListener("popstate", moved);
  if (bundle()) window.addEventListener("hashchange", moved);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!link || event.defaultPrevented || event.button !== 0 || link.target || link.hasAttribute("download")) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const target = link.getAttribute("href") ?? "";
    if (bundle() ? !target.startsWith("#/") : !/^\/(run\/|\?|$)/.test(target)) return;
    event.preventDefault();
    go(target);
    window.scrollTo(0, 0);
  });
}
