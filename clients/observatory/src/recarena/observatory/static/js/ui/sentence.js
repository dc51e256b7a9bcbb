// A sentence with titles in italics and people as links. Everything is text: markup in it stays text.
import { html } from "../../vendor/htm-preact-standalone.js";
import { href } from "../router.js";

/**
 * Cuts a text at the first places where a title or a name stands, longer ones first.
 * @param {string} text @param {string[]} titles @param {Object<string,string>} people user_id -> name
 * @returns {{text: string, title?: boolean, user?: string}[]}
 */
export function cut(text, titles = [], people = {}) {
  const marks = [
    ...titles.filter(Boolean).map((t) => ({ text: t, title: true })),
    ...Object.entries(people).filter(([, name]) => name).map(([user, name]) => ({ text: name, user })),
  ].sort((a, b) => b.text.length - a.text.length);
  let parts = [{ text }];
  for (const mark of marks) {
    parts = parts.flatMap((part) => {
      if (part.title || part.user !== undefined) return [part];
      const from = part.text.indexOf(mark.text);
      if (from < 0) return [part];
      const rest = part.text.slice(from + mark.text.length);
      return [{ text: part.text.slice(0, from) }, { ...mark }, { text: rest }].filter((p) => p.text);
    });
  }
  return parts;
}

/**
 * A Line of API.md (or an Event made into one) as a sentence.
 * @param {{line: {text: string, titles?: string[], people?: Object<string,string>, name?: string, user_id?: string},
 *   run: string, at?: number|null}} props `user_id` makes a link of the speaker's own name
 */
export function Sentence({ line, run, at = null }) {
  const people = { ...(line.people ?? {}) };
  if (line.user_id && line.name && !(line.user_id in people)) people[line.user_id] = line.name;
  return html`<span class="sentence">${cut(line.text, line.titles, people).map((part, i) =>
    part.title ? html`<i key=${i}>${part.text}</i>`
      : part.user !== undefined ? html`<a key=${i} href=${href("person", { run, user: part.user }, { at })}>${part.text}</a>`
      : part.text)}</span>`;
}
