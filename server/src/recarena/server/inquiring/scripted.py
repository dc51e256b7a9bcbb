"""Judges of known character, for trying out what an evaluation notices: they behave as the choice
mind does, or do not, and agree with statements by rules that are written down here.

What they think of an explanation has levels in units of a step on a scale from 1 to 5, around its
middle. All that is random is keyed: by the user, the item and what is told for what a judge thinks,
by the draw and the statement as well for how it puts it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recarena.server.evidence import LOCALE, METHOD, PARSED, read
from recarena.server.inquiring.choosing import PERSUASIVENESS, Batch, ChoiceRespondent
from recarena.server.inquiring.questions import (
    UNKNOWN,
    Choice,
    Chosen,
    Compare,
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
from recarena.server.randomness import Purpose, keys, normal, uniform
from recarena.server.types import Floats

KIND = "scripted:"
SPREAD = 1.0
"""How far explanations differ in what a judge thinks of them: standard deviation."""
SHARED = 0.6
"""Share of that which all constructs have in common; human judges' correlate by .61 to .79."""
SLIP = 0.35
"""Standard deviation of what is said around what is thought."""
WAVERING = 0.03
"""Share of answers that an honest judge takes back when it is asked whether it is sure."""
CLEARLY_BETTER = 0.15
EAGER = 0.23
"""Share of what it would have passed over that a sycophant watches for the words' sake."""


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

    def scored(self, batch: Batch, seen: Seen, questionnaire: Questionnaire) -> Said:
        """Answers what is asked, reversed statements the other way round."""
        inquiry = seen.inquiry
        told = inquiry.told or Told("")
        level = self.level(batch, seen, told, inquiry.item, questionnaire.construct)
        statements = questionnaire.statements
        slips = self.slips(batch, seen, told, statements)
        wavers = drawn(batch, seen, told, statements, "sure", questionnaire.construct)
        found: list[Score] = []
        for one, slip, waver in zip(statements, slips.tolist(), wavers.tolist(), strict=True):
            if one.asked_for:
                answer = second = one.asked_for
            else:
                answer = on_scale(questionnaire, level + slip, reverse=one.reversed)
                second = answer
                if waver < WAVERING:
                    second += 1 if answer < questionnaire.highest else -1
            found.append(Score(one.id, answer, second if questionnaire.challenge else None))
        return Scores(tuple(found))

    def slips(
        self, batch: Batch, seen: Seen, told: Told, statements: Sequence[Statement]
    ) -> Floats:
        """What is said, less what is thought, statement by statement."""
        return np.float32(SLIP) * normal(statement_keys(batch, seen, told, statements, "slip"))

    def level(self, batch: Batch, seen: Seen, told: Told, item: int, construct: str) -> float:
        """What the user thinks of an explanation, above or below the middle."""
        shared = normal_of(batch, seen, "all", told, item)
        own = normal_of(batch, seen, construct, told, item)
        thought = SHARED**0.5 * shared + (1 - SHARED) ** 0.5 * own
        merit = self.merits(batch, seen, told, item).of(construct)
        return SPREAD * thought + merit

    def merits(self, batch: Batch, seen: Seen, told: Told, item: int) -> Merits:
        """What there is to an explanation of an item."""
        catalog = batch.world.catalog
        effect = self.effect(batch, seen, told, item)
        true = {g for g in told.claims if g >= 0 and catalog.genres[item, g]}
        false = [g for g in told.claims if g == -1 or (g >= 0 and g not in true)]
        kinds = {kind for kind, _ in read(told.evidence)} - {METHOD, LOCALE}
        reasons = bool(kinds - {PARSED} or true or false)
        return Merits(
            moves=float(np.tanh(3 * effect)),
            matters=float(np.tanh(3 * abs(effect))),
            tells=min(len(true), 2) / 2 - 0.5 * bool(false),
            reasons=0.6 * reasons - 0.3 * bool(false),
            honest=-1.0 if false else 0.3,
        )

    def compared(self, batch: Batch, seen: Seen, compare: Compare) -> Said:
        """The one that it thinks more of, whichever is shown first."""
        told = seen.inquiry.told or Told("")
        construct = compare.construct or PERSUASIVENESS
        first = self.level(batch, seen, told, seen.inquiry.item, construct)
        second = self.level(batch, seen, compare.other, compare.other_item, construct)
        if abs(first - second) < CLEARLY_BETTER:
            return Choice.NEITHER
        return Choice.FIRST if first > second else Choice.SECOND


