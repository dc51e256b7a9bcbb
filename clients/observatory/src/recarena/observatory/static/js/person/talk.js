// A conversation with a user: nothing of it is remembered, unless the switch says so.

import { html, useRef, useState } from "../../vendor/htm-preact-standalone.js";

const SAID_LONGEST = 1000;
const ANSWER_LONGEST = 2000;

function Turn({ turn, name }) {
  return html`
    <li class=${`talk-turn ${turn.speaker}`}>
      <span class="muted">${turn.speaker === "asker" ? "You" : name}</span>
      <p>${turn.text}</p>
      ${turn.note && html`<p class="muted talk-note">${turn.note}</p>`}
    </li>`;
}

/** What the talk does to the user, said before anything is asked. */
function WhatItDoes({ keep, language, effective, name }) {
  return keep
    ? html`<p class="talk-promise enters"><strong>Enters memory in round ${effective}.</strong> What you say${language ? ` and what ${name} answers` : ""}
        becomes an intervention; it stands in the audit and the event log.</p>`
    : html`<p class="talk-promise"><strong>Does not change memory.</strong> ${name} answers beside the run and forgets it; the run stays as it was.</p>`;
}

/**
 * @param {{person: object, effective: number, canChange: boolean,
 *   ask: (question: string, turns: object[]) => Promise<object>,
 *   tell: (said: string, answer: string) => Promise<object>, onClose: () => void}} props
 */
export function Talk({ person, effective, canChange, ask, tell, onClose }) {
  const language = person.mind === "llm";
  const [turns, setTurns] = useState([]);
  const [words, setWords] = useState("");
  const [keep, setKeep] = useState(!language && canChange);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const field = useRef(null);
  const said = () => turns.map(({ speaker, text }) => ({ speaker, text }));
  const speak = async (event) => {
    event.preventDefault();
    const question = words.trim();
    if (!question || busy) return;
    setBusy(true);
    setProblem("");
    try {
      const added = [{ speaker: "asker", text: question }];
      let answer = "";
      if (language) {
        const heard = await ask(question, said());
        const cost = Number.isFinite(heard.cost) ? `, ${heard.cost.toFixed(6)} ${heard.currency}` : "";
        answer = heard.answer ?? "";
        added.push(answer
          ? { speaker: "user", text: answer, note: `${heard.judge}${cost}` }
          : { speaker: "user", text: "(no answer)", note: heard.missing });
      }
      if (keep) {
        const one = await tell(question, answer.slice(0, ANSWER_LONGEST));
        added[added.length - 1].note = [added[added.length - 1].note, `enters memory in round ${one.round}`].filter(Boolean).join(" · ");
      }
      setTurns((before) => [...before, ...added]);
      setWords("");
    } catch (error) {
      setProblem(error.text ?? String(error));
    } finally {
      setBusy(false);
      field.current?.focus();
    }
  };
  return html`
    <div class="talk">
      ${!language && html`
        <p class="talk-silent"><strong>${person.name} has no language.</strong> A choice mind decides by numbers and cannot answer;
          you can still tell ${person.name} something, and it will stand in ${person.name}’s memory.</p>`}
      ${language && html`
        <label class="check">
          <input type="checkbox" role="switch" checked=${keep} disabled=${!canChange}
            onChange=${(event) => setKeep(event.currentTarget.checked)} />
          <span>Let ${person.name} remember this talk</span>
        </label>`}
      <${WhatItDoes} keep=${keep} language=${language} effective=${effective} name=${person.name} />
      <ol class="talk-turns" aria-live="polite" aria-label="Conversation">
        ${turns.map((turn, place) => html`<${Turn} key=${place} turn=${turn} name=${person.name} />`)}
        ${busy && html`<li class="talk-turn user muted" aria-busy="true">${language ? `${person.name} is thinking…` : "Sending…"}</li>`}
      </ol>
      <form class="turn-form" onSubmit=${speak}>
        <label>${language ? `Say something to ${person.name}` : `Tell ${person.name} something`}
          <textarea ref=${field} rows="2" maxlength=${SAID_LONGEST} value=${words}
            disabled=${!language && !canChange}
            onKeyDown=${(event) => {
              if (event.key === "Enter" && !event.shiftKey && !event.isComposing) speak(event);
            }}
            onInput=${(event) => setWords(event.currentTarget.value)}></textarea>
        </label>
        ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
        <div class="turn-actions">
          <button type="submit" class="button primary" disabled=${busy || !words.trim() || (!language && !canChange)}>
            ${language ? "Say it" : `Tell for round ${effective}`}
          </button>
          <button type="button" class="button" onClick=${onClose}>Close</button>
        </div>
      </form>
    </div>`;
}
