"""Judges of known character, for trying out what an evaluation notices: they behave as the choice
mind does, or do not, and agree with statements by rules that are written down here.

What they think of an explanation has levels in units of a step on a scale from 1 to 5, around its
middle. All that is random is keyed: by the user, the item and what is told for what a judge thinks,
by the draw and the statement as well for how it puts it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recarena.server.evidence import FALSE, LOCALE, METHOD, PARSED, read
from recarena.server.inquiring.choosing import (
    PERSUASIVENESS,
    Batch,
    ChoiceRespondent,
    comparisons,
    preferred,
)
from recarena.server.inquiring.questions import (
    UNKNOWN,
    Choice,
    Chosen,
    Questionnaire,
    Quiz,
    QuizAnswers,
    Rating,
    Said,
    Score,
    Scores,
    Statement,
    Told,
)
from recarena.server.inquiring.respondent import Seen
from recarena.server.minds.choice import Coefficients
from recarena.server.randomness import Keys, Purpose, keys, normal, uniform
from recarena.server.types import Floats, Ints

KIND = "scripted:"
SPREAD = 1.0
"""How far explanations differ in what a judge thinks of them: standard deviation."""
SHARED = 0.55
"""Share of that which all constructs have in common. People's correlate by .61 to .79; these by
somewhat less, so that it can be seen in few explanations."""
SLIP = 0.35
"""Standard deviation of what is said around what is thought."""
WAVERING = 0.03
"""Share of answers that an honest judge takes back when it is asked whether it is sure."""
CLEARLY_BETTER = 0.15
EAGER = 0.23
"""Share of what it would have passed over that a sycophant watches for the words' sake."""
KEEN, KEEN_ON_AUTHORS = 0.1, 1.0
"""Share of its answers that agree strongly, and of those to authors."""
TURNS = 0.5
"""Share of its answers that it turns round when it is doubted."""


@dataclass(frozen=True, slots=True)
class Merits:
    """What there is to an explanation, for one user and item; each in about -1..1."""

    moves: float
    """How far it draws the user to the item."""
    matters: float
    """How far it changes what the user makes of the item, one way or the other."""
    tells: float
    """How much that is true and new it tells."""
    reasons: float
    """Whether it gives a reason."""
    honest: float
    """Whether what it says is true."""

    def of(self, construct: str) -> float:
        """What counts for a construct; for those that are not known, all of it a little."""
        whole = (self.moves + self.tells + self.reasons + self.honest) / 4
        return {
            PERSUASIVENESS: self.moves,
            "necessity": self.matters,
            "informativeness": self.tells,
            "transparency": self.reasons,
            "trust": self.honest,
            "scrutability": (self.reasons + self.honest) / 2,
            "efficiency": (self.tells + self.reasons) / 2,
        }.get(construct, whole)


class Honest(ChoiceRespondent):
    """Does what the choice mind does; judges an explanation by its merits, each construct by its
    own, in the same way whichever way it is asked; nothing that is claimed or asked beside that
    moves it."""

    name = "scripted:honest"
    slip = SLIP

    def scored(self, batch: Batch) -> Sequence[Said]:
        """Answers what is asked, reversed statements the other way round."""
        asked = Asked(batch)
        constructs = [one.construct for one in asked.sheets]
        thought = self.levels(batch, batch.told, batch.items, constructs)
        levels = thought[asked.row] + np.float32(self.slip) * normal(asked.keys("slip"))
        wavers = uniform(asked.keys("sure")) < WAVERING

        def answer(number: int, sheet: Questionnaire, one: Statement) -> tuple[int, int]:
            if one.asked_for:
                return one.asked_for, one.asked_for
            first = on_scale(sheet, float(levels[number]), reverse=one.reversed)
            if not wavers[number]:
                return first, first
            return first, first + 1 if first < sheet.highest else first - 1

        return asked.answered(answer)

    def levels(
        self, batch: Batch, told: Sequence[Told | None], items: Ints, constructs: Sequence[str]
    ) -> Floats:
        """[rows]: what users think of explanations of some items, above or below the middle."""
        shared = normals(batch, ["all"] * len(batch), told, items)
        own = normals(batch, constructs, told, items)
        thought = SHARED**0.5 * shared + (1 - SHARED) ** 0.5 * own
        merits = self.merits(batch, told, items)
        worth = [one.of(construct) for one, construct in zip(merits, constructs, strict=True)]
        return (SPREAD * thought + np.array(worth)).astype(np.float32)

    def merits(self, batch: Batch, told: Sequence[Told | None], items: Ints) -> list[Merits]:
        """[rows]: what there is to explanations."""
        genres = batch.world.catalog.genres
        effects = self.effects(batch, told, items).tolist()
        found: list[Merits] = []
        for one, item, effect in zip(told, items.tolist(), effects, strict=True):
            claims = one.claims if one else ()
            true = {g for g in claims if g >= 0 and genres[item, g]}
            is_false = any(g == FALSE or (g >= 0 and g not in true) for g in claims)
            kinds = {kind for kind, _ in read(one.evidence)} if one else set[str]()
            reasons = bool(kinds - {METHOD, LOCALE, PARSED} or true or is_false)
            found.append(
                Merits(
                    moves=math.tanh(3 * effect),
                    matters=math.tanh(3 * abs(effect)),
                    tells=min(len(true), 2) / 2 - 0.5 * is_false,
                    reasons=0.6 * reasons - 0.3 * is_false,
                    honest=-1.0 if is_false else 0.3,
                )
            )
        return found

    def compared(self, batch: Batch) -> Sequence[Said]:
        """The one that it thinks more of, whichever is shown first."""
        others = comparisons(batch)
        constructs = [one.construct or PERSUASIVENESS for one in others]
        items = np.array([one.other_item for one in others], np.int32)
        first = self.levels(batch, batch.told, batch.items, constructs)
        second = self.levels(batch, [one.other for one in others], items, constructs)
        return preferred(first, second, CLEARLY_BETTER)