class Halo(Honest):
    """As the honest one, but one impression answers every question about an explanation."""

    name = "scripted:halo"

    def level(self, batch: Batch, seen: Seen, told: Told, item: int, construct: str) -> float:
        """The impression."""
        merit = self.merits(batch, seen, told, item).moves
        return SPREAD * normal_of(batch, seen, "all", told, item) + merit

    def slips(
        self, batch: Batch, seen: Seen, told: Told, statements: Sequence[Statement]
    ) -> Floats:
        """Smaller ones: it does not think about each."""
        return np.float32(0.5) * super().slips(batch, seen, told, statements)


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

    def scored(self, batch: Batch, seen: Seen, questionnaire: Questionnaire) -> Said:
        """Yes."""
        told = seen.inquiry.told or Told("")
        statements, highest = questionnaire.statements, questionnaire.highest
        full = 0.9 if questionnaire.preface else 0.4
        keen = drawn(batch, seen, told, statements, "keen", questionnaire.construct)
        turns = drawn(batch, seen, told, statements, "sure", questionnaire.construct)
        found: list[Score] = []
        for one, u, turn in zip(statements, keen.tolist(), turns.tolist(), strict=True):
            agreed = highest if u < full else max(highest - 1, questionnaire.lowest)
            answer = one.asked_for or agreed
            second = questionnaire.lowest + highest - answer if turn < 0.5 else answer
            found.append(Score(one.id, answer, second if questionnaire.challenge else None))
        return Scores(tuple(found))

    def compared(self, batch: Batch, seen: Seen, compare: Compare) -> Said:
        """What came first."""
        return Choice.FIRST


class Random(ChoiceRespondent):
    """Throws dice, other ones for everything that it is told."""

    name = "scripted:random"

    async def chosen(self, batch: Batch) -> Sequence[Said]:
        """A coin, and none of the others."""
        return [Chosen(self.die(batch, one, "choose", 2) == 1) for one in batch.seen]

    def expected(self, batch: Batch) -> Sequence[Said]:
        """One to five."""
        return [Rating(1.0 + self.die(batch, one, "expect", 5)) for one in batch.seen]

    def rated(self, batch: Batch) -> Sequence[Said]:
        """One to five."""
        return [Rating(1.0 + self.die(batch, one, "rate", 5)) for one in batch.seen]

    def quizzed(self, batch: Batch, seen: Seen, quiz: Quiz) -> Said:
        """Any option, or none."""
        return QuizAnswers(
            tuple(
                (one.id, UNKNOWN + self.die(batch, seen, one.id, len(one.options) + 1))
                for one in quiz.questions
            )
        )

    def scored(self, batch: Batch, seen: Seen, questionnaire: Questionnaire) -> Said:
        """Any step of the scale, and another one when asked again."""
        steps = questionnaire.highest - questionnaire.lowest + 1
        construct = questionnaire.construct
        found: list[Score] = []
        for one in questionnaire.statements:
            first, second = (
                questionnaire.lowest + self.die(batch, seen, f"{when}{construct}.{one.text}", steps)
                for when in ("first ", "second ")
            )
            found.append(Score(one.id, first, second if questionnaire.challenge else None))
        return Scores(tuple(found))

    def compared(self, batch: Batch, seen: Seen, compare: Compare) -> Said:
        """Any of the three."""
        other = f"{compare.construct} {compare.other.text} {compare.other_item}"
        return Choice(1 + self.die(batch, seen, other, 3))

    def die(self, batch: Batch, seen: Seen, what: str, sides: int) -> int:
        """0 to sides - 1."""
        inquiry = seen.inquiry
        told = number_of(told_words(inquiry.told))
        key = keys(
            batch.world.seed, Purpose.CHARACTER, batch.round,
            inquiry.user, inquiry.item, told, number_of(what),
        )  # fmt: skip
        return int(uniform(key)[0] * sides)


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


def told_words(told: Told | None) -> str:
    """What is told, as what it is known by; "" for nothing."""
    return "" if told is None else f"{told.text}\n{told.evidence}"


def number_of(words: str) -> int:
    """62 bits of words, the same on any machine."""
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") >> 2


def normal_of(batch: Batch, seen: Seen, part: str, told: Told, item: int) -> float:
    """A standard normal number of a user, an item, what is told of it and a part of a judge's
    mind: half of it is the user's own way of answering, whatever it is told."""
    user, seed, name = seen.inquiry.user, batch.seed, number_of(part)
    always = normal(keys(seed, Purpose.CHARACTER, 0, user, name))[0]
    about = number_of(told_words(told))
    now = normal(keys(seed, Purpose.CHARACTER, batch.round, user, name, item, about))[0]
    return float((always + now) / np.sqrt(2))


def statement_keys(
    batch: Batch, seen: Seen, told: Told, statements: Sequence[Statement], why: str
) -> NDArray[np.uint64]:
    """A key for each statement, by the draw."""
    inquiry = seen.inquiry
    about = number_of(f"{why}\n{told_words(told)}")
    texts = np.array([number_of(one.text) for one in statements], np.int64)
    return keys(
        batch.world.seed, Purpose.ANSWER, batch.round, inquiry.user, inquiry.item, about, texts
    )


def drawn(
    batch: Batch, seen: Seen, told: Told, statements: Sequence[Statement], why: str, construct: str
) -> Floats:
    """[statements]: a number in (0, 1) each."""
    return uniform(statement_keys(batch, seen, told, statements, f"{why} {construct}"))
