"""Recommenders compared over mirrored worlds: each played its own copy of every world."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from recarena.evaluation.metrics import METRICS, PRIMARY, measure_all
from recarena.evaluation.run_log import RunLog
from recarena.evaluation.statistics import Interval, holm, paired_p_value, world_interval
from recarena.evaluation.thinking import Thinking, thinking_of, together
from recarena.evaluation.twins import sentence, twins

if TYPE_CHECKING:
    from rich.table import Table

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


# ------------------------------------------------------------------ as files and for people


def as_records(board: Leaderboard) -> Iterator[dict[str, object]]:
    """One flat-enough JSON object a row; a metric is {mean, low, high, worlds}, null where none."""
    for row in board.rows:
        yield {
            "recommender": row.recommender,
            "first_place": row.first_place,
            "last_place": row.last_place,
            "tied_with": list(row.tied_with),
            "worlds": row.worlds,
            "users": row.users,
            "rounds": row.rounds,
            "confidence": CONFIDENCE,
            "metrics": {
                name: {
                    "mean": _json_number(one.mean),
                    "low": _json_number(one.low),
                    "high": _json_number(one.high),
                    "worlds": one.worlds,
                }
                for name, one in row.intervals.items()
            },
            "under": {
                "minds": [dict(mind) for mind in board.minds],
                "worlds": list(board.worlds),
                "caveat": board.caveat,
                "llm": board.thinking.as_json() if board.thinking else None,
            },
        }


def as_json_lines(board: Leaderboard) -> str:
    """`as_records`, one to a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in as_records(board))


def as_csv(board: Leaderboard) -> str:
    """A row each; of every metric three columns: its mean, and _low and _high of its interval.

    Empty where there is no value.
    """
    text = io.StringIO()
    names = [metric.name for metric in METRICS]
    head = ["recommender", "first_place", "last_place", "worlds", "users", "rounds"]
    writer = csv.writer(text, lineterminator="\n")
    metrics = [column for name in names for column in (name, f"{name}_low", f"{name}_high")]
    writer.writerow([*head, *metrics, "under"])
    for row in board.rows:
        values = [
            "" if math.isnan(number) else repr(number)
            for name in names
            for one in (row.intervals[name],)
            for number in (one.mean, one.low, one.high)
        ]
        plain = [getattr(row, name) for name in head]
        writer.writerow([*plain, *values, board.caveat])
    return text.getvalue()


SHOWN = (
    "watch_rate",
    "watches_per_user_round",
    "satisfaction",
    "exit_depth",
    "searches_per_visit",
    "coverage",
    "gini",
    "latency_p95_ms",
    "unusable_rate",
)
"""Metrics in a table of 100 columns; the files have them all."""
FIRST_LEFT_OUT = (
    "searches_per_visit",
    "gini",
    "exit_depth",
    "latency_p95_ms",
    "coverage",
    "watches_per_user_round",
    "unusable_rate",
    "satisfaction",
)
"""What a narrower table does without."""
WITH_INTERVAL = ("watch_rate", "watches_per_user_round", "satisfaction")
"""What is shown with its interval."""
SHORT = {
    "watches_per_user_round": "watches/\nround",
    "exit_depth": "pages/\nvisit",
    "searches_per_visit": "search/\nvisit",
    "latency_p95_ms": "p95\nms",
    "unusable_rate": "failed",
    "coverage": "cov-\nerage",
}


def as_table(board: Leaderboard, width: int = 100) -> Table:
    """The leaderboard for a terminal so wide, with as many metrics as there is room for; what
    stands below it is `notes`."""
    from rich.console import Console

    ruler = Console(width=1000)
    names = list(SHOWN)
    table = _table(board, names)
    for name in FIRST_LEFT_OUT:
        if ruler.measure(table).maximum <= width:
            break
        names.remove(name)
        table = _table(board, names)
    return table


def _table(board: Leaderboard, names: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    by_name = {metric.name: metric for metric in METRICS}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("recommender", min_width=11, max_width=24, overflow="fold")
    for name in names:
        heading = SHORT.get(name, by_name[name].heading)
        table.add_column(heading, justify="right", no_wrap=True)
    for row in board.rows:
        place = f"{row.first_place}–{row.last_place}" if row.tied else str(row.first_place)
        cells = [_cell(row.intervals[name], name, by_name[name].decimals) for name in names]
        table.add_row(place, Text(row.recommender), *cells)
    return table


def notes(board: Leaderboard) -> list[str]:
    """The lines below the table: first who the users were."""
    lines = [board.caveat]
    if board.thinking:
        lines.append(board.thinking.sentence())
    if len(board.played) > 1:
        lines.append(
            f"± is the 95 % interval over {len(board.played)} worlds (the unit is the world, not "
            "the user)."
        )
    if any(row.tied for row in board.rows) and len(board.played) > 1:
        lines.append(
            "Places such as 1–2 are ties: the paired difference in watch rate may be 0 "
            "(95 %, Holm)."
        )
    return [*lines, *map(sentence, board.twins), *board.warnings]


def _cell(one: Interval, name: str, decimals: int) -> str:
    if math.isnan(one.mean):
        return "–"
    if name == "unusable_rate":
        return f"{100 * one.mean:.1f} %"
    mean = f"{one.mean:.{decimals}f}"
    half = one.half_width
    known = name in WITH_INTERVAL and not math.isnan(half)
    return f"{mean} ±{half:.{decimals}f}" if known else mean


def _json_number(value: float) -> float | None:
    return None if math.isnan(value) else value
