"""Recommenders, methods and conditions against one another: by what users did, and by what judges
said when they were shown two explanations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from recarena.evaluation.judging.answers import Answers
from recarena.evaluation.judging.contrasts import users_of
from recarena.evaluation.judging.estimates import (
    CONFIDENCE,
    Estimate,
    number,
    over_users,
)
from recarena.evaluation.judging.replies import Asked, Reply
from recarena.evaluation.statistics.bradley_terry import Strength, bradley_terry
from recarena.evaluation.statistics.multiplicity import holm_adjusted
from recarena.evaluation.statistics.worlds import (
    NAN,
    Interval,
    paired_difference,
    paired_p_value,
)
from recarena.evaluation.stimuli.triples import Triple

ALPHA = 0.05
ByName = Mapping[str, Mapping[str, float]]
"""Each one's means by user."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two that are compared over the users who have both."""

    a: str
    b: str
    difference: Interval
    """a - b; its `worlds` are users."""
    p_value: float
    """Of the paired t test; NaN with fewer than two users."""
    adjusted_p: float
    """After Holm over all pairs."""

    @property
    def leader(self) -> str | None:
        """Who is ahead; None where they cannot be told apart."""
        if self.adjusted_p > ALPHA or not self.difference.mean:
            return None
        return self.a if self.difference.mean > 0 else self.b

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "a": self.a, "b": self.b, "users": self.difference.worlds,
            "difference": number(self.difference.mean), "low": number(self.difference.low),
            "high": number(self.difference.high), "p_value": number(self.p_value),
            "adjusted_p": number(self.adjusted_p), "leader": self.leader,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where one stands among those compared, best first by its mean."""

    name: str
    first: int
    """1 + the number of those that are separated from it above."""
    last: int
    """The number of all, less those that are separated from it below."""
    mean: float

    @property
    def words(self) -> str:
        """`1`, or `1-3` where it is open."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "name": self.name, "place": self.words, "first": self.first, "last": self.last,
            "mean": number(self.mean),
        }  # fmt: skip


def pairs(tables: Mapping[str, ByName]) -> dict[str, tuple[Pair, ...]]:
    """All pairs in each of the tables, Holm's test being over all pairs of all tables."""
    bare = [(key, *_compared(a, b, by_name)) for key, by_name in tables.items()
            for a, b in combinations(by_name, 2)]  # fmt: skip
    adjusted = holm_adjusted([p for *_, p in bare])
    found: dict[str, list[Pair]] = {key: [] for key in tables}
    for (key, a, b, gap, p), q in zip(bare, adjusted, strict=True):
        found[key].append(Pair(a, b, gap, p, q))
    return {key: tuple(each) for key, each in found.items()}


def _compared(a: str, b: str, by_name: ByName) -> tuple[str, str, Interval, float]:
    common = sorted(by_name[a].keys() & by_name[b].keys())
    of_a, of_b = ([by_name[one][user] for user in common] for one in (a, b))
    p_value = paired_p_value(of_a, of_b) if len(common) > 1 else NAN
    return a, b, paired_difference(of_a, of_b, CONFIDENCE), p_value


def places(by_name: ByName, found: Iterable[Pair]) -> tuple[Place, ...]:
    """Best first; those without a value are left out."""
    leaders = [(one.leader, one.a, one.b) for one in found]
    having = {name: math.fsum(values.values()) / len(values)
              for name, values in by_name.items() if values}  # fmt: skip

    def place(name: str, mean: float) -> Place:
        mine = [leader for leader, a, b in leaders if name in (a, b)]
        above = sum(leader not in (None, name) for leader in mine)
        return Place(name, 1 + above, len(having) - mine.count(name), mean)

    return tuple(place(*one) for one in sorted(having.items(), key=lambda one: (-one[1], one[0])))


@dataclass(frozen=True, slots=True)
class Duel:
    """Two kinds of explanations that a judge was shown together."""

    a: str
    b: str
    share: Estimate
    """Of comparisons that a won, ties counting one half."""
    won: int
    lost: int
    ties: int
    """Neither in both orders, or not the same in both."""
    inconsistent: int
    """Of the ties: those in which the order decided."""

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "a": self.a, "b": self.b, "share_of_a": self.share.as_json(), "won": self.won,
            "lost": self.lost, "ties": self.ties, "inconsistent": self.inconsistent,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """All comparisons of one judge on one construct."""

    construct: str
    duels: tuple[Duel, ...]
    first_shown: float
    """Share of preferences for what was shown first; NaN where none was stated."""
    preferences: int
    incomplete: int
    """Comparisons without an answer in one of the orders: left out."""
    strengths: Mapping[str, Strength]
    """Bradley-Terry, users in the place of worlds."""

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "construct": self.construct,
            "duels": [one.as_json() for one in self.duels],
            "first_shown": number(self.first_shown), "preferences": self.preferences,
            "incomplete": self.incomplete,
            "strengths": {
                name: {"strength": number(one.interval.mean), "low": number(one.interval.low),
                       "high": number(one.interval.high), "wins": number(one.wins),
                       "comparisons": one.comparisons, "reason": one.interval.reason}
                for name, one in self.strengths.items()
            },
        }  # fmt: skip


