"""Everything that one judge is asked, as messages, each with how its answer is read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from recarena.evaluation.explaining.plan import Plan
from recarena.evaluation.explaining.reading import Reading
from recarena.evaluation.judging.replies import Asked, Probe, Reply
from recarena.evaluation.questionnaires.administration import Sheet, sheets
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.counterparts import beside
from recarena.evaluation.stimuli.quiz import Question
from recarena.evaluation.stimuli.triples import Triple, Words
from recarena.v1.simulation_inquiry_service_pb2 import (
    ChooseTask,
    CompareTask,
    ExpectTask,
    Inquiry,
    QuestionnaireTask,
    QuizTask,
    RateTask,
)
from recarena.v1.types_pb2 import Evidence, Explanation

Wordings = Mapping[str, Mapping[Condition, Words | None]]
"""By triple what the user is told under each condition; None: nothing, or there is no such text."""
Quizzes = Mapping[str, Sequence[Question]]
"""By triple."""

LONGEST_ID = 128
AUTHORSHIP = "I wrote this explanation myself, and I am curious what you think of it."
BETTER = {
    "persuasiveness": "Which of the two explanations makes you want to watch more?",
    "informativeness": "Which of the two explanations tells you more about what it is about?",
    "transparency": "Which of the two explanations makes clearer why it was recommended to you?",
    "necessity": "Which of the two explanations do you need more in order to decide?",
    "trust": "Which of the two explanations do you trust more?",
    "scrutability": "Which of the two explanations helps you more to notice a mistake about you?",
    "efficiency": "Which of the two explanations lets you decide faster?",
    "satisfaction": "Which of the two explanations do you like better?",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One inquiry, the run it is asked in, and how its answer is read."""

    run_id: str
    inquiry: Inquiry
    reading: Reading

    @property
    def calls(self) -> int:
        """That a language model takes for it, where every first answer can be read."""
        return 2 if self.inquiry.questionnaire.challenge else 1


def count_calls(asks: Iterable[Ask]) -> int:
    """Calls to a language model for all these, where every first answer can be read."""
    return sum(one.calls for one in asks)


def count_kinds(asks: Iterable[Ask]) -> dict[str, int]:
    """How many inquiries of each kind, by the name of its task: "choose"."""
    return dict(Counter(str(one.inquiry.WhichOneof("task")) for one in asks))


def build(plan: Plan, triples: Sequence[Triple], wordings: Wordings, quizzes: Quizzes) -> list[Ask]:
    """All that the plan asks its judge, triple by triple. No two have the same id."""
    full = [one for one in triples if not one.extra]
    found: list[Ask] = []
    for one in triples:
        found += _behaviour(plan, one, wordings[one.id], plan.on_bad if one.extra else None)
    for one in full:
        found += _quizzes(plan, one, wordings[one.id], quizzes.get(one.id, ()))
    for one in full[: plan.questionnaire_triples]:
        found += _statements(plan, one, wordings[one.id])
    found += _comparisons(plan, full[: plan.questionnaire_triples], wordings)
    return found


def _behaviour(
    plan: Plan, triple: Triple, words: Mapping[Condition, Words | None],
    only: Sequence[Condition] | None,
) -> Iterator[Ask]:  # fmt: skip
    for condition in plan.conditions:
        if not _told(words, condition) or (only is not None and condition not in only):
            continue
        for draw in range(plan.draws):
            inquiry = _inquiry(triple, f"{condition}/choose/d{draw}", words[condition], draw)
            # The page is part of the question: where on it the item stood, and among which others.
            inquiry.impression.step, inquiry.impression.position = triple.step, triple.position
            inquiry.choose.CopyFrom(ChooseTask())
            yield _ask(plan, triple, condition, Asked.CHOOSE, inquiry)
            inquiry = _inquiry(triple, f"{condition}/expect/d{draw}", words[condition], draw)
            inquiry.item_id = triple.item_id
            inquiry.expect.CopyFrom(ExpectTask())
            yield _ask(plan, triple, condition, Asked.EXPECT, inquiry)
    for draw in range(plan.draws):
        inquiry = _inquiry(triple, f"{Condition.NONE}/rate/d{draw}", None, draw)
        inquiry.item_id = triple.item_id
        inquiry.rate.CopyFrom(RateTask())
        yield _ask(plan, triple, Condition.NONE, Asked.RATE, inquiry)


def _quizzes(
    plan: Plan, triple: Triple, words: Mapping[Condition, Words | None],
    questions: Sequence[Question],
) -> Iterator[Ask]:  # fmt: skip
    if not questions:
        return
    for condition in plan.quizzed:
        if not _told(words, condition):
            continue
        inquiry = _inquiry(triple, f"{condition}/quiz", words[condition])
        inquiry.item_id = triple.item_id
        inquiry.quiz.CopyFrom(QuizTask(questions=[
            QuizTask.Question(
                question_id=one.id, text=one.text, options=one.options, facts=one.facts
            )
            for one in questions
        ]))  # fmt: skip
        yield _ask(plan, triple, condition, Asked.QUIZ, inquiry, questions=tuple(questions))


def _statements(
    plan: Plan, triple: Triple, words: Mapping[Condition, Words | None]
) -> Iterator[Ask]:
    if plan.questionnaire is None:
        return
    for condition in plan.stated:
        if words.get(condition) is None:
            continue
        for sheet in sheets(plan.questionnaire, triple.id, condition, plan.seed, plan.repeats):
            probed = plan.probes and condition == Condition.REAL and not sheet.repeat
            probed = probed and not sheet.wording
            yield _sheet(plan, triple, condition, words[condition], sheet, challenge=probed)
            if probed:
                yield _sheet(plan, triple, condition, words[condition], sheet, authorship=True)


