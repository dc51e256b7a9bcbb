"""Recommenders compared over mirrored worlds: each played its own copy of every world."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recarena.evaluation.leaderboard.comparing import (
    PRIMARY_ROLE,
    Comparison,
    WorldKey,
    better_of,
    checked_primaries,
    compare,
    compare_at_any_look,
    in_common,
)
from recarena.evaluation.leaderboard.gate import Gate, Verdict
from recarena.evaluation.metrics.measures import METRICS, PRIMARY, measure_all
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.runs.steered import remarks
from recarena.evaluation.runs.thinking import Thinking, thinking_of, together
from recarena.evaluation.runs.twins import twins
from recarena.evaluation.statistics.bootstrap import RankInterval, rank_intervals
from recarena.evaluation.statistics.bradley_terry import Strength, bradley_terry
from recarena.evaluation.statistics.stopping import StoppingRule
from recarena.evaluation.statistics.worlds import Interval, world_interval

NAN = float("nan")
CONFIDENCE = 0.95
SEED = 1
"""Of resampling, where none is given."""
MIND = ("kind", "provider", "model", "strategy")
"""What makes two minds the same."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """What is known of a recommender beside its runs."""

    version: str = ""
    submissions: int | None = None
    """How often it was handed in; None where nobody counts."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recommender stands by one primary metric."""

    first: int
    """1 + the number of recommenders that are separated from it above."""
    last: int
    """The number of recommenders, less those that are separated from it below."""
    tied_with: tuple[str, ...]
    """Recommenders from which it is not separated."""
    rank: RankInterval | None
    """Ranks that it might have in other worlds; None where it shares two with nobody."""
    strength: Strength
    """Bradley-Terry, from who was better in which world: a second display."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recommender's results."""

    recommender: str
    primary: str
    """The metric that rows are sorted by, the first of the leaderboard's primaries."""
    places: Mapping[str, Place]
    """By name of the primary."""
    worlds: int
    users: int
    """User lives over all worlds: users in a world, summed."""
    rounds: int
    """Rounds over all worlds."""
    intervals: Mapping[str, Interval]
    """By name of the metric, one for each of METRICS."""
    measured: Mapping[WorldKey, Mapping[str, float]]
    """By world: every one of METRICS."""
    verdict: Verdict | None = None
    """Of the operations gate; None where there is none."""
    thinking: Thinking | None = None
    """What LLM minds cost in its runs; None where no user had one, or where it shared its runs
    with other recommenders."""
    entrant: Entrant = Entrant()

    @property
    def place(self) -> Place:
        """By the first primary."""
        return self.places[self.primary]

    @property
    def first_place(self) -> int:
        """The best place that it may have."""
        return self.place.first

    @property
    def last_place(self) -> int:
        """The worst place that it may have."""
        return self.place.last

    @property
    def tied_with(self) -> tuple[str, ...]:
        """Recommenders from which it is not separated on the first primary."""
        return self.place.tied_with

    @property
    def by_world(self) -> dict[WorldKey, float]:
        """The first primary in each world."""
        return {world: values[self.primary] for world, values in self.measured.items()}

    @property
    def tied(self) -> bool:
        """Whether its place is open."""
        return self.first_place != self.last_place


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Rows, best first by the first primary metric, and what the result rests on."""

    rows: tuple[Row, ...]
    minds: tuple[Mapping[str, Any], ...]
    """The distinct minds that decided for the users."""
    worlds: tuple[str, ...]
    """The distinct names of the worlds."""
    played: tuple[WorldKey, ...]
    """The distinct worlds."""
    warnings: tuple[str, ...]
    """What makes the comparison less than it should be."""
    thinking: Thinking | None = None
    """What LLM minds cost in all runs together; None where no user had one."""
    twins: tuple[tuple[str, ...], ...] = ()
    """Recommenders between which users saw no difference at all."""
    primaries: tuple[str, ...] = (PRIMARY.name,)
    """Metrics that were stated beforehand; every other is exploratory."""
    comparisons: tuple[Comparison, ...] = ()
    """All pairs on all metrics."""
    gate: Gate | None = None
    seed: int = SEED
    """Of resampling."""
    rule: StoppingRule | None = None
    """By which it could end early; None: all worlds were played whatever came out."""
    by_people: int = 0
    """User-rounds in the figures that people played."""

    @property
    def caveat(self) -> str:
        """Who the users were, and what the result holds under."""
        who = " and ".join(dict.fromkeys(_who(mind, self.by_people == 0) for mind in self.minds))
        if self.by_people:
            who += f"; people played {self.by_people:,} of their rounds"
        kinds = ", ".join(dict.fromkeys(str(mind.get("kind", "unknown")) for mind in self.minds))
        where = ", ".join(self.worlds[:3])
        more = len(self.worlds) - 3
        if more > 0:
            where += f" and {more} more"
        return f"Users are simulated by {who}. Under mind {kinds}, world {where}."


@dataclass(slots=True)
class _Played:
    """What one recommender did, as it is gathered."""

    values: dict[WorldKey, list[dict[str, float]]] = field(
        default_factory=dict[WorldKey, list[dict[str, float]]]
    )
    users: int = 0
    rounds: int = 0
    logs: list[RunLog] = field(default_factory=list[RunLog])


def build(
    logs: Iterable[RunLog],
    primary: str | Sequence[str] = PRIMARY.name,
    gate: Gate | None = None,
    seed: int = SEED,
    entrants: Mapping[str, Entrant] | None = None,
) -> Leaderboard:
    """The leaderboard of these runs, grouped by recommender and paired by world.

    A recommender that played a world more than once has the mean of its runs there. Places are
    open (tied) between recommenders whose paired difference on the primary metric may be 0, at
    95 % over all pairs and primaries together (Holm); what is exploratory is adjusted by Benjamini
    and Hochberg. The gate judges means over worlds; one without limits is none. The seed is that
    of resampling: the same runs and seed give the same leaderboard. ValueError without a run, or
    for a primary that `checked_primaries` refuses.
    """
    primaries = checked_primaries(primary)
    gate = gate if gate and gate.has_limits else None
    logs = list(logs)
    if not logs:
        raise ValueError("a leaderboard needs at least one run")
    played = _played(logs)
    measured = {
        name: {world: _mean_of(runs) for world, runs in one.values.items()}
        for name, one in sorted(played.items())
    }
    comparisons = compare(measured, primaries, CONFIDENCE)
    places = {name: _places(measured, name, comparisons, seed) for name in primaries}
    rows = [
        _row(name, played[name], worlds, {metric: places[metric][name] for metric in primaries},
             gate, (entrants or {}).get(name, Entrant()))
        for name, worlds in measured.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (_order(row.intervals[primaries[0]].mean, primaries[0]),
                               row.recommender))  # fmt: skip
    minds = {json.dumps(dict(log.mind), sort_keys=True): log.mind for log in logs}
    return Leaderboard(
        rows=tuple(rows),
        minds=tuple(minds.values()),
        worlds=tuple(dict.fromkeys(log.world for log in logs)),
        played=tuple(sorted({world for worlds in measured.values() for world in worlds})),
        warnings=tuple(_warnings(logs, measured)),
        by_people=sum(len(log.steering.user) for log in logs if log.with_people),
        thinking=_thinking(logs),
        twins=twins(logs),
        primaries=primaries,
        comparisons=comparisons,
        gate=gate,
        seed=seed,
    )


def looked_at(board: Leaderboard, rule: StoppingRule) -> Leaderboard:
    """The same where the competition could end after any world: places rest on the confidence
    sequence, which holds however often one looked, and not on Holm's test, which would not."""
    measured = {row.recommender: row.measured for row in board.rows}
    primary = compare_at_any_look(measured, board.primaries, rule)
    others = tuple(one for one in board.comparisons if one.role != PRIMARY_ROLE)

    def moved(row: Row) -> Row:
        places = {
            metric: replace(place, **_standing(row.recommender, metric, primary, len(board.rows)))
            for metric, place in row.places.items()
        }
        return replace(row, places=places)

    return replace(
        board, rows=tuple(map(moved, board.rows)), comparisons=(*primary, *others), rule=rule
    )


