"""What Prometheus reads of a server with runs in it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from recarena.server.errors import InputError
from recarena.server.founding import RunState
from recarena.server.rpc.health import LATENCY_BOUNDS_S
from recarena.server.rpc.metrics import FAMILIES, MOST_RUNS, RunsCollector, serve_metrics
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import Outcome
from recarena.v1.session_pb2 import WorkFailed
from support.arena import begin, finished, settings, until
from support.commands import recarena, started
from support.raw_client import ConnectRequest, RawClient

ARM = {"run": "run", "arm": "raw", "recommender": "raw"}


class Scrape:
    """The samples of one answer of /metrics."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        for family in self.families:
            for sample in family.samples:
                self.samples[sample.name].append(sample)

    def value(self, name: str, **labels: str) -> float:
        """Of the only sample with these labels."""
        (one,) = [
            sample for sample in self.samples[name] if labels.items() <= sample.labels.items()
        ]
        return one.value

    def labelled(self, name: str, label: str) -> dict[str, float]:
        return {sample.labels[label]: sample.value for sample in self.samples[name]}


def read(address: str) -> Scrape:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return Scrape(answer.read().decode())


async def scrape(address: str) -> Scrape:
    return await asyncio.to_thread(read, address)


@pytest.fixture
def open_runs() -> list[Run]:
    return []


@pytest.fixture
def address(open_runs: list[Run]) -> Iterator[str]:
    endpoint = serve_metrics("127.0.0.1:0", RunsCollector(lambda: open_runs))
    yield endpoint.address
    endpoint.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "runs") as server:
        yield server


# ------------------------------------------------------------------------------ a real run
async def test_a_run_is_seen_while_it_is_played(server: Server, open_runs, address: str):
    open_runs.append(await begin(server, settings("raw", rounds=3)))
    before = await scrape(address)
    assert before.labelled("recarena_runs", "state") == {
        **{str(state): 0 for state in RunState}, "waiting_for_recommenders": 1,
    }  # fmt: skip
    assert before.value("recarena_run_state", run="run", state="waiting_for_recommenders") == 1
    async with RawClient(server.address) as client:
        await client.join()
        await client.serve(
            until=lambda m: m.HasField("round_started") and m.round_started.round == 3
        )
        await until(open_runs[0], 2)
        now = await scrape(address)
        assert now.value("recarena_run_state", run="run", state="running") == 1
        assert now.value("recarena_run_round", run="run") == 2
        assert now.value("recarena_run_rounds_total", run="run") == 2
        assert now.value("recarena_run_round_limit", run="run") == 3
        assert now.value("recarena_run_last_round_seconds", run="run") > 0
        assert now.value("recarena_sessions", **ARM) == 1
        lists = now.labelled("recarena_lists_total", "outcome")
        health = open_runs[0].recommenders[0].health
        assert lists["accepted"] == health.lists[Outcome.ACCEPTED] > 0
        assert sum(lists.values()) == health.lists.sum()
        assert now.value("recarena_training_seconds_total", **ARM) > 0
        await client.serve()
    await finished(open_runs[0])
    # The recommender is gone, its last counts are not.
    after = await scrape(address)
    assert after.value("recarena_run_state", run="run", state="succeeded") == 1
    assert after.value("recarena_run_round", run="run") == 3
    assert after.value("recarena_sessions", **ARM) == 0
    assert after.value("recarena_lists_total", **ARM, outcome="accepted") > lists["accepted"]


async def test_works_are_a_histogram_of_seconds(server: Server, open_runs, address: str):
    open_runs.append(run := await begin(server, settings("raw", rounds=1)))
    async with RawClient(server.address) as client:
        await client.join()
        await scrape(address)
        await asyncio.gather(client.serve(), finished(run))
    now = await scrape(address)
    works = [work for work in run.folder.works() if work.kind == "rank"]
    name, labels = "recarena_work_seconds", {**ARM, "kind": "rank"}
    assert now.value(f"{name}_count", **labels) == len(works)
    total = sum(work.latency_ms for work in works) / 1000
    assert now.value(f"{name}_sum", **labels) == pytest.approx(total, rel=1e-5)
    buckets = [
        (float(one.labels["le"]), one.value)
        for one in now.samples[f"{name}_bucket"]
        if one.labels["kind"] == "rank"
    ]
    assert [bound for bound, _ in buckets] == [*LATENCY_BOUNDS_S, float("inf")]
    assert [count for _, count in buckets] == [
        sum(work.latency_ms / 1000 <= bound for work in works) for bound, _ in buckets
    ]


