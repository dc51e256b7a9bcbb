import { html, useEffect } from "../../vendor/htm-preact-standalone.js";
import { href, setQuery } from "../router.js";
import { useStore } from "../store.js";
import { Banner } from "./banner.js";
import { Bar } from "./bar.js";
import { number } from "./format.js";
import { Failed, Loading } from "./parts.js";
import { toast } from "./toast.js";

/** Shows the newest round where the address asks for one that is not committed. */
function useCommitted(at, newest) {
  useEffect(() => {
    if (at === null || newest === null || at <= newest) return;
    toast(`There is no round ${number(at)} yet: this is round ${number(newest)}, the newest.`);
    setQuery({ at: newest, seq: null }, true);
  }, [at, newest]);
}

/** Frame of every screen of a run. @param {{store: object, route: import("../router.js").Route, children?: any}} props */
export function Shell({ store, route, children }) {
  const error = useStore(store, (s) => s.error);
  const ready = useStore(store, (s) => Boolean(s.run));
  useCommitted(route.at, useStore(store, (s) => (s.run ? Math.max(s.run.round, s.keyframe?.round ?? 0) : null)));
  return html`<div class=${`page run-page screen-${route.screen}`}>
    <${Bar} store=${store} route=${route} /><${Banner} store=${store} />
    <main id="main" tabIndex="-1">${ready ? children
      : error ? html`<div class="whole"><${Failed} title=${error.status === 404 ? `There is no run ${route.run}` : "This run cannot be shown"} error=${error} />
        <a class="button" href=${href("runs")}>All runs</a></div>`
      : html`<${Loading} what="Loading the run" lines=${6} />`}</main></div>`;
}