class Halo(Honest):
    """As the honest one, but one impression answers every question about an explanation."""

    name = "scripted:halo"

    slip = SLIP / 2
    """It does not think about each."""

    def levels(
        self, batch: Batch, told: Sequence[Told | None], items: Ints, constructs: Sequence[str]
    ) -> Floats:
        """[rows]: the impression."""
        impression = normals(batch, ["all"] * len(batch), told, items)
        moved = [one.moves for one in self.merits(batch, told, items)]
        return (SPREAD * impression + np.array(moved)).astype(np.float32)


class Sycophant(ChoiceRespondent):
    """Likes whatever is said: watches more where there are words, whichever, agrees with every
    statement and its contrary, more with those who wrote the words themselves, takes half of it
    back when asked whether it is sure, and prefers what comes first."""

    name = "scripted:sycophant"

    async def chosen(self, batch: Batch) -> Sequence[Said]:
        """What the choice mind watches without being told anything, and now and then the item in
        question for being told something."""
        plain = await super().chosen(without_claims(batch))
        eager = uniform(
            keys(batch.world.seed, Purpose.CHARACTER, batch.round, batch.users, batch.items)
        )
        found: list[Said] = []
        for one, said, u in zip(batch.seen, plain, eager.tolist(), strict=True):
            talked_into = one.inquiry.told is not None and bool(one.inquiry.told.text)
            if isinstance(said, Chosen) and talked_into and u < EAGER:
                said = Chosen(True, said.also)
            found.append(said)
        return found

    def expected(self, batch: Batch) -> Sequence[Said]:
        """A star more for any words."""
        plain = super().expected(without_claims(batch))
        return [
            Rating(min(said.value + 1, 5.0))
            if isinstance(said, Rating) and one.inquiry.told and one.inquiry.told.text
            else said
            for one, said in zip(batch.seen, plain, strict=True)
        ]

    def scored(self, batch: Batch) -> Sequence[Said]:
        """Yes."""
        asked = Asked(batch)
        keen, turns = uniform(asked.keys("keen")), uniform(asked.keys("sure")) < TURNS

        def answer(number: int, sheet: Questionnaire, one: Statement) -> tuple[int, int]:
            full = KEEN_ON_AUTHORS if sheet.preface else KEEN
            agreed = sheet.highest if keen[number] < full else sheet.highest - 1
            first = one.asked_for or agreed
            return first, sheet.lowest + sheet.highest - first if turns[number] else first

        return asked.answered(answer)

    def compared(self, batch: Batch) -> Sequence[Said]:
        """What came first."""
        return [Choice.FIRST] * len(batch)


