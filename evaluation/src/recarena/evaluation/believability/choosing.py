"""How well choices tell what people went on to watch from what they never did.

All measures are made for each user first, over her slates, so that a user counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.believability.asking import Answers
from recarena.evaluation.believability.card import Interval, interval, ratio_interval
from recarena.evaluation.believability.people import Rows
from recarena.evaluation.believability.slates import Draw, Slates, dice

MEASURES = ("auc", "accuracy", "precision", "recall", "f1", "lift", "true_found", "selected")


@dataclass(frozen=True)
class Choices:
    """What one mind, or one rule, chose from the slates of one condition."""

    slates: Slates
    shown: NDArray[np.bool_]
    """[repeats, users, places]"""
    selected: NDArray[np.bool_]
    """[repeats, users, places]"""
    grades: Rows
    """[users, places]: how much each item is wanted: the share of repeats in which it was chosen,
    or a rule's score. NaN: not shown."""


def of_mind(answers: Answers) -> Choices:
    """The mind's own."""
    return Choices(answers.slates, answers.shown, answers.selected, answers.grades)


def of_rule(answers: Answers, scores: Rows, seed: int) -> Choices:
    """A rule's that ranks by `scores` [users, places] and, slate by slate and repeat by repeat,
    chooses as many items as the mind did: it may not win by saying yes more or less often. Equal
    scores are chosen among by lot."""
    shown, there = answers.shown, answers.shown.any(axis=0)
    lot = dice(seed, Draw.CHANCE).random(shown.shape)
    order = np.lexsort((lot, np.broadcast_to(-scores, shown.shape), ~shown), axis=-1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(shown.shape[-1]), shown.shape), -1)
    count = answers.selected.sum(axis=-1, keepdims=True)
    return Choices(answers.slates, shown, shown & (rank < count), np.where(there, scores, np.nan))


@dataclass(frozen=True, slots=True)
class Scores:
    """Numbers of each user [users], means over slates; NaN: nothing to measure."""

    auc: Rows
    accuracy: Rows
    found: Rows
    """Items chosen that are held out; mean over repeats, like the others that count items."""
    chosen: Rows
    shown: Rows
    held_out: Rows
    true_found: Rows


def scores(several: Sequence[Choices]) -> Scores:
    """Of each user, over several slates each (one Choices a slate, the same users in all).

    - auc: of the grades: P(a held-out item is wanted more than a negative), ties count one half
      (Bamber, 1975). Answers given once are yes or no, and then it is (1 + recall - false-positive
      rate) / 2.
    - accuracy: share of the items that were chosen and held out, or neither.
    - true_found: |S and T| / |T| (RecAgent's test, Wang et al., 2023), S the |T| items of the
      highest grades; among equal grades each has the same chance.
    """
    parts = [_of_one(one) for one in several]
    return Scores(*(_mean(np.stack(column)) for column in zip(*parts, strict=True)))


def _of_one(choices: Choices) -> tuple[Rows, ...]:
    shown, selected, held = choices.shown, choices.selected, choices.slates.held_out
    repeats = shown.any(axis=-1).sum(axis=0)
    size = np.where(repeats > 0, shown.sum(axis=(0, 2)), np.nan)
    with np.errstate(invalid="ignore"):
        right = (shown & (selected == held)).sum(axis=(0, 2)) / size
        counted = [
            one.sum(axis=(0, 2)) / np.where(repeats > 0, repeats, np.nan)
            for one in (selected & held, selected, shown, shown & held)
        ]
    return (
        auc(choices.grades, held), right, *counted, top_found(choices.grades, held),
    )  # fmt: skip


def auc(grades: Rows, held_out: NDArray[np.bool_]) -> Rows:
    """[users]: share of the pairs (held out, negative) in which the first has the higher grade,
    ties one half; NaN for a user without both. Grades [users, places], NaN: not there."""
    there = ~np.isnan(grades)
    yes, no = held_out & there, ~held_out & there
    higher = (grades[:, :, None] > grades[:, None, :]) + 0.5 * (
        grades[:, :, None] == grades[:, None, :]
    )
    pairs = yes[:, :, None] & no[:, None, :]
    count = pairs.sum(axis=(1, 2))
    won = (higher * pairs).sum(axis=(1, 2))
    return np.where(count > 0, won / np.maximum(count, 1), np.nan)


