"""How each task is put to a language model that plays a user, and how its answer is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from recarena.server.inquiring.questions import (
    UNKNOWN,
    Choice,
    Choose,
    Chosen,
    Compare,
    Expect,
    Missing,
    Questionnaire,
    Quiz,
    QuizAnswers,
    Rate,
    Rating,
    Reason,
    Said,
    Score,
    Scores,
    Talk,
    Words,
)
from recarena.server.inquiring.respondent import Seen
from recarena.server.llm.calls import Failure, Form, Outcome, Unreadable
from recarena.server.llm.forms import JsonForm
from recarena.server.minds.llm.answers import (
    ChooseAnswer,
    CompareAnswer,
    QuizAnswer,
    StarsAnswer,
    StatementsAnswer,
    TalkAnswer,
    statements_answer,
)
from recarena.server.minds.llm.asked import About, AskedViews
from recarena.server.minds.llm.quoting import clean
from recarena.server.minds.llm.strategy import Asking
from recarena.server.minds.llm.views import Shown

REASONS = {
    Failure.REFUSAL: Reason.REFUSED,
    Failure.TRUNCATED: Reason.TRUNCATED,
    Failure.REJECTED: Reason.REJECTED,
}
"""Why an answer is missing; any other failure: it could not be read."""


def missing(outcome: Outcome[Any]) -> Missing:
    """In place of an answer that could not be had."""
    assert outcome.failure is not None
    reason = REASONS.get(outcome.failure, Reason.UNREADABLE)
    return Missing(reason, clean(outcome.problem, "profile"))


@dataclass(slots=True)
class Interview:
    """One inquiry, asked in a conversation of its own."""

    asking: Asking
    views: AskedViews
    about: About
    seen: Seen
    outcomes: list[Outcome[Any]] = field(default_factory=list[Outcome[Any]])
    """What was decided, for the accounts."""

    async def said(self) -> Said:
        """The answer. RunPaused where a cap is reached or the provider gives out."""
        task = self.seen.inquiry.task
        match task:
            case Choose():
                return await self._choose()
            case Expect():
                return await self._stars("ask_expect")
            case Rate():
                return await self._stars("ask_rate")
            case Questionnaire():
                return await self._questionnaire(task)
            case Quiz():
                return await self._quiz(task)
            case Compare():
                return await self._compare(task)
            case Talk():
                return await self._talk(task)

    async def _ask(self, name: str, shown: Shown, form: Form[Any]) -> Any:
        """The answer to a task, or the Missing in its place."""
        outcome = await self.asking.ask(name, shown, name, form)
        self.outcomes.append(outcome)
        return missing(outcome) if outcome.value is None else outcome.value

    async def _choose(self) -> Said:
        view, at = self.seen.view, self.seen.position
        told = {(0, at): self.about.told} if self.about.told else {}
        shown = await self.views.of_asked_page(self.about, replace(view, explanations=told))
        form = JsonForm("choose", ChooseAnswer, partial(_check_watch, shown))
        answer: ChooseAnswer | Missing = await self._ask("ask_choose", shown, form)
        if isinstance(answer, Missing):
            return answer
        watched = [n - 1 for n in answer.watch]
        return Chosen(at in watched, tuple(one for one in watched if one != at))

    async def _stars(self, name: str) -> Said:
        shown = await self.views.of_question(self.about)
        answer: StarsAnswer | Missing = await self._ask(name, shown, JsonForm("stars", StarsAnswer))
        return answer if isinstance(answer, Missing) else Rating(float(answer.rating))

    async def _questionnaire(self, task: Questionnaire) -> Said:
        shown = await self.views.of_question(self.about)
        if preface := clean(task.preface, "statement"):
            shown.data["asker"] = preface
        shown.data["scale"] = _steps(task)
        shown.data["statements"] = [
            {"n": n, "text": clean(one.text, "statement")}
            for n, one in enumerate(task.statements, 1)
        ]
        count = len(task.statements)

        def check(answer: StatementsAnswer) -> None:
            _check_numbers([one.n for one in answer.answers], count, "statement")

        form = JsonForm("statements", statements_answer(task.lowest, task.highest), check)
        prompt = self.asking.prompt("ask_questionnaire", shown.text("ask_questionnaire"), form)
        first = await self._ask("ask_questionnaire", shown, form)
        if isinstance(first, Missing):
            return first
        second: list[int | Missing] = [Missing(Reason.UNREADABLE)] * count
        if task.challenge:
            again = replace(shown.asker, step=shown.asker.step + 1)
            outcome = await self.asking.ask_on(
                "ask_challenge", prompt, self.outcomes[-1].raw, form, again
            )
            self.outcomes.append(outcome)
            if outcome.value is not None:
                second = _values(cast(StatementsAnswer, outcome.value))
        return Scores(
            tuple(
                Score(one.id, value, None if isinstance(later, Missing) else later)
                for one, value, later in zip(task.statements, _values(first), second, strict=True)
            )
        )

    async def _quiz(self, task: Quiz) -> Said:
        shown = await self.views.of_quiz(self.about)
        shown.data["questions"] = [
            {
                "n": n,
                "text": shown.quote(one.text, "statement"),
                "options": [
                    {"n": at, "text": shown.quote(option, "option")}
                    for at, option in enumerate(one.options, 1)
                ],
            }
            for n, one in enumerate(task.questions, 1)
        ]

        form = JsonForm("quiz", QuizAnswer, partial(_check_quiz, task))
        answer: QuizAnswer | Missing = await self._ask("ask_quiz", shown, form)
        if isinstance(answer, Missing):
            return answer
        chosen = {
            one.n: one.option - 1 if isinstance(one.option, int) else UNKNOWN
            for one in answer.answers
        }
        return QuizAnswers(tuple((q.id, chosen[n]) for n, q in enumerate(task.questions, 1)))

    async def _compare(self, task: Compare) -> Said:
        shown = await self.views.of_two(self.about, task.other_item, task.other.text)
        shown.data["question"] = clean(task.question, "statement")
        form = JsonForm("compare", CompareAnswer)
        answer: CompareAnswer | Missing = await self._ask("ask_compare", shown, form)
        return answer if isinstance(answer, Missing) else Choice[answer.choice]

    async def _talk(self, task: Talk) -> Said:
        question = clean(task.question, "brief")
        shown = await self.views.of_question(self.about, question)
        if task.turns:
            shown.data["conversation"] = [
                {"speaker": "you", "words": shown.quote(words, "said")}
                if by_user
                else {"speaker": "asker", "words": clean(words, "said")}
                for by_user, words in task.turns
            ]
        shown.data["question"] = question
        answer: TalkAnswer | Missing = await self._ask(
            "ask_talk", shown, JsonForm("talk", TalkAnswer, _check_words)
        )
        return answer if isinstance(answer, Missing) else Words(clean(answer.words, "said"))


def _steps(task: Questionnaire) -> list[str]:
    """The scale, step by step in the order shown: "1", or "1: not at all"."""
    numbers = range(task.lowest, task.highest + 1)
    labels = [clean(one, "option") for one in task.labels or [""] * len(numbers)]
    steps = [f"{n}: {label}" if label else str(n) for n, label in zip(numbers, labels, strict=True)]
    return steps[::-1] if task.labels_from_highest else steps


def _values(answer: StatementsAnswer) -> list[int | Missing]:
    """In the order of the statements."""
    return [
        one.value if isinstance(one.value, int) else Missing(Reason.NOT_APPLICABLE)
        for one in sorted(answer.answers, key=lambda one: one.n)
    ]


def _check_watch(shown: Shown, answer: ChooseAnswer) -> None:
    offered = [at for at, title in enumerate(shown.titles, 1) if title is not None]
    for n in answer.watch:
        if n not in offered:
            raise Unreadable(
                Failure.OUT_OF_RANGE, f"watch: the page has the numbers {_listed(offered)}, not {n}"
            )
    if len(set(answer.watch)) < len(answer.watch):
        raise Unreadable(Failure.OUT_OF_RANGE, "watch: a number is there twice")


def _check_numbers(found: Sequence[int], count: int, what: str) -> None:
    """One answer to each."""
    if sorted(found) != list(range(1, count + 1)):
        raise Unreadable(
            Failure.OUT_OF_RANGE, f"answers: one is needed for each {what}, n from 1 to {count}"
        )


def _check_quiz(task: Quiz, answer: QuizAnswer) -> None:
    _check_numbers([one.n for one in answer.answers], len(task.questions), "question")
    for one in answer.answers:
        options = len(task.questions[one.n - 1].options)
        if isinstance(one.option, int) and one.option > options:
            raise Unreadable(
                Failure.OUT_OF_RANGE, f"option: question {one.n} has options 1 to {options}"
            )


def _check_words(answer: TalkAnswer) -> None:
    if not clean(answer.words, "said"):
        raise Unreadable(Failure.EMPTY, "words: something has to be said")


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
