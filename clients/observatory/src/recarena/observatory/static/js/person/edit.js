/** What can be edited of a user, and what an edit comes to. */

/** Fields of a profile, each a text of at most 500 characters. */
export const PROFILE_FIELDS = ["age", "gender", "occupation", "traits", "interests"];
export const LONGEST_FIELD = 500;

/** Traits with their bounds as sliders have them, and what they do. */
export const TRAITS = {
  mean_rating: { label: "Mean rating", low: 1, high: 5, step: 0.05, what: "stars given on average" },
  activity: { label: "Activity", low: -6, high: 6, step: 0.1, what: "logit of doing something in a round" },
  sociability: { label: "Sociability", low: -6, high: 6, step: 0.1, what: "logit of preferring people to the recommender" },
  posting: { label: "Posting", low: -6, high: 6, step: 0.1, what: "logit of posting rather than chatting" },
  conformity: { label: "Conformity", low: 0, high: 1, step: 0.01, what: "pull of what is popular" },
  diversity: { label: "Diversity", low: 0, high: 1, step: 0.01, what: "liking for genres not seen of late" },
  position_bias: { label: "Position bias", low: 0, high: 5, step: 0.05, what: "attention lost down the page" },
  trust: { label: "Trust", low: 0, high: 5, step: 0.05, what: "weight of what explanations claim" },
};

/** Traits in the order of the form, unknown ones last. @param {Object<string, number>} traits */
export function inOrder(traits) {
  const known = Object.keys(TRAITS).filter((trait) => trait in traits);
  return [...known, ...Object.keys(traits).filter((trait) => !(trait in TRAITS))].map((trait) => [trait, traits[trait]]);
}

/** Tastes are in rating points. */
export const TASTE = { low: -3, high: 3, step: 0.05 };

/** A number as forms show it: no more places than its slider has. */
export function places(step) {
  return step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
}

/** What a form starts with, all as the fields have it. */
export function draftOf(person) {
  const profile = {};
  for (const field of PROFILE_FIELDS) profile[field] = person.profile?.[field] ?? "";
  return {
    name: person.name,
    profile,
    traits: { ...person.traits },
    tastes: { ...person.tastes },
  };
}

function changedNumbers(before, after, labelOf) {
  const lines = [];
  for (const [key, to] of Object.entries(after)) {
    const from = before[key];
    if (typeof to === "number" && (from === undefined || Math.abs(to - from) > 1e-6)) {
      lines.push({ key, label: labelOf(key), from, to });
    }
  }
  return lines;
}

/**
 * What an edit changes, line by line.
 * @returns {{part: string, key: string, label: string, from: *, to: *}[]}
 */
export function diffOf(person, draft) {
  const lines = [];
  const name = draft.name.trim();
  if (name && name !== person.name) {
    lines.push({ part: "name", key: "name", label: "Name", from: person.name, to: name });
  }
  for (const field of PROFILE_FIELDS) {
    const from = person.profile?.[field] ?? "";
    const to = draft.profile[field] ?? "";
    if (from !== to) lines.push({ part: "profile", key: field, label: capital(field), from, to });
  }
  for (const line of changedNumbers(person.traits || {}, draft.traits, traitLabel)) {
    lines.push({ part: "traits", ...line });
  }
  for (const line of changedNumbers(person.tastes || {}, draft.tastes, (genre) => genre)) {
    lines.push({ part: "tastes", ...line });
  }
  return lines;
}

/** The intervention that an edit comes to: only what is different is named. */
export function changeOf(person, draft) {
  const change = { kind: "edit_profile", user_id: person.user_id };
  for (const line of diffOf(person, draft)) {
    if (line.part === "name") change.name = line.to;
    else change[line.part] = { ...change[line.part], [line.key]: line.to };
  }
  return change;
}

export function traitLabel(trait) {
  return TRAITS[trait]?.label ?? capital(trait.replaceAll("_", " "));
}

function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Bounds that hold a value even where it lies outside what a slider usually has. */
export function boundsOf(trait, value) {
  const known = TRAITS[trait] ?? { low: -6, high: 6, step: 0.1, what: "" };
  return { ...known, low: Math.min(known.low, Math.floor(value)), high: Math.max(known.high, Math.ceil(value)) };
}

/** Interventions about a user that wait for a round. */
export function pendingFor(pending, userId) {
  return pending.filter((one) => !one.applied && concerns(one, userId));
}

function concerns(one, userId) {
  return one.user_id === userId || one.change?.other_user_id === userId;
}
