"""Who is asked which statements, in which order and words: decided before anybody is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from recarena.evaluation.questionnaires.form import Item, Questionnaire

T = TypeVar("T")

REPEATS = 3
CHECK_SHARE = 0.25
"""Share of sheets with an attention check among their statements."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one call asks: the statements of one construct, in one wording, as they are shown."""

    construct: str
    statements: tuple[tuple[str, str], ...]
    """(id of the item, text) in the order shown, an attention check perhaps among them."""
    labels_from_highest: bool
    """Whether the steps of the scale are listed from the highest."""
    wording: int
    """Number of the paraphrase, from 0."""
    repeat: int
    """From 0."""
    seed: int
    """The study's seed, from which order, labels and checks follow."""


def sheets(
    questionnaire: Questionnaire,
    triple: str,
    condition: str,
    seed: int,
    repeats: int = REPEATS,
    check_share: float = CHECK_SHARE,
) -> list[Sheet]:
    """All that a judge is asked about one explanation: one sheet for each construct, wording and
    repeat, those of the first repeat first.

    Within a repeat constructs come in random order, the wordings of one after another. Statements
    are in random order. The labels' order is a coin for each construct that is turned from sheet
    to sheet, so that half of a construct's sheets (but one where their number is odd) list the
    highest first. A share of the sheets, each by a coin of its own, has one attention check at a
    random place.

    Everything is a function of the seed, the triple, the condition, the construct, the wording and
    the repeat: asking for more repeats or other triples changes no sheet. ValueError for fewer
    than one repeat or a share outside 0..1.
    """
    if repeats < 1:
        raise ValueError(f"at least 1 repeat is asked for, not {repeats}")
    if not 0 <= check_share <= 1:
        raise ValueError(f"the share of sheets with a check is in 0..1, not {check_share}")
    found: list[Sheet] = []
    for repeat in range(repeats):
        about = (seed, triple, condition, repeat)
        names = [one.id for one in questionnaire.constructs]
        for construct in _shuffled(names, "constructs", *about):
            items = questionnaire.of(construct)
            first = _chance("labels", seed, triple, condition, construct) < 0.5
            wordings = len(items[0].texts)
            for wording in range(wordings):
                key = (*about, construct, wording)
                asked = list(items)
                if questionnaire.checks and _chance("check", *key) < check_share:
                    asked.append(_shuffled(questionnaire.checks, "which", *key)[0])
                turned = (repeat * wordings + wording) % 2 == 1
                statements = tuple(
                    (one.id, one.texts[wording % len(one.texts)])
                    for one in _by_hash(asked, "statements", *key)
                )
                found.append(Sheet(construct, statements, first != turned, wording, repeat, seed))
    return found


def _by_hash(items: Sequence[Item], *key: str | int) -> list[Item]:
    """In random order; that of the others stays as it is where one more is among them."""
    return sorted(items, key=lambda one: _number(*key, one.id))


def _shuffled(things: Sequence[T], *key: str | int) -> list[T]:
    places = sorted(range(len(things)), key=lambda at: _number(*key, at))
    return [things[at] for at in places]


def _chance(*key: str | int) -> float:
    """In [0, 1)."""
    return (_number(*key) >> 11) / 2**53


def _number(*key: str | int) -> int:
    """64 bits that the key alone decides, on any machine."""
    digest = hashlib.blake2b(json.dumps(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