def _played(logs: Iterable[RunLog]) -> dict[str, _Played]:
    played: dict[str, _Played] = {}
    for log in logs:
        world = WorldKey(log.world, log.seed, len(log.user_ids), len(log.item_ids))
        for arm in log.arms:
            one = played.setdefault(arm.recommender, _Played())
            one.values.setdefault(world, []).append(measure_all(log, arm.arm_id))
            one.users += int(log.users_of(arm.arm_id).sum())
            one.rounds += log.rounds
            one.logs.append(log)
    return played


def _row(
    name: str,
    played: _Played,
    measured: Mapping[WorldKey, Mapping[str, float]],
    places: Mapping[str, Place],
    gate: Gate | None,
    entrant: Entrant,
) -> Row:
    intervals = {
        metric.name: world_interval(
            [values[metric.name] for values in measured.values()], CONFIDENCE
        )
        for metric in METRICS
    }
    alone = all(len(log.arms) == 1 for log in played.logs)
    return Row(
        recommender=name,
        primary=next(iter(places)),
        places=places,
        worlds=len(measured),
        users=played.users,
        rounds=played.rounds,
        intervals=intervals,
        measured=measured,
        verdict=gate.judge({name: one.mean for name, one in intervals.items()}) if gate else None,
        thinking=_thinking(played.logs) if alone else None,
        entrant=entrant,
    )


