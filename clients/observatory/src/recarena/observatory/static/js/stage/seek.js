// Moves the page to a round at once, and the address a little later: browsers refuse to note every step of a slide.
import { current, setQuery } from "../router.js";

const NOTED = 250; // ms
let timer = 0;

/** @param {object} store @param {number|null} at null: live */
export function seek(store, at) {
  const leaving = store.get().at === null && current().query.at === undefined && at !== null;
  const shown = store.show(at);
  clearTimeout(timer);
  if (leaving || at === null) setQuery({ at, seq: null });
  else {
    timer = setTimeout(() => {
      if (current().run === store.id && store.get().at === at) setQuery({ at, seq: null }, true);
    }, NOTED);
  }
  return shown;
}
