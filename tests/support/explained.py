"""Made-up studies of explanations whose judges are of known character.

Two recommenders: FAITHFUL says what is true of the item, CHATTY says a lot and nothing. What moves
whom, and by how much, is in `Effects`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.replies import Asked, Probe, Reply
from recarena.evaluation.questionnaires.form import Construct, Item, Questionnaire
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.faithfulness import Claims
from recarena.evaluation.stimuli.triples import Triple, Words

FAITHFUL, CHATTY = "faithful", "chatty"
HONEST, SYCOPHANT, HALO, RANDOM = (
    f"scripted:{one}" for one in ("honest", "sycophant", "halo", "random")
)
JUDGES = (HONEST, SYCOPHANT, HALO, RANDOM)
REAL, PLACEBO, NONE = Condition.REAL, Condition.PLACEBO, Condition.NONE
SHUFFLED, HYPE, FALSE = Condition.SHUFFLED, Condition.HYPE, Condition.FALSE_FACT


def questionnaire() -> Questionnaire:
    """Two constructs of two forward items and a reversed one, in two wordings, and a check."""
    constructs = ("persuasiveness", "transparency")
    items = tuple(
        Item(f"{construct}-{number}", construct, number == 3,
             (f"{construct} {number} first", f"{construct} {number} second"))
        for construct in constructs for number in (1, 2, 3)
    )  # fmt: skip
    check = Item("check", "", False, ("Please answer 2", "Please choose 2"), asked_for=2)
    return Questionnaire(
        "made-up", "1", "Made up", "nowhere", None, 1, 5,
        ("no", "rather no", "neither", "rather yes", "yes"),
        tuple(Construct(one, one.title(), "nowhere") for one in constructs), (*items, check), "0",
    )  # fmt: skip


@dataclass(frozen=True)
class Effects:
    """By how much the chance to watch moves."""

    true_words: float = 0.25
    """For what is true of the item and fits the user."""
    anothers: float = 0.10
    """For what was said to another user."""
    false_words: float = -0.10
    praise: float = 0.0
    any_words: Mapping[str, float] = field(default_factory=lambda: {FAITHFUL: 0.15, CHATTY: 0.35})
    """What any words do to a sycophant: CHATTY's are longer, and so are their placebos."""


@dataclass(frozen=True)
class Study:
    """How large a study is, and who is in it."""

    users: int = 40
    per_user: int = 2
    draws: int = 5
    repeats: int = 2
    effects: Effects = Effects()
    statements: bool = True
    seed: int = 1


def triples(study: Study) -> list[Triple]:
    """As many for both recommenders, of the same users; every fourth item is bad."""
    found: list[Triple] = []
    for user in range(study.users):
        for at in range(study.per_user):
            for name in (FAITHFUL, CHATTY):
                number = len(found)
                claim = (("feature", "genre=Comedy"),) if name == FAITHFUL else ()
                found.append(Triple(
                    f"t{number:04}", f"run-{name}", name, f"u{user}", f"i{at}", 1, 0, 0,
                    Words("A comedy." if claim else "Just for you.", claim), number % 4 < 2,
                    world="made-up",
                ))  # fmt: skip
    return found


def material(*judges: str, study: Study | None = None) -> Material:
    """A study in which these judges replied."""
    study = study or Study()
    made = triples(study)
    claims: dict[tuple[str, str], Claims] = {
        (one.id, REAL): Claims(1, 1, 1) if one.recommender == FAITHFUL else Claims(0, 0, 0)
        for one in made
    }
    sheet = questionnaire() if study.statements else None
    replies = [one for judge in judges for one in judged(judge, made, study, sheet)]
    return Material(made, replies, sheet, claims, "made-up")


def judged(
    judge: str, made: list[Triple], study: Study, sheet: Questionnaire | None
) -> Iterator[Reply]:
    """All that one judge replies."""
    dice = np.random.default_rng((study.seed, JUDGES.index(judge)))
    for one in made:
        yield from _behaviour(judge, one, study, dice)
    for one in made if sheet else ():
        for condition in (REAL, PLACEBO, SHUFFLED, HYPE):
            assert sheet
            yield from _statements(judge, one, condition, study, sheet, dice)


