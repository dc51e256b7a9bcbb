"""Many sessions at once in one server process: real streams from a few processes of light
recommenders, as fast as the machine goes."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cpu import of_process
from figures import Figure, Target, say
from served import PATIENCE_S, Gauge, Served, light, served

from recarena.server.store.run_folder import RunFolder
from recarena.server.types import Outcome, WorkRecord
from recarena.v1.run_pb2 import Arm

PROCESSES = 4
"""Of recommenders, each with its share of the sessions."""
FLAT = 1.10
"""Memory of the last quarter over that of the first."""
WARM_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Crowd:
    """Runs at once, each with arms that have replicas."""

    runs: int
    arms: int
    replicas: int
    users: int
    """Of each run."""

    @property
    def sessions(self) -> int:
        """In all."""
        return self.runs * self.arms * self.replicas

    def run_ids(self) -> list[str]:
        """Names of the runs."""
        return [f"run-{number:03}" for number in range(self.runs)]

    def names(self, run_id: str) -> list[str]:
        """Names of a run's recommenders."""
        return [f"{run_id}-{arm:02}" for arm in range(self.arms)]


MANY, FEW = Crowd(20, 5, 2, 200), Crowd(2, 5, 2, 200)
QUICK_MANY, QUICK_FEW = Crowd(2, 2, 2, 40), Crowd(1, 2, 2, 40)


@dataclass(frozen=True, slots=True)
class Load:
    """What a crowd came to in the measured time."""

    seconds: float
    works: list[WorkRecord]
    gauge: Gauge
    server_cpu_s: float
    clients_cpu_s: float

    @property
    def works_a_second(self) -> float:
        """Answered and accepted."""
        return len(self.works) / self.seconds

    @property
    def lists_a_second(self) -> float:
        """The same, in lists."""
        return sum(work.lists for work in self.works) / self.seconds

    def latency_ms(self, percentile: float) -> float:
        """From sending a work to its answer."""
        return float(np.percentile([work.latency_ms for work in self.works], percentile))


def figures(quick: bool) -> Iterator[Figure]:
    """Three figures, from two crowds."""
    few = asyncio.run(loaded(QUICK_FEW if quick else FEW, 1.0 if quick else 15.0))
    crowd = QUICK_MANY if quick else MANY
    many = asyncio.run(loaded(crowd, 2.0 if quick else 60.0))
    base = f"{(QUICK_FEW if quick else FEW).sessions} sessions"
    about = {"sessions": crowd.sessions, "runs": crowd.runs, "processes": PROCESSES}
    yield Figure(
        "sessions_works", many.works_a_second, "works/s", few.works_a_second,
        {"baseline": base, **about, "seconds": many.seconds, "works": len(many.works),
         "works_lost_late_failed": 0, "lists_a_second": many.lists_a_second,
         "baseline_lists_a_second": few.lists_a_second,
         "server_cpu_share": many.server_cpu_s / many.seconds,
         "recommenders_cpu_share": many.clients_cpu_s / many.seconds},
    )  # fmt: skip
    yield Figure(
        "sessions_latency", many.latency_ms(50), "ms", few.latency_ms(50),
        {"baseline": base, **about,
         **{f"p{p}_ms": many.latency_ms(p) for p in (50, 95, 99, 100)},
         **{f"baseline_p{p}_ms": few.latency_ms(p) for p in (50, 95, 99, 100)}},
    )  # fmt: skip
    first, last = many.gauge.quarters()
    if first:
        target = Target("ratio", "at most", FLAT)
        yield Figure(
            "sessions_memory", last, "MiB", first,
            {"baseline": "the first quarter of the time; the figure is of the last", **about,
             "each_tenth_mib": many.gauge.tenths(),
             "greatest_mib": max(many.gauge.samples) / 2**20},
            None if quick else target,
        )  # fmt: skip


