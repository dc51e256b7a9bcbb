// The server's filters for a bundle, which holds a list of events and no server.

const FAULTS = new Set(["rejected", "late", "failed", "lost"]);

/** Whether an event passes all filters but that of its kind. */
function passes(event, filters, at, armOf) {
  const about = event.type === "intervention" ? event.other_id : event.user_id;
  if (at && event.round > at) return false;
  if (filters.round && event.round !== Number(filters.round)) return false;
  if (filters.u && about !== filters.u) return false;
  if (filters.arm && armOf(event.user) !== filters.arm) return false;
  if (filters.errors && !event.undecided && !(event.type === "page" && FAULTS.has(event.outcome))) return false;
  return !filters.q || event.text.toLowerCase().includes(filters.q.toLowerCase());
}

/**
 * @param {object[]} events newest first @param {object} filters @param {number} at 0: all rounds
 * @param {(user: number) => string} armOf
 * @returns {{events: object[], counts: Object<string, number>, total: number, next: string}}
 */
export function sift(events, filters, at, armOf) {
  const passed = events.filter((event) => passes(event, filters, at, armOf));
  const counts = {};
  for (const event of passed) counts[event.type] = (counts[event.type] ?? 0) + 1;
  const wanted = new Set(filters.actions);
  const list = passed.filter((event) => (wanted.size ? wanted.has(event.type) : event.type !== "shown"));
  return { events: list, counts, total: list.length, next: "" };
}
