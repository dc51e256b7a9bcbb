// Starts the page: who looks, which screen, one store (and one socket) for the run that is shown.
import { html, render, useEffect, useErrorBoundary, useRef, useState } from "../vendor/htm-preact-standalone.js";
import { get, inBundle } from "./api.js";
import { current, go, href, onRoute, startRouter } from "./router.js";
import Arms from "./screens/arms.js";
import Events from "./screens/events.js";
import Person from "./screens/person.js";
import Play from "./screens/play.js";
import Runs from "./screens/runs.js";
import Stage from "./screens/stage.js";
import { app, makeRunStore, useStore } from "./store.js";
import { Empty, Failed } from "./ui/parts.js";
import { Shell } from "./ui/shell.js";
import { Toasts } from "./ui/toast.js";

const SCREENS = { stage: Stage, person: Person, arms: Arms, events: Events, play: Play };
const WORDS = { runs: "Runs", stage: "Stage", person: "Person", arms: "Arms", events: "Events", play: "Play", lost: "Not found" };

/** What is drawn inside; an error in it is shown in its place, and the rest of the page lives on. */
function Guard({ children }) {
  const [error, again] = useErrorBoundary((e) => console.error(e));
  return error ? html`<${Failed} title="This screen met an error" error=${error} again=${again} />` : children;
}

function RunPage({ route }) {
  const [store, setStore] = useState(null);
  useEffect(() => {
    const made = makeRunStore(route.run);
    setStore(made);
    return () => made.close();
  }, [route.run]);
  useEffect(() => {
    if (store && store.id === route.run && store.get().at !== route.at) store.show(route.at);
  }, [store, route.run, route.at]);
  if (!store || store.id !== route.run) return null;
  const Screen = SCREENS[route.screen];
  return html`<${Shell} store=${store} route=${route}><${Guard} key=${`${route.screen} ${route.user}`}><${Screen}
    key=${`${route.screen} ${route.user}`} store=${store} route=${route} /><//><//>`;
}

function App() {
  const [route, setRoute] = useState(current());
  const error = useStore(app, (s) => s.error);
  useEffect(() => onRoute(() => setRoute(current())), []);
  useEffect(() => {
    const of = route.user || route.run;
    document.title = `${of ? `${of} · ` : ""}${WORDS[route.screen]} · RecArena`;
  }, [route.screen, route.run, route.user]);
  const place = `${route.screen} ${route.run} ${route.user}`, before = useRef(place);
  useEffect(() => {
    // What had the focus is gone with its screen: reading goes on where the new one begins.
    if (before.current !== place && (!document.activeElement || document.activeElement === document.body)) document.getElementById("main")?.focus({ preventScroll: true });
    before.current = place;
  }, [place]);
  let page;
  if (error) page = html`<main><${Failed} title="The observatory cannot be shown" error=${error} again=${meet} /></main>`;
  else if (route.screen === "runs") page = html`<${Guard} key="runs"><${Runs} route=${route} /><//>`;
  else if (route.screen === "lost") {
    page = html`<main><${Empty} title="There is no such page" action=${html`<a class="button" href=${href("runs")}>All runs</a>`} /></main>`;
  } else page = html`<${RunPage} route=${route} />`;
  return html`<div class="app"><a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>To the content</a>${page}<${Toasts} /></div>`;
}

/** Asks who is looking. */
async function meet() {
  try {
    app.set({ me: await get("/api/me"), error: null });
  } catch (error) {
    app.set({ error });
  }
}

startRouter();
if (inBundle() && !location.hash) go(href("stage", { run: window.RECARENA_BUNDLE.run }), true);
meet();
const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);
