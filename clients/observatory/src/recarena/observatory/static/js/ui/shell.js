import { html } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";
import { useStore } from "../store.js";
import { Banner } from "./banner.js";
import { Bar } from "./bar.js";
import { Failed, Loading } from "./parts.js";

/** Frame of every screen of a run. @param {{store: object, route: import("../router.js").Route, children?: any}} props */
export function Shell({ store, route, children }) {
  const error = useStore(store, (s) => s.error);
  const ready = useStore(store, (s) => Boolean(s.run));
  return html`<div class=${`page run-page screen-${route.screen}`}>
    <${Bar} store=${store} route=${route} /><${Banner} store=${store} />
    <main id="main" tabIndex="-1">${ready ? children
      : error ? html`<div class="whole"><${Failed} title=${error.status === 404 ? `There is no run ${route.run}` : "This run cannot be shown"} error=${error} />
        <a class="button" href=${href("runs")}>All runs</a></div>`
      : html`<${Loading} what="Loading the run" lines=${6} />`}</main></div>`;
}
