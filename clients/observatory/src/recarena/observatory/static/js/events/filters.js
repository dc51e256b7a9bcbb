/** Filters of the event list: between the page's address and what the server is asked. */

/** Types of events in the order of the chips, with the words on them. */
export const TYPES = [
  ["watch", "Watched"],
  ["search", "Searched"],
  ["converse", "Asked"],
  ["chat", "Chatted"],
  ["post", "Posted"],
  ["page", "Pages"],
  ["next", "Next page"],
  ["leave", "Left"],
  ["enter_recommender", "Visits"],
  ["enter_social", "Social"],
  ["idle", "Idle"],
  ["intervention", "Interventions"],
  ["shown", "Items shown"],
];

const LABELS = new Map(TYPES);

export function labelOf(type) {
  return LABELS.get(type) ?? type.replaceAll("_", " ");
}

/** The filters that a page's address has. */
export function filtersOf(query) {
  const actions = (query.action || "").split(",").filter(Boolean);
  return {
    actions,
    u: query.u || "",
    arm: query.arm || "",
    round: /^\d+$/.test(query.round || "") ? query.round : "",
    errors: query.errors === "1",
    q: query.q || "",
  };
}

/** Filters as the address has them: what is not set is not there. */
export function addressOf(filters) {
  return {
    action: filters.actions.join(",") || undefined,
    u: filters.u || undefined,
    arm: filters.arm || undefined,
    round: filters.round || undefined,
    errors: filters.errors ? "1" : undefined,
    q: filters.q || undefined,
  };
}

/** Filters as the server is asked, up to a round. */
export function askedOf(filters, at, more = {}) {
  const asked = { ...addressOf(filters), at: at || undefined, ...more };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
}

/** Whether anything is filtered at all. */
export function isFiltered(filters) {
  return Object.values(addressOf(filters)).some((one) => one !== undefined);
}

/** The filters with one type switched on or off. */
export function toggled(filters, type) {
  const actions = filters.actions.includes(type)
    ? filters.actions.filter((one) => one !== type)
    : [...filters.actions, type];
  return { ...filters, actions };
}

/** Whether an event stands where a permalink points, or after it in the list (which is older). */
export function isPast(event, round, seq) {
  return event.round < round || (event.round === round && event.seq < seq);
}
