"""Inquiries and their answers as messages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.inquiring.moments import Past
from recarena.server.inquiring.questions import (
    UNKNOWN,
    Choice,
    Choose,
    Chosen,
    Compare,
    Expect,
    Impression,
    Inquiry,
    Missing,
    Questionnaire,
    Quiz,
    QuizAnswers,
    QuizQuestion,
    Rate,
    Rating,
    Said,
    Score,
    Scores,
    Spent,
    Statement,
    Talk,
    Task,
    Told,
    Words,
)
from recarena.server.rpc import answers
from recarena.server.rpc.limits import MAX_ID_BYTES
from recarena.server.rpc.untrusted import clean
from recarena.server.types import NOTHING
from recarena.v1 import simulation_inquiry_service_pb2 as pb
from recarena.v1 import types_pb2, work_pb2

T = TypeVar("T")

MAX_INQUIRIES = 1000
MAX_STATEMENTS = MAX_QUESTIONS = MAX_TURNS = 20
MAX_STEPS = 11
MAX_OPTIONS = 8
MAX_WORDS, MAX_TALK = 500, 1000
MAX_ANSWER, MAX_DETAIL = 2000, 200
TURN = 100
"""Inquiries after which others of the server have their turn."""
MAX_FIELDS = 16
"""Wrong fields that are told at once."""


async def inquiries_from(messages: Sequence[pb.Inquiry], past: Past) -> list[Inquiry]:
    """Inquiries about a run. InputError names the wrong field of each that cannot be asked."""
    if len(messages) > MAX_INQUIRIES:
        raise InputError(
            f"{len(messages)} inquiries, at most {MAX_INQUIRIES} at a time", where="inquiries"
        )
    last, ids, door = past.last_round, set[str](), _Door(past.data)
    found: list[Inquiry] = []
    wrong: list[tuple[str, str]] = []
    for number, message in enumerate(messages):
        where = f"inquiries[{number}]"
        try:
            check_id(message.inquiry_id, ids, f"{where}.inquiry_id")
            found.append(await _inquiry(message, past, door, last, where))
        except InputError as error:
            wrong.append((error.where, error.problem))
            if len(wrong) == MAX_FIELDS:
                break
        if number % TURN == TURN - 1:
            await asyncio.sleep(0)
    if wrong:
        text = "; ".join(f"{field}: {problem}" for field, problem in wrong)
        raise InputError(text, fields=tuple(wrong))
    return found


async def _inquiry(message: pb.Inquiry, past: Past, door: _Door, last: int, where: str) -> Inquiry:
    data = past.data
    user = data.population.number_of.get(message.user_id)
    if user is None:
        raise InputError(f"no user {message.user_id[:140]!r} in the run", where=f"{where}.user_id")
    round = message.before_round or last + 1
    if round > last + 1:
        raise InputError(
            f"rounds 1 to {last} are committed: users are as they were before one of them, or "
            f"before round {last + 1}",
            where=f"{where}.before_round",
        )
    impression, item = None, NOTHING
    match message.WhichOneof("subject"):
        case "impression":
            impression = Impression(message.impression.step, message.impression.position)
            item = await past.item_at(user, round, impression, where)
        case "item_id":
            item = _item(message.item_id, data, f"{where}.item_id")
        case _:
            if message.WhichOneof("task") != "talk":
                raise InputError("it is about no item", where=f"{where}.subject")
    told = None
    if message.HasField("explanation"):
        told = door.told(message.explanation, item)
    return Inquiry(
        id=message.inquiry_id,
        user=user,
        before_round=round,
        task=_task(message, door, item, where),
        item=item,
        impression=impression,
        told=told,
        without_memories=message.without_memories,
        draw=message.draw,
    )


def _task(message: pb.Inquiry, door: _Door, item: int, where: str) -> Task:
    kind = message.WhichOneof("task")
    if kind is None:
        raise InputError("nothing is asked", where=f"{where}.task")
    if kind in ("questionnaire", "compare") and not message.HasField("explanation"):
        raise InputError("there is nothing to judge", where=f"{where}.explanation")
    where = f"{where}.{kind}"
    match kind:
        case "choose":
            return Choose()
        case "expect":
            return Expect()
        case "rate":
            return Rate()
        case "questionnaire":
            return _questionnaire(message.questionnaire, where)
        case "quiz":
            ids = set[str]()
            questions = _some(message.quiz.questions, 1, MAX_QUESTIONS, f"{where}.questions")
            return Quiz(
                tuple(
                    _question(one, ids, f"{where}.questions[{at}]")
                    for at, one in enumerate(questions)
                )
            )
        case "compare":
            return _compare(message.compare, door, item, where)
        case "talk":
            return _talk(message.talk, where)


def _questionnaire(task: pb.QuestionnaireTask, where: str) -> Questionnaire:
    lowest, highest = task.lowest, task.highest
    steps = highest - lowest + 1
    if not 2 <= steps <= MAX_STEPS:
        raise InputError(
            f"a scale has 2 to {MAX_STEPS} steps, not those from {lowest} to {highest}",
            where=f"{where}.highest",
        )
    if len(task.labels) not in (0, steps):
        raise InputError(f"{len(task.labels)} labels for {steps} steps", where=f"{where}.labels")
    ids = set[str]()
    statements: list[Statement] = []
    for at, one in enumerate(_some(task.statements, 1, MAX_STATEMENTS, f"{where}.statements")):
        here = f"{where}.statements[{at}]"
        check_id(one.statement_id, ids, f"{here}.statement_id")
        if one.asked_for and not lowest <= one.asked_for <= highest:
            raise InputError(
                f"{one.asked_for} is not in {lowest}..{highest}", where=f"{here}.asked_for"
            )
        words = _words(one.text, f"{here}.text")
        statements.append(Statement(one.statement_id, words, one.reversed, one.asked_for))
    return Questionnaire(
        construct=task.construct,
        statements=tuple(statements),
        lowest=lowest,
        highest=highest,
        labels=tuple(
            _words(one, f"{where}.labels[{at}]", least=0) for at, one in enumerate(task.labels)
        ),
        labels_from_highest=task.labels_from_highest,
        preface=_words(task.preface, f"{where}.preface", least=0),
        challenge=task.challenge,
    )


def _question(question: pb.QuizTask.Question, ids: set[str], where: str) -> QuizQuestion:
    check_id(question.question_id, ids, f"{where}.question_id")
    options = _some(question.options, 2, MAX_OPTIONS, f"{where}.options")
    if len(question.facts) not in (0, len(options)):
        raise InputError(
            f"{len(question.facts)} facts for {len(options)} options", where=f"{where}.facts"
        )
    return QuizQuestion(
        question.question_id,
        _words(question.text, f"{where}.text"),
        tuple(_words(one, f"{where}.options[{at}]") for at, one in enumerate(options)),
        tuple(question.facts),
    )


def _compare(task: pb.CompareTask, door: _Door, item: int, where: str) -> Compare:
    if not task.HasField("other"):
        raise InputError("there is nothing to compare with", where=f"{where}.other")
    other = item
    if task.other_item_id:
        other = _item(task.other_item_id, door.data, f"{where}.other_item_id")
    question = _words(task.question, f"{where}.question")
    return Compare(door.told(task.other, other), other, question, task.construct)


def _talk(task: pb.TalkTask, where: str) -> Talk:
    turns: list[tuple[bool, str]] = []
    for at, one in enumerate(_some(task.turns, 0, MAX_TURNS, f"{where}.turns")):
        here = f"{where}.turns[{at}]"
        if one.speaker not in (work_pb2.Turn.SPEAKER_USER, work_pb2.Turn.SPEAKER_RECOMMENDER):
            raise InputError("it is nobody's", where=f"{here}.speaker")
        text = _words(one.text, f"{here}.text", most=MAX_ANSWER)
        turns.append((one.speaker == work_pb2.Turn.SPEAKER_USER, text))
    return Talk(_words(task.question, f"{where}.question", most=MAX_TALK), tuple(turns))


class _Door:
    """Explanations as they would come in from a recommender; most are there many times."""

    def __init__(self, data: WorldData) -> None:
        self.data = data
        self._told: dict[tuple[bytes, int], Told] = {}

    def told(self, explanation: types_pb2.Explanation, item: int) -> Told:
        """What users get of an explanation of an item."""
        key = explanation.SerializeToString(deterministic=True), item
        if key not in self._told:
            self._told[key] = Told(*answers.told(explanation, self.data.catalog, item))
        return self._told[key]


def _item(item_id: str, data: WorldData, where: str) -> int:
    item = data.catalog.number_of.get(item_id)
    if item is None:
        raise InputError(f"no item {item_id[:140]!r} in the run's catalogue", where=where)
    return item


def check_id(given: str, before: set[str], where: str) -> None:
    """InputError for an id that is empty, too long or among those before; it is one of them
    afterwards."""
    if not 1 <= len(given.encode()) <= MAX_ID_BYTES:
        raise InputError(f"an id has 1 to {MAX_ID_BYTES} bytes", where=where)
    if given in before:
        raise InputError(f"the id {given!r} is there twice", where=where)
    before.add(given)


def words_from(text: str, where: str, least: int, most: int) -> str:
    """Words from outside, cleaned. InputError where they are too many or none."""
    if len(text) > most:
        raise InputError(f"{len(text)} characters, at most {most} are taken", where=where)
    found = clean(text, most)
    if len(found.strip()) < least:
        raise InputError("there are no words in it", where=where)
    return found


def _words(text: str, where: str, least: int = 1, most: int = MAX_WORDS) -> str:
    return words_from(text, where, least, most)


def _some(given: Sequence[T], least: int, most: int, where: str) -> Sequence[T]:
    if not least <= len(given) <= most:
        raise InputError(f"{len(given)} of them, {least} to {most} are taken", where=where)
    return given


# ---------------------------------------------------------------------- answers


def answer_message(inquiry: Inquiry, said: Said) -> pb.InquiryAnswer:
    """The answer to an inquiry."""
    answer = pb.InquiryAnswer(inquiry_id=inquiry.id)
    match said:
        case Missing():
            answer.missing.CopyFrom(missing_message(said))
        case Chosen():
            answer.chosen.CopyFrom(pb.Chosen(watched=said.watched, also_watched=said.also))
        case Rating():
            answer.rating.value = said.value
        case Scores():
            answer.scores.scores.extend(map(_score, said.scores))
        case QuizAnswers():
            answer.quiz.answers.extend(_quiz_answer(*one) for one in said.answers)
        case Choice():
            answer.preference.choice = pb.Preference.Choice.ValueType(said)
        case Words():
            answer.words.text = said.text[:MAX_ANSWER]
    return answer


def missing_message(missing: Missing) -> pb.Missing:
    """Why an answer is not there."""
    reason = pb.Missing.Reason.ValueType(missing.reason)
    return pb.Missing(reason=reason, detail=clean(missing.detail, MAX_DETAIL))


def _score(score: Score) -> pb.Scores.Score:
    made = pb.Scores.Score(statement_id=score.id, second_value=score.second)
    if isinstance(score.answer, Missing):
        made.missing.CopyFrom(missing_message(score.answer))
    else:
        made.value = score.answer
    return made


def _quiz_answer(question: str, answer: int | Missing) -> pb.QuizAnswers.QuizAnswer:
    made = pb.QuizAnswers.QuizAnswer(question_id=question)
    if isinstance(answer, Missing):
        made.missing.CopyFrom(missing_message(answer))
    elif answer == UNKNOWN:
        made.unknown = True
    else:
        made.option = answer
    return made


def spent_message(spent: Spent) -> pb.CallsSpent:
    """What a request took."""
    return pb.CallsSpent(
        calls=spent.calls,
        replayed=spent.replayed,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cost=spent.cost,
        currency=spent.currency,
    )