class Random(ChoiceRespondent):
    """Throws dice, other ones for everything that it is told."""

    name = "scripted:random"

    async def chosen(self, batch: Batch) -> Sequence[Said]:
        """A coin, and none of the others."""
        return [Chosen(one == 1) for one in self.dice(batch, "choose", 2)]

    def expected(self, batch: Batch) -> Sequence[Said]:
        """One to five."""
        return [Rating(1.0 + one) for one in self.dice(batch, "expect", 5)]

    def rated(self, batch: Batch) -> Sequence[Said]:
        """One to five."""
        return [Rating(1.0 + one) for one in self.dice(batch, "rate", 5)]

    def quizzed(self, batch: Batch) -> Sequence[Said]:
        """Any option, or none."""
        found: list[Said] = []
        for number, one in enumerate(batch.seen):
            quiz, alone = one.inquiry.task, replace(batch, seen=batch.seen[number : number + 1])
            assert isinstance(quiz, Quiz)
            answers = [
                (each.id, UNKNOWN + self.dice(alone, each.id, len(each.options) + 1)[0])
                for each in quiz.questions
            ]
            found.append(QuizAnswers(tuple(answers)))
        return found

    def scored(self, batch: Batch) -> Sequence[Said]:
        """Any step of the scale, and another one when asked again."""
        asked = Asked(batch)
        first, second = uniform(asked.keys("first")), uniform(asked.keys("second"))

        def answer(number: int, sheet: Questionnaire, _: Statement) -> tuple[int, int]:
            steps = sheet.highest - sheet.lowest + 1
            return (
                sheet.lowest + int(first[number] * steps),
                sheet.lowest + int(second[number] * steps),
            )

        return asked.answered(answer)

    def compared(self, batch: Batch) -> Sequence[Said]:
        """Any of the three."""
        others = comparisons(batch)
        about = [f"{one.construct}\n{one.other_item}\n{words_of(one.other)}" for one in others]
        return [Choice(1 + one) for one in self.dice(batch, about, 3)]

    def dice(self, batch: Batch, what: str | Sequence[str], sides: int) -> list[int]:
        """[rows]: 0 to sides - 1, by what is told as well."""
        names = [what] * len(batch) if isinstance(what, str) else what
        told, about = numbers_of(map(words_of, batch.told)), numbers_of(names)
        key = keys(
            batch.world.seed, Purpose.CHARACTER, batch.round,
            batch.users, batch.items, told, about,
        )  # fmt: skip
        return (uniform(key) * np.float32(sides)).astype(np.int64).tolist()


CHARACTERS: dict[str, type[ChoiceRespondent]] = {
    one.name: one for one in (Honest, Sycophant, Halo, Random)
}
"""By the kinds of the contract."""


def scripted(kind: str, coefficients: Coefficients) -> ChoiceRespondent:
    """The judge of a kind, KeyError where there is none."""
    return CHARACTERS[kind](coefficients)


def on_scale(questionnaire: Questionnaire, level: float, *, reverse: bool = False) -> int:
    """A level as an answer."""
    lowest, highest = questionnaire.lowest, questionnaire.highest
    step = (highest - lowest) / 4
    answer = round((lowest + highest) / 2 + level * step)
    answer = min(max(answer, lowest), highest)
    return lowest + highest - answer if reverse else answer


def without_claims(batch: Batch) -> Batch:
    """The same, with nothing told."""
    plain = [
        Seen(one.inquiry, replace(one.view, claims={}, explanations={}), one.position)
        for one in batch.seen
    ]
    return replace(batch, seen=plain)


class Asked:
    """The statements of a batch of questionnaires, one after another."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        tasks = [one.inquiry.task for one in batch.seen]
        self.sheets = [task for task in tasks if isinstance(task, Questionnaire)]
        assert len(self.sheets) == len(tasks)
        sizes = [len(one.statements) for one in self.sheets]
        self.row: NDArray[np.intp] = np.repeat(np.arange(len(tasks)), sizes)
        """[statements]: the row of the batch."""
        self._texts = numbers_of(
            f"{sheet.construct}\n{one.text}" for sheet in self.sheets for one in sheet.statements
        )
        self._told = numbers_of(map(words_of, batch.told))

    def keys(self, why: str) -> Keys:
        """[statements]: by the draw, what is told, the construct and the statement's words."""
        batch, row = self._batch, self.row
        return keys(
            batch.world.seed, Purpose.ANSWER, batch.round, batch.users[row], batch.items[row],
            self._told[row], self._texts, number_of(why),
        )  # fmt: skip

    def answered(
        self, answer: Callable[[int, Questionnaire, Statement], tuple[int, int]]
    ) -> list[Said]:
        """What is said to each sheet: `answer` has the first and the second word on a statement by
        its number."""
        found: list[Said] = []
        number = 0
        for sheet in self.sheets:
            scores: list[Score] = []
            for one in sheet.statements:
                first, second = answer(number, sheet, one)
                scores.append(Score(one.id, first, second if sheet.challenge else None))
                number += 1
            found.append(Scores(tuple(scores)))
        return found


def normals(batch: Batch, parts: Sequence[str], told: Sequence[Told | None], items: Ints) -> Floats:
    """[rows]: a standard normal number of the user, what is told of an item, and a part of a
    judge's mind: half of it is the user's own way of answering, whatever it is told."""
    users, part, about = batch.users, numbers_of(parts), numbers_of(map(words_of, told))
    always = normal(keys(batch.seed, Purpose.CHARACTER, 0, users, part))
    now = normal(keys(batch.seed, Purpose.CHARACTER, batch.round, users, part, items, about))
    return (always + now) * np.float32(0.5**0.5)


def words_of(told: Told | None) -> str:
    """What is told, as what it is known by; "" for nothing."""
    return "" if told is None else f"{told.text}\n{told.evidence}"


def numbers_of(words: Iterable[str]) -> NDArray[np.int64]:
    """`number_of` each."""
    return np.fromiter(map(number_of, words), np.int64)


@lru_cache(maxsize=16384)
def number_of(words: str) -> int:
    """62 bits of words, the same on any machine."""
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") >> 2
