"""/metrics for Prometheus: what the open runs and their recommenders are doing.

Everything is read when it is asked for, from counts that are kept anyway: the engine knows nothing
of it. Needs the extra `metrics`, and loads it only when it is used.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakKeyDictionary

from recarena.server.addresses import address_of
from recarena.server.errors import InputError
from recarena.server.founding import RunState
from recarena.server.rpc.health import LATENCY_BOUNDS_S, Latencies, RecommenderHealth
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.runs import Run
from recarena.server.types import Outcome

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import Metric
    from prometheus_client.registry import Collector

MOST_RUNS = 100
"""Runs with time series of their own; live ones go first, then those opened last."""

_RUN = ("run",)
_ARM = ("run", "arm", "recommender")


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: what stands in docs/operations.md, too."""

    name: str
    kind: Literal["gauge", "counter", "histogram", "info"]
    labels: tuple[str, ...]
    text: str


FAMILIES = (
    Family("recarena_build_info", "info", ("version", "python"), "What is running."),
    Family("recarena_runs", "gauge", ("state",), "Runs that are open, by state."),
    Family(
        "recarena_runs_left_out", "gauge", (),
        f"Played runs beyond the {MOST_RUNS} that have time series of their own.",
    ),
    Family("recarena_run_state", "gauge", ("run", "state"), "1 for the state the run is in."),
    Family("recarena_run_round", "gauge", _RUN, "Last committed round."),
    Family("recarena_run_rounds_total", "counter", _RUN, "Rounds committed; back to 0 on a reset."),
    Family("recarena_run_round_limit", "gauge", _RUN, "Rounds to play."),
    Family(
        "recarena_run_last_round_seconds", "gauge", _RUN,
        "Wall time of the round committed last, without its commit.",
    ),
    Family("recarena_sessions", "gauge", _ARM, "Live sessions that serve the arm."),
    Family("recarena_lists_total", "counter", (*_ARM, "outcome"), "Lists, by what became of them."),
    Family(
        "recarena_work_seconds", "histogram", (*_ARM, "kind"),
        "Time from sending a work to its answer, or to giving it up.",
    ),
    Family(
        "recarena_training_seconds_total", "counter", _ARM,
        "Time between opening rounds and the recommender being ready.",
    ),
    Family(
        "recarena_quarantined_sessions_total", "counter", _ARM,
        "Sessions ended for answers that were refused one after another.",
    ),
    Family(
        "recarena_unsolicited_messages_total", "counter", _ARM, "Messages that answered nothing."
    ),
)  # fmt: skip


class RunsCollector:
    """Reads runs for a registry of prometheus_client, from the thread of whoever scrapes.

    Only runs that were played since the server started have time series of their own, at most
    MOST_RUNS; those of a run that is closed or reset go away with it.
    """

    def __init__(self, open_runs: Callable[[], Iterable[Run]]) -> None:
        self._open_runs = open_runs
        self._healths: WeakKeyDictionary[Run, dict[str, RecommenderHealth]] = WeakKeyDictionary()
        """Of each arm the newest that was seen: a run that ends lets its recommenders go, and
        their last counts must not be lost with them."""
        self._reading = threading.Lock()

    def collect(self) -> list[Metric]:
        """All metrics as they are now."""
        with self._reading:
            return self._collect()

    def _collect(self) -> list[Metric]:
        families = {family.name: _empty(family) for family in FAMILIES}

        def add(name: str, labels: Sequence[str], value: float) -> None:
            families[name].add_metric(labels, value)

        version = {"version": metadata.version("recarena-server")}
        families["recarena_build_info"].add_metric(
            (), version | {"python": platform.python_version()}
        )
        runs = list(self._open_runs())
        for state in RunState:
            add("recarena_runs", (state,), sum(run.state is state for run in runs))
        played = [run for run in runs if self._seen(run)]
        add("recarena_runs_left_out", (), max(len(played) - MOST_RUNS, 0))
        # The sort is stable: among equals those that were opened last go first.
        played.reverse()
        chosen = sorted(played, key=lambda run: not run.state.is_live)[:MOST_RUNS]
        for run in chosen:
            self._add_run(run, add)
            for arm, health in self._healths[run].items():
                labels = (run.run_id, arm, health.recommender_id)
                _add_health(health, labels, add)
                for kind, latencies in list(health.works.items()):
                    buckets, total = _buckets(latencies)
                    families["recarena_work_seconds"].add_metric((*labels, kind), buckets, total)
        return list(families.values())

    def _seen(self, run: Run) -> bool:
        """Whether the run has been played; notes who plays in it now."""
        healths = self._healths.setdefault(run, {})
        for one in list(run.recommenders):
            if isinstance(one, RemoteRecommender):
                healths[one.assignment.arm.id] = one.health
        return bool(healths) or run.state.is_live or run.newest is not None

    def _add_run(self, run: Run, add: Callable[[str, Sequence[str], float], None]) -> None:
        of_run = (run.run_id,)
        for state in RunState:
            add("recarena_run_state", (run.run_id, state), run.state is state)
        newest = run.newest
        # Read from the world, which a commit changes last: a folder that is closed has no round.
        add("recarena_run_round", of_run, run.world.round)
        add("recarena_run_rounds_total", of_run, run.world.round)
        add("recarena_run_round_limit", of_run, run.settings.rounds)
        if newest:
            add("recarena_run_last_round_seconds", of_run, newest.wall_ms / 1000)