def top_found(grades: Rows, held_out: NDArray[np.bool_]) -> Rows:
    """[users]: expected share of the T held-out items among the T of the highest grades."""
    there = ~np.isnan(grades)
    yes = held_out & there
    count = yes.sum(axis=1)
    higher = ((grades[:, None, :] > grades[:, :, None]) & there[:, None, :]).sum(axis=2)
    equal = ((grades[:, None, :] == grades[:, :, None]) & there[:, None, :]).sum(axis=2)
    room = np.clip(count[:, None] - higher, 0, None)
    chance = np.minimum(room / np.maximum(equal, 1), 1)
    return np.where(count > 0, (chance * yes).sum(axis=1) / np.maximum(count, 1), np.nan)


def measures(found: Scores) -> dict[str, Interval]:
    """With intervals over users: MEASURES.

    precision, recall and f1 are ratios of sums over all users; lift is precision over the share of
    held-out items on the user's slates, the mean over users who chose anything; `selected` is the
    share of shown items that was chosen.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        lift = (found.found / found.chosen) / (found.held_out / found.shown)
    lift = np.where(found.chosen > 0, lift, np.nan)
    return {
        "auc": interval(found.auc),
        "accuracy": interval(found.accuracy),
        "precision": ratio_interval(found.found, found.chosen),
        "recall": ratio_interval(found.found, found.held_out),
        "f1": ratio_interval(2 * found.found, found.chosen + found.held_out),
        "lift": interval(lift),
        "true_found": interval(found.true_found),
        "selected": ratio_interval(found.chosen, found.shown),
    }


def _mean(columns: Rows) -> Rows:
    """[users]: mean of the slates that are there."""
    there = ~np.isnan(columns)
    count = there.sum(axis=0)
    total = np.where(there, columns, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


# ------------------------------------------------------------------ where on the page


@dataclass(frozen=True)
class Places:
    """What the place on a page does, where the same slates were shown in other orders."""

    selected: Rows
    """[places]: share of the items shown there that was chosen."""
    shown: NDArray[np.int64]
    """[places]: items shown there."""
    slope: Interval
    """Change of the share with log2(place + 1), place from 1: of each user, then the mean."""
    top_to_bottom: Interval
    """Share in the first third of the places minus that in the last."""


def by_place(answers: Sequence[Answers]) -> Places:
    """Over slates of one length each shown in random orders, so that what stands where says nothing
    about what it is: differences between places are the mind's own."""
    width = max(one.slates.items.shape[1] for one in answers)
    users = len(answers[0].slates.users)
    shown, chosen = np.zeros((users, width)), np.zeros((users, width))
    for one in answers:
        repeat, user, column = np.nonzero(one.shown)
        place = one.place[repeat, user, column]
        np.add.at(shown, (user, place), 1)
        np.add.at(chosen, (user, place), one.selected[repeat, user, column])
    x = np.log2(np.arange(1, width + 1) + 1)
    total = np.maximum(shown.sum(axis=1), 1)
    mean_x = (shown * x).sum(axis=1) / total
    apart = x - mean_x[:, None]
    spread = (shown * apart**2).sum(axis=1)
    slope = np.where(
        spread > 0, (chosen * apart).sum(axis=1) / np.where(spread > 0, spread, 1), np.nan
    )
    third = max(width // 3, 1)
    ends = [_share(chosen[:, part], shown[:, part])
            for part in (slice(0, third), slice(width - third, width))]  # fmt: skip
    with np.errstate(invalid="ignore"):
        whole = chosen.sum(axis=0) / shown.sum(axis=0)
    return Places(
        whole, shown.sum(axis=0).astype(np.int64), interval(slope), interval(ends[0] - ends[1])
    )


def _share(chosen: Rows, shown: Rows) -> Rows:
    total = shown.sum(axis=1)
    return np.where(total > 0, chosen.sum(axis=1) / np.maximum(total, 1), np.nan)