def _sheet(
    plan: Plan, triple: Triple, condition: Condition, words: Words | None, sheet: Sheet, *,
    challenge: bool = False, authorship: bool = False,
) -> Ask:  # fmt: skip
    questionnaire = plan.questionnaire
    assert questionnaire is not None
    items = questionnaire.by_id
    name = f"{condition}/statements/{sheet.construct}/w{sheet.wording}/r{sheet.repeat}"
    inquiry = _inquiry(triple, name + ("/authorship" if authorship else ""), words, sheet.repeat)
    inquiry.item_id = triple.item_id
    inquiry.questionnaire.CopyFrom(QuestionnaireTask(
        construct=sheet.construct,
        statements=[
            QuestionnaireTask.Statement(
                statement_id=item, text=text, reversed=items[item].reversed,
                asked_for=items[item].asked_for,
            )
            for item, text in sheet.statements
        ],
        lowest=questionnaire.lowest, highest=questionnaire.highest, labels=questionnaire.labels,
        labels_from_highest=sheet.labels_from_highest,
        preface=AUTHORSHIP if authorship else "", challenge=challenge,
    ))  # fmt: skip
    return _ask(
        plan, triple, condition, Asked.STATEMENT, inquiry,
        draw=sheet.repeat, wording=sheet.wording, construct=sheet.construct,
        probe=Probe.AUTHORSHIP if authorship else Probe.NONE,
        order=int(sheet.labels_from_highest), items=tuple(item for item, _ in sheet.statements),
    )  # fmt: skip


def _comparisons(plan: Plan, triples: Sequence[Triple], wordings: Wordings) -> Iterator[Ask]:
    for one in triples:
        for condition in plan.against:
            yield from _both_orders(plan, (one, Condition.REAL), (one, condition), wordings)
    if plan.between:
        for one, other in beside(triples):
            yield from _both_orders(plan, (one, Condition.REAL), (other, Condition.REAL), wordings)


def _both_orders(
    plan: Plan, left: tuple[Triple, Condition], right: tuple[Triple, Condition],
    wordings: Wordings,
) -> Iterator[Ask]:  # fmt: skip
    """Who is asked is the user of the left one, as it was at its moment."""
    (one, condition), (other, other_condition) = left, right
    words, other_words = wordings[one.id][condition], wordings[other.id][other_condition]
    if words is None or other_words is None:
        return
    same = one.id == other.id
    versus = f"{condition}-{other_condition}" if same else f"{condition}-{other.id}"
    for construct in plan.compared:
        for order in (0, 1):
            shown = [(one.item_id, words), (other.item_id, other_words)]
            (item, first), (other_item, second) = shown[::-1] if order else shown
            inquiry = _inquiry(one, f"{versus}/compare/{construct}/o{order}", first)
            inquiry.item_id = item
            inquiry.compare.CopyFrom(CompareTask(
                other=explanation(second), other_item_id="" if other_item == item else other_item,
                question=BETTER.get(construct) or _better(plan, construct), construct=construct,
            ))  # fmt: skip
            yield _ask(
                plan, one, condition, Asked.COMPARE, inquiry, construct=construct, order=order,
                other_triple="" if same else other.id, other_condition=other_condition,
            )  # fmt: skip


def _better(plan: Plan, construct: str) -> str:
    constructs = plan.questionnaire.constructs if plan.questionnaire else ()
    title = next((one.title for one in constructs if one.id == construct), construct)
    return f"Which of the two explanations is better in this respect: {title.lower()}?"[:500]


def explanation(words: Words) -> Explanation:
    """As a recommender would send it: what the server itself read from the words is left out."""
    kinds = {
        "item": Evidence.KIND_ITEM, "feature": Evidence.KIND_FEATURE,
        "popularity": Evidence.KIND_POPULARITY, "social": Evidence.KIND_SOCIAL,
    }  # fmt: skip
    return Explanation(
        text=words.text, locale=words.locale, method=words.method,
        evidence=[
            Evidence(kind=kinds[kind], reference=reference)
            for kind, reference in words.evidence
            if kind in kinds
        ],
    )  # fmt: skip


def _told(words: Mapping[Condition, Words | None], condition: Condition) -> bool:
    """Whether there is such a condition: nothing is told without explanation alone."""
    return condition == Condition.NONE or words.get(condition) is not None


def _inquiry(triple: Triple, name: str, words: Words | None, draw: int = 0) -> Inquiry:
    return Inquiry(
        inquiry_id=_id(f"{triple.id}/{name}"), user_id=triple.user_id,
        before_round=triple.round, draw=draw,
        explanation=None if words is None else explanation(words),
    )  # fmt: skip


def _id(name: str) -> str:
    """The name, or where it is too long its beginning and a hash."""
    if len(name.encode()) <= LONGEST_ID:
        return name
    mark = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    kept = name.encode()[: LONGEST_ID - len(mark) - 1].decode("utf-8", "ignore")
    return f"{kept}~{mark}"


def _ask(
    plan: Plan, triple: Triple, condition: Condition, asked: Asked, inquiry: Inquiry, *,
    questions: tuple[Question, ...] = (), items: tuple[str, ...] = (), draw: int | None = None,
    wording: int = 0, construct: str = "", probe: Probe = Probe.NONE, order: int = 0,
    other_triple: str = "", other_condition: str = "",
) -> Ask:  # fmt: skip
    blank = Reply(
        judge=plan.judge.name, triple=triple.id, condition=condition, asked=asked, value=None,
        draw=inquiry.draw if draw is None else draw, wording=wording, construct=construct,
        probe=probe, other_triple=other_triple, other_condition=other_condition, order=order,
    )  # fmt: skip
    challenged = inquiry.questionnaire.challenge
    return Ask(triple.run_id, inquiry, Reading(blank, items, questions, challenged))
