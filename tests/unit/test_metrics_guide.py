"""What is counted for metrics, and what the guide says of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recarena.server.founding import RunState
from recarena.server.rpc.health import LATENCY_BOUNDS_S, Latencies, RecommenderHealth
from recarena.server.rpc.metrics import FAMILIES, Family
from recarena.server.types import Outcome, WorkRecord
from recarena.v1.session_pb2 import CAPABILITY_RANK, CAPABILITY_SEARCH, Register

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


# ------------------------------------------------------------------------------ health
def test_latencies_fall_into_the_bucket_that_ends_with_them():
    latencies = Latencies()
    for seconds in (0.001, 0.0011, 60.0, 61.0):
        latencies.add(seconds)
    assert (latencies.counts[0], latencies.counts[1]) == (1, 1)
    assert latencies.counts[-2:] == [1, 1]
    assert latencies.sum_s == pytest.approx(121.0021)


def test_health_counts_sessions_that_come_and_go():
    health = RecommenderHealth("raw")
    assert not health.is_connected
    health.connected(Register(capabilities=[CAPABILITY_RANK]))
    health.connected(Register(capabilities=[CAPABILITY_RANK, CAPABILITY_SEARCH]))
    assert (health.sessions, health.is_connected, health.can_search) == (2, True, True)
    health.disconnected()
    assert health.is_connected
    health.disconnected()
    health.disconnected()
    assert (health.sessions, health.is_connected) == (0, False)


def test_works_of_each_kind_have_latencies_of_their_own():
    health = RecommenderHealth("raw")
    for kind, outcome in (("rank", Outcome.ACCEPTED), ("search", Outcome.LATE)):
        work = WorkRecord(1, 0, kind, 2, 40.0, outcome)
        health.worked(work, np.full(2, outcome, np.int8))
    assert {kind: sum(one.counts) for kind, one in health.works.items()} == {"rank": 1, "search": 1}
    assert health.latency_ms(0.5) == 40.0  # of usable works alone
    assert health.lists[[Outcome.ACCEPTED, Outcome.LATE]].tolist() == [2, 2]


# ------------------------------------------------------------------------------ the guide
def test_the_guide_has_every_metric_and_no_other():
    rows = re.findall(
        r"^\| `(recarena_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", GUIDE.read_text(), re.M
    )
    wanted = [
        (one.name, one.kind, ", ".join(f"`{label}`" for label in one.labels), one.text)
        for one in FAMILIES
    ]
    assert [tuple(cell.strip() for cell in row) for row in rows] == wanted


def test_the_rules_of_the_guide_ask_for_metrics_that_exist():
    known = {one.name for one in FAMILIES} | {"recarena_work_seconds_bucket"}
    rules = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    asked = set(re.findall(r"\brecarena_\w+", "".join(rules)))
    assert len(asked) >= 4
    assert asked <= known


def test_names_follow_the_practice_of_prometheus():
    ends: dict[str, Callable[[str], bool]] = {
        "counter": lambda name: name.endswith("_total"),
        "histogram": lambda name: name.endswith("_seconds"),
        "info": lambda name: name.endswith("_info"),
        "gauge": lambda name: not name.endswith(("_total", "_info", "_count", "_sum", "_bucket")),
    }
    for family in FAMILIES:
        assert ends[family.kind](family.name)
        assert "_ms" not in family.name
        assert family.text.endswith(".")


def test_the_guide_counts_the_time_series_right():
    told = re.search(r"A run has (\d+), an arm (\d+)\s+and (\d+) for each", GUIDE.read_text())
    assert told
    of_run = [family for family in FAMILIES if family.labels[:1] == ("run",)]
    states, outcomes = len(RunState), len(Outcome) - 1

    def series(family: Family) -> int:
        return {"state": states, "outcome": outcomes}.get(family.labels[-1], 1)

    runs = sum(series(one) for one in of_run if "arm" not in one.labels)
    arms = sum(series(one) for one in of_run if "arm" in one.labels and one.kind != "histogram")
    assert [int(number) for number in told.groups()] == [runs, arms, len(LATENCY_BOUNDS_S) + 3]