async def test_refused_works_are_counted_as_what_they_are(server, open_runs, address: str):
    open_runs.append(run := await begin(server, settings("raw", rounds=1)))

    def refuse(_: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
        return [ConnectRequest(work_failed=WorkFailed(work_id=work.header.work_id))]

    async with RawClient(server.address) as client:
        await client.join()
        await scrape(address)
        await asyncio.gather(client.serve(refuse), finished(run))
    lists = (await scrape(address)).labelled("recarena_lists_total", "outcome")
    assert lists["accepted"] == 0
    assert lists["failed"] > 0


async def test_every_metric_is_there_with_its_kind_and_its_labels(server, open_runs, address):
    open_runs.append(await begin(server, settings("raw", rounds=1)))
    async with RawClient(server.address) as client:
        await client.join()
        await scrape(address)
        await asyncio.gather(client.serve(), finished(open_runs[0]))
    now = await scrape(address)
    found = {family.name: family for family in now.families}
    for family in FAMILIES:
        # The text format has no info, and names a counter's family without its ending.
        one = found[family.name.removesuffix("_total")]
        assert one.type == {"info": "gauge"}.get(family.kind, family.kind)
        assert one.documentation == family.text
        for sample in one.samples:
            assert set(sample.labels) - {"le"} == set(family.labels), sample
    assert found["process_resident_memory_bytes"].samples[0].value > 0
    assert now.samples["recarena_build_info"][0].value == 1


async def test_a_run_that_is_closed_goes_away(server: Server, open_runs, address: str):
    open_runs.append(run := await begin(server, settings("raw")))
    assert "recarena_run_round" in (await scrape(address)).samples
    await run.close()
    open_runs.clear()
    now = await scrape(address)
    assert now.samples["recarena_run_round"] == []
    assert sum(now.labelled("recarena_runs", "state").values()) == 0


# ------------------------------------------------------------------------------ bounds
class Played:
    """As much of a run as the collector reads."""

    def __init__(self, name: str, state: RunState = RunState.PAUSED, played: bool = True) -> None:
        self.run_id, self.state, self.recommenders = name, state, []
        self.newest = SimpleNamespace(wall_ms=1.0) if played else None
        self.world, self.settings = SimpleNamespace(round=1), SimpleNamespace(rounds=2)


def runs_in(runs: Iterable[Any]) -> tuple[list[str], float]:
    """The runs that have time series of their own, and the number of those left out."""
    found = {family.name: family for family in RunsCollector(lambda: runs).collect()}
    shown = [sample.labels["run"] for sample in found["recarena_run_round"].samples]
    return shown, found["recarena_runs_left_out"].samples[0].value


def test_runs_that_nobody_played_are_counted_and_nothing_more():
    assert runs_in([Played("old", RunState.SUCCEEDED, played=False)]) == ([], 0)


def test_a_run_that_waits_is_shown_before_it_has_played():
    assert runs_in([Played("new", RunState.WAITING, played=False)]) == (["new"], 0)


def test_of_too_many_runs_the_live_and_the_newest_are_shown():
    runs = [Played("live", RunState.RUNNING)]
    runs += [Played(f"old-{number}") for number in range(MOST_RUNS + 5)]
    shown, left_out = runs_in(runs)
    assert shown[:2] == ["live", f"old-{MOST_RUNS + 4}"]
    assert (len(shown), left_out) == (MOST_RUNS, 6)
    assert "old-5" not in shown


# ------------------------------------------------------------------------------ the endpoint
def nothing() -> RunsCollector:
    return RunsCollector(list)


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=f"--metrics: cannot listen on {place}: Address"):
            serve_metrics(place, nothing())


def test_a_closed_endpoint_gives_its_port_back():
    first = serve_metrics("127.0.0.1:0", nothing())
    first.close()
    second = serve_metrics(first.address, nothing())
    assert second.address == first.address
    second.close()


@pytest.mark.parametrize("address", ["", "9464", ":9464", "127.0.0.1:", "127.0.0.1:65536"])
def test_what_is_no_address_is_refused(address: str):
    with pytest.raises(InputError, match="is no HOST:PORT"):
        serve_metrics(address, nothing())


def test_off_loopback_it_must_be_asked_for():
    with pytest.raises(InputError, match=r"0\.0\.0\.0 can be reached from outside"):
        serve_metrics("0.0.0.0:0", nothing())
    endpoint = serve_metrics("0.0.0.0:0", nothing(), insecure=True)
    assert read(endpoint.address.replace("0.0.0.0", "127.0.0.1")).samples["recarena_build_info"]
    endpoint.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
def test_loopback_has_many_names(host: str):
    endpoint = serve_metrics(f"{host}:0", nothing())
    assert endpoint.address.startswith(f"{host}:")
    endpoint.close()


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(InputError, match=r"pip install 'recarena-server\[metrics\]'"):
        serve_metrics("127.0.0.1:0", nothing())


def test_many_may_scrape_at_once(address: str, open_runs):
    open_runs += [Played(f"run-{number}") for number in range(20)]

    async def all_of_them() -> list[Scrape]:
        return await asyncio.gather(*(scrape(address) for _ in range(16)))

    for one in asyncio.run(all_of_them()):
        assert len(one.samples["recarena_run_round"]) == 20


# ------------------------------------------------------------------------------ the program
async def test_a_server_says_where_its_metrics_are(tmp_path: Path):
    words = ("serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--json")
    async with started(*words, cwd=tmp_path) as live:
        serving = await live.event("serving")
        assert serving is not None
        now = await scrape(serving["metrics"])
        assert now.value("recarena_runs_left_out") == 0
        live.process.send_signal(signal.SIGINT)
        assert (await live.ended()).code == 0


async def test_a_server_whose_metrics_cannot_be_served_does_not_start(tmp_path: Path):
    words = ("serve", "--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:0")
    said = (await recarena(*words, cwd=tmp_path)).failed()
    assert "--metrics: 0.0.0.0 can be reached from outside" in said
