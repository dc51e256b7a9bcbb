// What people do, in the order of the keyframe's bytes: name, word and a shape each, so that colour is never alone.

/** @typedef {{name: string, word: string, d: string, fill: boolean}} Action `d` is a path in a box of 16 by 16 */

/** @type {Action[]} */
export const ACTIONS = [
  { name: "away", word: "Away", fill: false, d: "M8 4.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7" },
  { name: "browsing", word: "Browsing", fill: true, d: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z" },
  { name: "searching", word: "Searching", fill: false, d: "M7 3a4 4 0 1 0 0 8a4 4 0 1 0 0-8M10 10l3.5 3.5" },
  { name: "talking", word: "Talking", fill: false, d: "M2.5 3.5h11v7H8l-3 3v-3H2.5zM5 7h6" },
  { name: "watching", word: "Watching", fill: true, d: "M4.5 2.5L13.5 8L4.5 13.5z" },
  { name: "chatting", word: "Chatting", fill: true, d: "M1.5 2h8v5.5h-4L3.5 9.500V7.500h-2zM11 5h3.500v6h-1.500v2.500L10.5 11H6.500V9.500L11 8.500z" },
  { name: "posting", word: "Posting", fill: true, d: "M2 6v4h2.500l6 3.500v-11L4.5 6zM12 6h2v4h-2z" },
];

const BY_NAME = new Map(ACTIONS.map((action, code) => [action.name, code]));

/** Code of an action's name; unknown names are "away". @param {string} name @returns {number} */
export const actionCode = (name) => BY_NAME.get(name) ?? 0;