def _add_health(
    health: RecommenderHealth,
    labels: tuple[str, str, str],
    add: Callable[[str, Sequence[str], float], None],
) -> None:
    add("recarena_sessions", labels, health.sessions)
    lists = health.lists.copy()
    for outcome in Outcome:
        if outcome is not Outcome.NONE:
            add("recarena_lists_total", (*labels, outcome.name.lower()), int(lists[outcome]))
    add("recarena_training_seconds_total", labels, health.training_ms / 1000)
    add("recarena_quarantined_sessions_total", labels, health.quarantined)
    add("recarena_unsolicited_messages_total", labels, health.unsolicited)


def _buckets(latencies: Latencies) -> tuple[list[tuple[str, float]], float]:
    """Upper bounds with the counts summed up, and the sum of all values."""
    total = latencies.sum_s
    bounds = [*(repr(bound) for bound in LATENCY_BOUNDS_S), "+Inf"]
    return list(zip(bounds, accumulate(list(latencies.counts)), strict=True)), total


def _empty(family: Family) -> Any:
    """The family as prometheus_client has it, without values."""
    from prometheus_client import core

    if family.kind == "info":
        return core.InfoMetricFamily(family.name.removesuffix("_info"), family.text)
    made = {
        "gauge": core.GaugeMetricFamily,
        "counter": core.CounterMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }[family.kind]
    return made(family.name, family.text, labels=family.labels)


@dataclass(frozen=True, slots=True)
class MetricsEndpoint:
    """An HTTP server of metrics."""

    address: str
    """HOST:PORT, with the port that was chosen where 0 was asked for."""
    _server: WSGIServer
    _thread: threading.Thread

    def close(self) -> None:
        """Stops listening; returns when the port is free again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(
    address: str, collector: RunsCollector, *, insecure: bool = False
) -> MetricsEndpoint:
    """Serves the collector's metrics, and those of the process, over HTTP in threads of its own.

    `address` is HOST:PORT, port 0: any free one. InputError where the extra is not installed, the
    address is none, is taken, or can be reached from outside without `insecure`: there are no
    tokens and no TLS here.
    """
    place = address_of(address, "--metrics", "127.0.0.1:9464")
    if not insecure and not place.is_loopback:
        raise InputError(
            f"{place.host} can be reached from outside, and metrics are served to anybody",
            where="--metrics",
            remedy="Serve them on 127.0.0.1, or say --insecure",
        )
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
    except ImportError:
        raise InputError(
            "the metrics are not installed",
            where="--metrics",
            remedy="pip install 'recarena-server[metrics]'",
        ) from None
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(cast("Collector", collector))
    try:
        server, thread = start_http_server(place.port, place.host, registry)
    except OSError as error:
        raise InputError(
            f"cannot listen on {address}: {error.strerror or error}",
            where="--metrics",
            remedy="Choose another HOST:PORT (port 0: any free one)",
        ) from None
    shown = f"[{place.host}]" if ":" in place.host else place.host
    return MetricsEndpoint(f"{shown}:{server.server_port}", server, thread)
