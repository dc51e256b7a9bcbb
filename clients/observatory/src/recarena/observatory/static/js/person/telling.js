/** A user's round as a story: what was done, the pages that were seen, and what was said. */

/** What became of a list, where it was not simply shown. */
export const OUTCOMES = {
  violations: "some of the list was dropped",
  rejected: "the list was refused: a fallback was shown",
  late: "the list came too late: a fallback was shown",
  failed: "the recommender failed: a fallback was shown",
  lost: "the recommender was gone: a fallback was shown",
};

const SOCIAL = new Set(["chat", "post"]);
const AFTER_A_PAGE = new Set(["next", "search", "leave"]);

/** A page that is seen before anything of it is known. */
function emptyPage(event, query) {
  return {
    step: event.step ?? 0,
    surface: event.surface || "",
    outcome: event.outcome || "",
    query,
    items: [],
    then: null,
  };
}

/** The item at a position of a page, made where the log shows it for the first time. */
function itemAt(page, event) {
  const position = event.position ?? page.items.length;
  let item = page.items.find((one) => one.position === position);
  if (!item) {
    item = { position, title: event.title, itemId: event.item_id, explanation: "", withheld: false };
    Object.assign(item, { watched: false, order: 0, rating: 0, feeling: "" });
    page.items.push(item);
  }
  return item;
}

/**
 * The events of one round in the order of the log, as a story.
 * @param {{round: number, person: boolean, events: object[]}} round as the timeline has it
 * @returns {{round: number, person: boolean, activity: string, opening: string, pages: object[],
 *   social: object[], watched: number}}
 */
export function storyOf(round) {
  const story = {
    round: round.round,
    person: Boolean(round.person),
    activity: "",
    opening: "",
    pages: [],
    social: [],
    watched: 0,
  };
  let page = null;
  let query = "";
  for (const event of round.events) {
    if (event.type === "idle") story.activity = "nothing";
    else if (event.type === "enter_recommender") story.activity = "recommender";
    else if (event.type === "enter_social") story.activity = "social";
    else if (event.type === "converse") {
      story.opening = event.words || event.text;
      query = event.words || "";
    } else if (event.type === "page") {
      page = emptyPage(event, query);
      story.pages.push(page);
      query = "";
    } else if (event.type === "shown" && page) {
      const item = itemAt(page, event);
      item.explanation = event.words || "";
      item.withheld = Boolean(event.withheld);
    } else if (event.type === "watch" && page) {
      story.watched += 1;
      const item = itemAt(page, event);
      item.watched = true;
      item.order = page.items.filter((one) => one.watched).length;
      item.rating = event.value ?? 0;
      item.feeling = event.words || "";
    } else if (AFTER_A_PAGE.has(event.type)) {
      if (event.type === "search") query = event.words || "";
      if (page) page.then = { type: event.type, words: event.words || "" };
    } else if (SOCIAL.has(event.type)) story.social.push(event);
  }
  for (const one of story.pages) one.items.sort((a, b) => a.position - b.position);
  return story;
}

/** What a round was about, in a few words. */
export function headlineOf(story) {
  if (story.pages.length || story.activity === "recommender") {
    const pages = story.pages.length;
    const seen = pages === 1 ? "one page" : `${pages} pages`;
    const watched = story.watched === 0 ? "watched nothing" : `watched ${story.watched}`;
    return pages ? `Opened the recommender: ${seen}, ${watched}` : "Opened the recommender";
  }
  if (story.social.length) {
    const said = story.social.map((event) => (event.type === "chat" ? "a chat" : "a post"));
    return `Was social: ${said.join(", ")}`;
  }
  if (story.activity === "social") return "Opened the social network and said nothing";
  if (story.activity === "nothing") return "Did nothing";
  return "Nothing in the log";
}