async def loaded(crowd: Crowd, seconds: float) -> Load:
    """Plays all runs of a crowd at once. RuntimeError where a work is not accepted, or a session
    is lost."""
    say(f"  {crowd.sessions} sessions for {seconds:g} s")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        async with served(folder) as server:
            clients = await dialled_in(crowd, server, folder)
            try:
                found = await played(crowd, seconds, server, clients)
                for client in clients:
                    if await asyncio.wait_for(client.wait(), PATIENCE_S):
                        raise RuntimeError(f"recommenders ended: {last_words(folder)}")
            finally:
                for client in clients:
                    if client.returncode is None:
                        client.kill()
                        await client.wait()
        check_sessions(crowd, folder)
        rounds, load = found
        works = [work for run_id in crowd.run_ids()
                 for work in works_of(server.runs / run_id, *rounds[run_id])]  # fmt: skip
        load.works.extend(works)
        return load


async def dialled_in(
    crowd: Crowd, server: Served, folder: Path
) -> list[asyncio.subprocess.Process]:
    """The processes of recommenders, one after another filled with names."""
    names = [name for run_id in crowd.run_ids() for name in crowd.names(run_id)]
    return [
        await light(
            server.address, folder / f"clients-{n}.log",
            *names[n::PROCESSES], "--instances", crowd.replicas,
        )
        for n in range(min(PROCESSES, len(names)))
    ]  # fmt: skip


async def played(
    crowd: Crowd, seconds: float, server: Served, clients: list[asyncio.subprocess.Process]
) -> tuple[dict[str, tuple[int, int]], Load]:
    """The first and the last round of each run that belong to the measured time, and what was
    measured meanwhile; the runs are over afterwards."""
    runs = crowd.run_ids()
    for number, run_id in enumerate(runs):
        arms = [Arm(recommender_id=name, replicas=crowd.replicas) for name in crowd.names(run_id)]
        world = f"new:users={crowd.users},seed={number},history=3"
        await server.play(run_id, world, {}, *arms)
    for run_id in runs:
        await server.until(run_id, lambda run: run.round >= WARM_ROUNDS)
    gauge = Gauge(server.process.pid)
    cpu, clients_cpu, start = server.cpu_s, cpu_of(clients), time.monotonic()
    before = await rounds_of(server, runs)
    await gauge.watch(seconds)
    after = await rounds_of(server, runs)
    took = time.monotonic() - start
    load = Load(took, [], gauge, server.cpu_s - cpu, cpu_of(clients) - clients_cpu)
    await asyncio.gather(*map(server.pause, runs))
    await asyncio.gather(*map(server.stop, runs))
    rounds = zip(runs, before, after, strict=True)
    return {run_id: (first + 1, last) for run_id, first, last in rounds}, load


async def rounds_of(server: Served, runs: list[str]) -> list[int]:
    """The last committed round of each run."""
    return [run.round for run in await asyncio.gather(*map(server.run, runs))]


def cpu_of(clients: list[asyncio.subprocess.Process]) -> float:
    return sum(of_process(client.pid) for client in clients)


def works_of(path: Path, first: int, last: int) -> list[WorkRecord]:
    """The works of some rounds of a run. RuntimeError where any of the run was not accepted."""
    works = RunFolder.open(path).works()
    if bad := [work for work in works if work.outcome is not Outcome.ACCEPTED]:
        raise RuntimeError(f"{path.name}: {len(bad)} works were not accepted, the first: {bad[0]}")
    return [work for work in works if first <= work.round <= last]


def check_sessions(crowd: Crowd, folder: Path) -> None:
    """RuntimeError where a recommender had to come back."""
    said = [json.loads(log.read_text("utf-8")) for log in folder.glob("clients-*.log")]
    opened = sum(one["sessions"] for one in said)
    if opened != crowd.sessions:
        raise RuntimeError(f"{opened} sessions were opened for {crowd.sessions} recommenders")


def last_words(folder: Path) -> str:
    """The end of what the recommenders said."""
    said = [log.read_text("utf-8", "replace")[-300:] for log in folder.glob("clients-*.log")]
    return "; ".join(said)