def effect(judge: str, triple: Triple, condition: Condition, effects: Effects) -> float:
    """What a judge is moved by."""
    true = effects.true_words if triple.recommender == FAITHFUL else 0.0
    own = {REAL: true, SHUFFLED: effects.anothers if true else 0.0, HYPE: effects.praise,
           FALSE: effects.false_words if true else 0.0}.get(condition, 0.0)  # fmt: skip
    if judge != SYCOPHANT:
        return own
    words = 0.0 if condition == NONE else effects.any_words[triple.recommender]
    return words + own / 5


def _behaviour(judge: str, one: Triple, study: Study, dice: np.random.Generator) -> Iterator[Reply]:
    blank = Reply(judge, one.id, "", "", None)
    quality = float(dice.integers(2, 5))
    for draw in range(study.draws):
        u, mood = dice.random(), float(dice.integers(-1, 2))
        yield blank._replace(condition=NONE, asked=Asked.RATE, value=quality, draw=draw)
        for condition in Condition:
            moved = effect(judge, one, condition, study.effects)
            told = blank._replace(condition=condition, draw=draw)
            if judge == RANDOM:
                u, mood = dice.random(), float(dice.integers(-1, 2))
                moved = 0.0
            yield told._replace(asked=Asked.CHOOSE, value=float(u < 0.35 + moved))
            more = float(judge == SYCOPHANT and condition != NONE)
            off = 0.0 if condition == REAL and judge != RANDOM else mood
            expected = min(max(quality + off + more, 1.0), 5.0)
            yield told._replace(asked=Asked.EXPECT, value=expected)
    for condition in (NONE, REAL, PLACEBO):
        told = blank._replace(condition=condition, asked=Asked.QUIZ, item="genre-1")
        knows = 0.8 if condition == REAL and one.recommender == FAITHFUL else 0.3
        right = dice.random() < (0.25 if judge == RANDOM else knows)
        said = "Comedy" if right else ("unknown" if dice.random() < 0.5 else "Drama")
        yield told._replace(value=float(right), said=said)


def _statements(
    judge: str, one: Triple, condition: Condition, study: Study, sheet: Questionnaire,
    dice: np.random.Generator,
) -> Iterator[Reply]:  # fmt: skip
    shared = dice.normal()
    merit = 0.5 * (condition == REAL) * (one.recommender == FAITHFUL)
    for construct in sheet.constructs:
        level = 0.77 * shared + 0.63 * dice.normal() + merit
        level = shared + merit if judge == HALO else level
        for draw in range(study.repeats):
            for wording in (0, 1):
                blank = Reply(judge, one.id, condition, Asked.STATEMENT, None, draw=draw,
                              wording=wording, construct=construct.id)  # fmt: skip
                probed = condition == REAL and not draw and not wording
                items = (*sheet.of(construct.id), *(sheet.checks if not draw else ()))
                for item in items:
                    plain = _answer(judge, item, level, dice)
                    first = blank._replace(item=item.id, value=plain)
                    yield first
                    if not probed:
                        continue
                    turns = dice.random() < {SYCOPHANT: 0.5, RANDOM: 0.8}.get(judge, 0.03)
                    second = 6 - plain if turns and plain != 3 else plain
                    yield first._replace(probe=Probe.CHALLENGE, value=second)
                    if not item.asked_for:
                        kinder = _answer(judge, item, level, dice, tagged=True)
                        yield first._replace(probe=Probe.AUTHORSHIP, value=kinder)


def _answer(
    judge: str, item: Item, level: float, dice: np.random.Generator, *, tagged: bool = False
) -> float:
    if judge == RANDOM:
        return float(dice.integers(1, 6))
    if item.asked_for:
        return float(item.asked_for)
    if judge == SYCOPHANT:
        return 5.0 if tagged or dice.random() < 0.4 else 4.0
    slip = dice.normal() * (0.15 if judge == HALO else 0.35)
    answer = float(min(max(round(3 + level + slip), 1), 5))
    return 6 - answer if item.reversed else answer
