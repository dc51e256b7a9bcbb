"""The arms screen: standings of arms up to a round, and their course over the rounds."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from recarena.observatory.chronicle import Chronicle
from recarena.observatory.messages import Json, known, milliseconds
from recarena.observatory.standings import (
    MEASURES,
    NOTE,
    PRIMARY,
    estimates,
    finite,
    places,
)
from recarena.observatory.tally import Doubles, Tally
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

KEPT = 12
SERIES = {
    "watches_per_user_round": ("watches", "rounds"),
    "satisfaction": ("rating", "rated"),
    "exit_depth": ("own_pages", "visits"),
    "retention": ("returns", "could_return"),
    "searches_per_visit": ("searches", "visits"),
    "unusable_rate": ("unusable", "pages"),
}
"""Metric -> the sums of which it is the ratio within a round."""
Key = tuple[str, int, bool]


@dataclass(slots=True)
class _Course:
    """A tally under way, and what each of its rounds came to."""

    tally: Tally
    series: dict[str, list[list[float | None]]] = field(default_factory=dict)
    """[arms][rounds] by metric."""


class Arms:
    """Keeps tallies of the runs that were looked at last, and goes on from them."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._courses: OrderedDict[Key, _Course] = OrderedDict()
        self._told: OrderedDict[tuple[Key, int], Json] = OrderedDict()
        self._turn = asyncio.Lock()

    async def at(self, chronicle: Chronicle, round: int, *, with_people: bool) -> Json:
        """Standings after a round that is committed. Failure."""
        key = chronicle.run.run_id, chronicle.epoch, with_people
        async with self._turn:
            if (key, round) not in self._told:
                course = await self._course(key, chronicle, round)
                self._told[key, round] = _standings(chronicle, course, with_people=with_people)
                while len(self._told) > KEPT:
                    self._told.popitem(last=False)
            self._told.move_to_end((key, round))
            told = self._told[key, round]
        return told | {"arms": await self._with_health(chronicle, told["arms"])}

    async def _course(self, key: Key, chronicle: Chronicle, round: int) -> _Course:
        held = self._courses.get(key)
        if held is None or held.tally.round > round:
            arms = len(chronicle.run.arms)
            held = _Course(Tally(len(chronicle.roster)))
            held.series = {one.name: [[] for _ in range(arms)] for one in MEASURES}
            if key not in self._courses or self._courses[key].tally.round <= round:
                self._courses[key] = held
        with_people = key[2]
        async for at, events in chronicle.columns(range(held.tally.round + 1, round + 1)):
            people = np.array(chronicle.people[at], np.int64)
            of = held.tally.add(events, people, with_people=with_people)
            for arm in range(len(chronicle.run.arms)):
                values = _values(of, chronicle.roster.arm == arm)
                for name, series in held.series.items():
                    series[arm].append(finite(round_to(values[name])))
        while len(self._courses) > KEPT:
            self._courses.popitem(last=False)
        return held

    async def _with_health(self, chronicle: Chronicle, arms: list[Json]) -> list[Json]:
        """The arms with how their recommenders fare at the moment."""
        request = observe_pb.ListRecommendersRequest(run_id=chronicle.run.run_id, page_size=1000)
        answer = await self._upstream.ask(self._upstream.observe.ListRecommenders, request)
        statuses = {one.recommender_id: one for one in answer.recommenders}
        return [
            arm | _health(statuses.get(arm["recommender_id"], run_pb2.RecommenderStatus()))
            for arm in arms
        ]


def _values(of: dict[str, Doubles], users: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, float]:
    """Every measure within a round, of the users of an arm."""
    asked = users & (of["pages"] > 0)
    rate = of["watches"][asked] / np.maximum(of["shown"][asked], 1)
    values = {"watch_rate": float(rate.mean()) if len(rate) else math.nan}
    for name, (part, whole) in SERIES.items():
        below = float(of[whole][users].sum())
        values[name] = float(of[part][users].sum()) / below if below else math.nan
    return values


def _standings(chronicle: Chronicle, course: _Course, *, with_people: bool) -> Json:
    arms, roster = chronicle.run.arms, chronicle.roster
    found = [estimates(course.tally, roster.arm == at) for at in range(len(arms))]
    ranked = places([one[PRIMARY] for one in found])
    round = course.tally.round
    return {
        "round": round,
        "note": NOTE,
        "primary": PRIMARY,
        "arms": [
            {
                "arm_id": arm.arm_id,
                "recommender_id": arm.recommender_id,
                "users": int((roster.arm == at).sum()),
                "rank": ranked[at].rank,
                "ties": [arms[other].arm_id for other in ranked[at].ties],
                "metrics": {name: value.as_json() for name, value in found[at].items()},
            }
            for at, arm in enumerate(arms)
        ],
        "metrics": [asdict(one) for one in MEASURES],
        "series": {
            name: {arm.arm_id: series[at][:round] for at, arm in enumerate(arms)}
            for name, series in course.series.items()
        },
        "people": {
            "excluded": not with_people,
            "user_rounds": course.tally.user_rounds_by_people,
        },
    }


def _health(status: run_pb2.RecommenderStatus) -> Json:
    p50, p95 = known(status, "p50_latency"), known(status, "p95_latency")
    return {
        "latency": {
            "p50_ms": None if p50 is None else milliseconds(p50),
            "p95_ms": None if p95 is None else milliseconds(p95),
        },
        "faults": {
            "violations": status.violations,
            "rejected": status.rejected,
            "late": status.late,
            "fallback": status.fallback,
        },
        "connected": status.connected,
    }


def round_to(value: float, digits: int = 6) -> float:
    """As many digits as a chart has use for."""
    return round(value, digits)
