/** A memory bank sorted for reading. */

/** Kinds in the order of reading, with what they mean. */
export const KINDS = [
  ["watched", "Watched", "what was watched, and how it felt"],
  ["observed", "Observed", "what the user made of a page or a talk"],
  ["insight", "Concluded", "what the user concluded from other memories"],
  ["said", "Said", "the user's own words in chats"],
  ["heard", "Heard", "a chat partner's words"],
  ["read", "Read", "acquaintances' posts"],
  ["posted", "Posted", "the user's own posts"],
  ["told", "Told", "the recommender's words about what was watched"],
];

/**
 * Memories by kind, unknown kinds last, newest first within a kind.
 * @param {object[]} memories as the API has them
 * @param {number} until the last round to count, or 0 for all
 */
export function byKind(memories, until = 0) {
  const known = until ? memories.filter((one) => one.round <= until) : memories;
  const groups = new Map(KINDS.map(([kind, label, what]) => [kind, { kind, label, what, list: [] }]));
  for (const one of known) {
    if (!groups.has(one.kind)) {
      groups.set(one.kind, { kind: one.kind, label: one.kind, what: "", list: [] });
    }
    groups.get(one.kind).list.push(one);
  }
  for (const group of groups.values()) {
    group.list.sort((a, b) => b.round - a.round || b.number - a.number);
  }
  return [...groups.values()].filter((group) => group.list.length);
}

/** How long ago a memory was made, counted in rounds. */
export function ageOf(memory, now) {
  if (memory.round === 0) return "from before the run";
  const age = now - memory.round;
  if (age <= 0) return "this round";
  return age === 1 ? "1 round ago" : `${age} rounds ago`;
}

/** Where a memory came to mind, up to a round; empty where it never did. */
export function recalledIn(memory, until = 0) {
  const rounds = (memory.recalled_in || []).filter((round) => !until || round <= until);
  if (!rounds.length) return "";
  const last = rounds.slice(-4);
  const more = rounds.length - last.length;
  const named = `recalled in ${last.length === 1 ? "round" : "rounds"} ${last.join(", ")}`;
  return more ? `${named} and ${more} earlier` : named;
}