def _places(
    measured: Mapping[str, Mapping[WorldKey, Mapping[str, float]]],
    metric: str,
    comparisons: Iterable[Comparison],
    seed: int,
) -> dict[str, Place]:
    """By recommender."""
    values = in_common(measured, metric)
    ranks = rank_intervals(values, seed, CONFIDENCE)
    strengths = bradley_terry(values, CONFIDENCE)
    return {
        name: Place(
            rank=rank, strength=strength, **_standing(name, metric, comparisons, len(measured))
        )
        for name, rank, strength in zip(measured, ranks, strengths, strict=True)
    }


def _standing(
    name: str, metric: str, comparisons: Iterable[Comparison], recommenders: int
) -> dict[str, Any]:
    """`first`, `last` and `tied_with` of a place."""
    of_it = [
        one
        for one in comparisons
        if (one.metric, one.role) == (metric, PRIMARY_ROLE) and name in (one.a, one.b)
    ]
    return {
        "first": 1 + sum(one.leader not in (None, name) for one in of_it),
        "last": recommenders - sum(one.leader == name for one in of_it),
        "tied_with": tuple(one.other(name) for one in of_it if one.leader is None),
    }


def _thinking(logs: Iterable[RunLog]) -> Thinking | None:
    return together(thinking_of(log.path, log.manifest, log.rounds) for log in logs)


def _mean_of(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Metric by metric the mean over a recommender's runs of one world, where they have one."""
    means: dict[str, float] = {}
    for metric in METRICS:
        finite = [run[metric.name] for run in runs if math.isfinite(run[metric.name])]
        means[metric.name] = sum(finite) / len(finite) if finite else NAN
    return means


def _order(value: float, metric: str) -> float:
    """Ascending from the best; those without a value are last."""
    return math.inf if math.isnan(value) else -value * better_of(metric)


def _warnings(
    logs: Sequence[RunLog], measured: Mapping[str, Mapping[WorldKey, object]]
) -> Iterator[str]:
    worlds = {world for played in measured.values() for world in played}
    if len(worlds) == 1:
        yield "One world has no interval: no places can be told apart; play at least two."
    missing = [name for name, played in measured.items() if len(played) < len(worlds)]
    if missing:
        yield (
            f"Not every world was played by {', '.join(missing)}: pairs are compared on the worlds "
            "that both have, means are of one's own, and nobody is called better than who has "
            "more."
        )
    minds = {tuple(log.mind.get(name) for name in MIND) for log in logs}
    if len(minds) > 1:
        yield "The users' minds differ from run to run: differences may be theirs."
    lengths = sorted({log.rounds for log in logs})
    if len(lengths) > 1:
        yield f"Runs are of unequal length, {lengths[0]} to {lengths[-1]} rounds."
    yield from remarks(logs)
    if any(len(log.arms) > 1 for log in logs):
        yield (
            "Some runs have several arms: their users influence one another across arms, "
            "which mirrored worlds avoid."
        )


def _who(mind: Mapping[str, Any], no_people: bool) -> str:
    if mind.get("is_llm"):
        return "a language model" + (": no people" if no_people else "")
    if mind.get("kind") == "choice":
        return "a choice model: no LLM" + (", no people" if no_people else "")
    if not mind:
        return "a mind that the runs do not name"
    return f"a mind of kind {mind.get('kind', 'unknown')!r}: no LLM"