@dataclass(slots=True)
class _Bout:
    """One comparison, in both orders."""

    triple: str
    a: str
    b: str
    by_order: dict[int, float | None] = field(default_factory=dict[int, "float | None"])

    @property
    def complete(self) -> bool:
        return all(self.by_order.get(order) is not None for order in (0, 1))

    @property
    def outcome(self) -> float:
        """1, 1/2 or 0 for a; an outcome that the order decided is a tie."""
        one, other = self.by_order[0], self.by_order[1]
        return 0.5 if one is None or one != other else (one + 1) / 2


def judged(answers: Answers, triples: Sequence[Triple]) -> tuple[Judged, ...]:
    """By construct, in the order of names. Explanations of the same item are named after their
    conditions, those of two triples after their methods, or recommenders where those are alike."""
    by_id = {one.id: one for one in triples}
    replies = [one for one in answers.replies if one.asked == Asked.COMPARE and one.triple in by_id
               and (not one.other_triple or one.other_triple in by_id)]  # fmt: skip
    return tuple(
        _judged(construct, [one for one in replies if one.construct == construct], by_id)
        for construct in sorted({one.construct for one in replies})
    )


def _judged(construct: str, replies: Sequence[Reply], by_id: Mapping[str, Triple]) -> Judged:
    bouts: dict[tuple[str, ...], _Bout] = {}
    for one in replies:
        a, b = _names(one, by_id)
        key = (one.triple, one.other_triple, one.condition, one.other_condition, str(one.draw))
        bouts.setdefault(key, _Bout(one.triple, a, b)).by_order[one.order] = one.value
    stated = [one for one in replies if one.value]
    first = sum((one.value or 0) * (1 if one.order == 0 else -1) > 0 for one in stated)
    whole = [one for one in bouts.values() if one.complete]
    return Judged(
        construct=construct,
        duels=_duels(whole, by_id),
        first_shown=first / len(stated) if stated else NAN,
        preferences=len(stated),
        incomplete=len(bouts) - len(whole),
        strengths=_strengths(whole, by_id),
    )


def _names(one: Reply, by_id: Mapping[str, Triple]) -> tuple[str, str]:
    if not one.other_triple or one.other_triple == one.triple:
        return one.condition, one.other_condition
    left, right = by_id[one.triple], by_id[one.other_triple]
    a, b = left.method, right.method
    if a == b:
        a, b = left.recommender, right.recommender
    if one.condition == one.other_condition:
        return a, b
    return f"{a} ({one.condition})", f"{b} ({one.other_condition})"


def _duels(bouts: Sequence[_Bout], by_id: Mapping[str, Triple]) -> tuple[Duel, ...]:
    names = sorted({tuple(sorted((one.a, one.b))) for one in bouts if one.a != one.b})
    found: list[Duel] = []
    for a, b in names:
        outcomes: dict[str, list[float]] = {}
        mine = [one for one in bouts if {one.a, one.b} == {a, b}]
        for one in mine:
            outcome = one.outcome if one.a == a else 1 - one.outcome
            outcomes.setdefault(one.triple, []).append(outcome)
        every = [outcome for each in outcomes.values() for outcome in each]
        shares = {triple: sum(each) / len(each) for triple, each in outcomes.items()}
        users = users_of(by_id[triple] for triple in shares)
        found.append(Duel(
            a=a, b=b, share=over_users(shares, users, len(shares)), won=every.count(1.0),
            lost=every.count(0.0), ties=every.count(0.5),
            inconsistent=sum(one.by_order[0] != one.by_order[1] for one in mine),
        ))  # fmt: skip
    return tuple(found)


def _strengths(bouts: Sequence[_Bout], by_id: Mapping[str, Triple]) -> dict[str, Strength]:
    """A user's order of kinds is that of the shares of its comparisons that they won."""
    won: dict[tuple[str, str], list[float]] = {}
    user_of = users_of(by_id.values())
    for one in bouts:
        if one.a != one.b:
            user = user_of[one.triple]
            won.setdefault((one.a, user), []).append(one.outcome)
            won.setdefault((one.b, user), []).append(1 - one.outcome)
    names = sorted({name for name, _ in won})
    users = sorted({user for _, user in won})
    if not names:
        return {}
    values = np.array(
        [[sum(each) / len(each) if (each := won.get((name, user))) else NAN for user in users]
         for name in names], np.float64,
    )  # fmt: skip
    return dict(zip(names, bradley_terry(values), strict=True))
