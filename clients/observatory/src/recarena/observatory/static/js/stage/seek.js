// Moves the page to a round at once, and the address a little later: browsers refuse to note every step of a slide.
import { current, setQuery } from "../router.js";

const NOTED = 250; // ms
let timer = 0;

/** @param {object} store @param {number|null} at null: live */
export function seek(store, at) {
  const leaving = store.get().at === null && current().query.at === undefined && at !== null;
  const shown = store.show(at);
  if (leaving || at === null) {
    clearTimeout(timer);
    timer = 0;
    setQuery({ at, seq: null });
  } else {
    timer ||= setTimeout(() => {
      timer = 0;
      const now = store.get().at;
      if (current().run === store.id && current().screen === "stage" && now !== null) setQuery({ at: now, seq: null }, true);
    }, NOTED);
  }
  return shown;
}
