"""Recommenders compared over mirrored worlds: each played its own copy of every world."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from recarena.evaluation.metrics.measures import METRICS, PRIMARY, measure_all
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.runs.thinking import Thinking, thinking_of, together
from recarena.evaluation.runs.twins import twins
from recarena.evaluation.statistics.multiplicity import holm
from recarena.evaluation.statistics.worlds import Interval, paired_p_value, world_interval

NAN = float("nan")
CONFIDENCE = 0.95
MIND = ("kind", "provider", "model", "strategy")
"""What makes two minds the same."""


@dataclass(frozen=True, order=True, slots=True)
class WorldKey:
    """What two runs share that played copies of the same world."""

    name: str
    seed: int
    users: int
    items: int


@dataclass(frozen=True, slots=True)
class Row:
    """One recommender's results."""

    recommender: str
    first_place: int
    """1 + the number of recommenders that are separated from it above."""
    last_place: int
    """The number of recommenders, less those that are separated from it below."""
    tied_with: tuple[str, ...]
    """Recommenders from which it is not separated on the primary metric."""
    worlds: int
    users: int
    """User lives over all worlds: users in a world, summed."""
    rounds: int
    """Rounds over all worlds."""
    intervals: Mapping[str, Interval]
    """By name of the metric, one for each of METRICS."""
    measured: Mapping[WorldKey, Mapping[str, float]]
    """By world: every one of METRICS."""

    @property
    def by_world(self) -> dict[WorldKey, float]:
        """The primary metric in each world."""
        return {world: values[PRIMARY.name] for world, values in self.measured.items()}

    @property
    def tied(self) -> bool:
        """Whether its place is open."""
        return self.first_place != self.last_place


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Rows, best first by the primary metric, and what the result rests on."""

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

    @property
    def caveat(self) -> str:
        """Who the users were, and what the result holds under."""
        who = " and ".join(dict.fromkeys(_who(mind) for mind in self.minds))
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


def build(logs: Iterable[RunLog]) -> Leaderboard:
    """The leaderboard of these runs, grouped by recommender and paired by world.

    A recommender that played a world more than once has the mean of its runs there. Places are
    open (tied) between recommenders whose paired difference on the primary metric includes 0 in
    its interval, at 95 % over all pairs together (Holm). ValueError without a run.
    """
    logs = list(logs)
    if not logs:
        raise ValueError("a leaderboard needs at least one run")
    played: dict[str, _Played] = {}
    for log in logs:
        world = WorldKey(log.world, log.seed, len(log.user_ids), len(log.item_ids))
        for arm in log.arms:
            one = played.setdefault(arm.recommender, _Played())
            one.values.setdefault(world, []).append(measure_all(log, arm.arm_id))
            one.users += int(log.users_of(arm.arm_id).sum())
            one.rounds += log.rounds
    measured = {
        name: {world: _mean_of(runs) for world, runs in one.values.items()}
        for name, one in played.items()
    }
    primary = {
        name: {world: values[PRIMARY.name] for world, values in worlds.items()}
        for name, worlds in measured.items()
    }
    better = _better(primary)
    rows = [
        Row(
            recommender=name,
            first_place=1 + sum(one[1] == name for one in better),
            last_place=len(measured) - sum(one[0] == name for one in better),
            tied_with=tuple(
                other
                for other in measured
                if other != name and not {(name, other), (other, name)} & better
            ),
            worlds=len(worlds),
            users=played[name].users,
            rounds=played[name].rounds,
            intervals={
                metric.name: world_interval(
                    [values[metric.name] for values in worlds.values()], CONFIDENCE
                )
                for metric in METRICS
            },
            measured=worlds,
        )
        for name, worlds in measured.items()
    ]
    rows.sort(key=lambda row: (_descending(row.intervals[PRIMARY.name].mean), row.recommender))
    minds = {json.dumps(dict(log.mind), sort_keys=True): log.mind for log in logs}
    return Leaderboard(
        rows=tuple(rows),
        minds=tuple(minds.values()),
        worlds=tuple(dict.fromkeys(log.world for log in logs)),
        played=tuple(sorted({world for worlds in measured.values() for world in worlds})),
        warnings=tuple(_warnings(logs, measured)),
        thinking=together(thinking_of(log.path, log.manifest, log.rounds) for log in logs),
        twins=twins(logs),
    )


def _better(primary: Mapping[str, Mapping[WorldKey, float]]) -> set[tuple[str, str]]:
    """Pairs (better, worse) that are separated on the worlds that both have played."""
    pairs = list(combinations(primary, 2))
    p_values: list[float] = []
    leads: list[float] = []
    for a, b in pairs:
        common = sorted(set(primary[a]) & set(primary[b]))
        of_a, of_b = [primary[a][one] for one in common], [primary[b][one] for one in common]
        p_values.append(paired_p_value(of_a, of_b))
        leads.append(sum(x - y for x, y in zip(of_a, of_b, strict=True) if math.isfinite(x - y)))
    separated = holm(p_values, 1 - CONFIDENCE)
    return {
        (a, b) if lead > 0 else (b, a)
        for (a, b), lead, apart in zip(pairs, leads, separated, strict=True)
        if apart
    }


def _mean_of(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Metric by metric the mean over a recommender's runs of one world, where they have one."""
    means: dict[str, float] = {}
    for metric in METRICS:
        finite = [run[metric.name] for run in runs if math.isfinite(run[metric.name])]
        means[metric.name] = sum(finite) / len(finite) if finite else NAN
    return means


def _descending(value: float) -> float:
    return math.inf if math.isnan(value) else -value


def _warnings(
    logs: Sequence[RunLog], measured: Mapping[str, Mapping[WorldKey, object]]
) -> Iterator[str]:
    worlds = {world for played in measured.values() for world in played}
    if len(worlds) == 1:
        yield "One world has no interval: no places can be told apart; play at least two."
    missing = [name for name, played in measured.items() if len(played) < len(worlds)]
    if missing:
        yield (
            f"Not every world was played by {', '.join(missing)}: "
            "pairs are compared on the worlds that both have."
        )
    minds = {tuple(log.mind.get(name) for name in MIND) for log in logs}
    if len(minds) > 1:
        yield "The users' minds differ from run to run: differences may be theirs."
    lengths = sorted({log.rounds for log in logs})
    if len(lengths) > 1:
        yield f"Runs are of unequal length, {lengths[0]} to {lengths[-1]} rounds."
    if any(len(log.arms) > 1 for log in logs):
        yield (
            "Some runs have several arms: their users influence one another across arms, "
            "which mirrored worlds avoid."
        )


def _who(mind: Mapping[str, Any]) -> str:
    if mind.get("is_llm"):
        return "a language model: no people"
    if mind.get("kind") == "choice":
        return "a choice model: no LLM, no people"
    if not mind:
        return "a mind that the runs do not name"
    return f"a mind of kind {mind.get('kind', 'unknown')!r}: no LLM"
