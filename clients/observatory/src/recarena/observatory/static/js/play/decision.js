/** What a person decides, as the server takes it. */

export const FEELING_LONGEST = 500;
export const QUERY_LONGEST = 200;
export const WORDS_LONGEST = 500;

/** A page of which nothing is decided yet. */
export const UNDECIDED = { watches: [], query: "" };

/** The draft with an item marked as watched, or not any more; the order of marking is kept. */
export function toggledWatch(draft, position) {
  const marked = draft.watches.some((one) => one.position === position);
  const watches = marked
    ? draft.watches.filter((one) => one.position !== position)
    : [...draft.watches, { position, rating: 0, feeling: "" }];
  return { ...draft, watches };
}

/** The draft with a rating or feeling of a watched item changed. */
export function withWatch(draft, position, change) {
  const watches = draft.watches.map((one) =>
    one.position === position ? { ...one, ...change } : one,
  );
  return { ...draft, watches };
}

/** The decision about a page: the watches in the order of marking, then next, search or leave. */
export function pageDecision(draft, action) {
  const query = action === "search" ? draft.query.trim() : "";
  return { page: { watches: draft.watches, action, query } };
}

/** Why a page cannot be decided so; empty where it can. */
export function pageProblem(draft, action) {
  if (action === "search" && !draft.query.trim()) return "Type what to search for.";
  return "";
}

/** What a turn asks, in a sentence that is read out. */
export function announcementOf(turn, name) {
  if (turn.kind === "activity") return `What does ${name} do?`;
  if (turn.kind === "opening") return `${name} opens the recommender. Say something to it?`;
  if (turn.kind === "social") return `${name} is in the social network. What is said?`;
  const count = turn.items.length;
  const items = count === 1 ? "one item" : `${count} items`;
  const page = `Page ${turn.step + 1} with ${items}`;
  return turn.query ? `${page}, for “${turn.query}”.` : `${page}.`;
}

/**
 * Whether there may be a next page: one that is not full is the last of its list; after a conversation comes the home page.
 * @param {object} turn @param {number} size positions of a page
 */
export const canTurnPage = (turn, size) => !turn.last && (turn.surface === "conversation" || (size > 0 && turn.items.length >= size));

/** What a key does with a page: {mark: position}, {action}, or null. @param {boolean} more whether there is a next page */
export function keyOfPage(key, turn, more = !turn.last) {
  if (/^[1-9]$/.test(key)) {
    const item = turn.items[Number(key) - 1];
    return item ? { mark: item.position } : null;
  }
  if (key === "n" && more) return { action: "next" };
  if (key === "s" && turn.can_search && !turn.last) return { action: "search" };
  if (key === "l") return { action: "leave" };
  return null;
}
