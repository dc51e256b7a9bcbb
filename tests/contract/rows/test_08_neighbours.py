"""One recommender that does not read and one that floods, beside two good ones in the same run: the
good ones' works take no longer than when they are alone, and the server's memory is bounded.

Everything is a process of its own: the server (`recarena serve`), the good recommenders, the bad
ones (`tests/faults`). Runs with and without the bad ones take turns, so that what else the machine
does befalls both alike, and the medians of their 95th percentiles are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind, Outcome
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1.run_pb2 import Arm, Run
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceStub
from support.arena import program
from support.commands import PATIENCE, PROGRAM
from support.figures import report
from support.thoroughness import thorough

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(400)]
KIT = Path(__file__).parents[2] / "faults" / "misbehaving.py"
GOOD, BAD = ("good-1", "good-2"), ("deaf", "flood")
PAIRS, MOST_PAIRS = thorough(5, otherwise=3), 12
"""More are played where the first do not settle it: other programs are on the machine."""
USERS = 40
"""For each unit of an arm's weight: the good ones have as many with bad neighbours as without."""
SESSION = {"max_users_per_work": 4, "ready_timeout_s": 0.5, "resume_window_s": 1.0}
"""Who reads nothing does not learn of the next round, and is let go; then it comes again."""
WORST_RATIO = 1.2
TIMER_NOISE_MS = 3.0
"""Added to the bound: at a few milliseconds a work, that is what the scheduler alone may do."""
MOST_MIB = 64
"""What the server may grow by while it has bad neighbours: queues of 4 MiB a session, what gRPC
holds for a stream that is not read, and the worlds of the runs."""


@dataclass
class Stage:
    """A served server, and what was measured in it."""

    server: asyncio.subprocess.Process
    address: str
    folder: Path
    channel: grpc.aio.Channel
    percentiles: dict[str, list[float]] = field(default_factory=dict)
    works: int = 0

    async def play(self, name: str, arms: Sequence[str]) -> RunFolder:
        """A run to its end; the folder that it leaves."""
        run = Run(
            run_id=name, world=f"new:users={USERS * sum(map(weight, arms))},seed=7", seed=7,
            round_limit=4, arms=[arm(one) for one in arms],
        )  # fmt: skip
        run.settings.update({"session": SESSION, "visits": {"step_cap": 3}})
        control: Any = SimulationControlServiceStub(self.channel)
        observe: Any = SimulationObserveServiceStub(self.channel)
        await control.CreateRun(control_pb.CreateRunRequest(run=run))
        await control.StartRun(control_pb.StartRunRequest(run_id=name))
        request = observe_pb.StreamEventsRequest(run_id=name, summaries_only=True)
        async with asyncio.timeout(PATIENCE):
            async for _ in observe.StreamEvents(request):
                pass
        return RunFolder.open(self.folder / name)

    async def measure(self, kind: str, number: int, arms: Sequence[str]) -> Any:
        """Plays a run and keeps the 95th percentile of the good ones' works; the outcomes of the
        pages of the others."""
        run = await self.play(f"{kind}-{number}", arms)
        works = [one for one in run.works() if one.arm < len(GOOD)]
        assert {one.outcome for one in works} == {Outcome.ACCEPTED}
        assert len(works) > 150
        self.works += len(works)
        took = np.percentile([one.latency_ms for one in works], 95)
        self.percentiles.setdefault(kind, []).append(float(took))
        pages = [events.of(EventKind.PAGE) for events, _ in run.rounds(1, run.last_round)]
        arm_of_user, outcomes = run.arm_of_user(), {}
        for page in pages:
            arm = arm_of_user[page.user]
            assert set(page.outcome[arm < len(GOOD)].tolist()) == {Outcome.ACCEPTED}
            for one, outcome in zip(arm.tolist(), page.outcome.tolist(), strict=True):
                outcomes.setdefault(arms[one], set()).add(Outcome(outcome))
        return outcomes

    @property
    def medians(self) -> list[float]:
        """Of the 95th percentiles, alone and beside bad neighbours."""
        return [statistics.median(self.percentiles[kind]) for kind in ("alone", "beside")]

    @property
    def holds(self) -> bool:
        """Whether the good ones notice nothing, within the bound."""
        alone, beside = self.medians
        return beside <= WORST_RATIO * alone + TIMER_NOISE_MS

    def memory_mib(self, what: str) -> float:
        """VmRSS or VmHWM of the server."""
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        return int(status.split(f"{what}:")[1].split()[0]) / 1024


def weight(name: str) -> int:
    return 1 if name in BAD else 4


def arm(name: str) -> Arm:
    one = Arm(arm_id=name, recommender_id=name, weight=weight(name))
    if name in BAD:
        one.work_timeout.FromMilliseconds(150)
    return one


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """The server and the good ones; they serve all runs."""
    words = ("serve", "--listen", "127.0.0.1:0", "--runs", str(tmp_path / "runs"), "--json")
    async with contextlib.AsyncExitStack() as stack:
        with (tmp_path / "server.log").open("ab") as log:  # a pipe that is not read would fill up
            server = await asyncio.create_subprocess_exec(
                str(PROGRAM), *words, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        stack.push_async_callback(gone, server)
        assert server.stdout is not None
        said = await asyncio.wait_for(server.stdout.readline(), PATIENCE)
        address = json.loads(said)["address"]
        for name, encoding in zip(GOOD, ("rich", "columnar"), strict=True):
            line = ("recarena-recommender", "popular", "--server", address, "--id", name)
            line = (*line, "--encoding", encoding)
            await stack.enter_async_context(program(*line, log=tmp_path / f"{name}.log"))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        yield Stage(server, address, tmp_path / "runs", channel)


@contextlib.asynccontextmanager
async def bad_neighbours(address: str, log: Path) -> AsyncIterator[None]:
    """One that reads nothing after its first work, one that sends two thousand answers to nothing a
    second. They are elsewhere, as it were: what they compute themselves gives way to the others."""
    switches = {"deaf": ("--slow-reader",), "flood": ("--flood-rate", "2000")}
    async with contextlib.AsyncExitStack() as stack:
        for name, words in switches.items():
            with (log / f"{name}.log").open("ab") as out:
                process = await asyncio.create_subprocess_exec(
                    "nice", "-n", "19", sys.executable, str(KIT), "--server", address, "--id", name,
                    "--quiet", "--stubborn", *words, stdout=out, stderr=out,
                )  # fmt: skip
            stack.push_async_callback(gone, process)
        yield


async def gone(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def test_good_recommenders_do_not_notice_one_that_is_deaf_and_one_that_floods(
    stage: Stage, tmp_path: Path
):
    await stage.play("warm", GOOD)
    began = stage.memory_mib("VmRSS")
    seen: dict[str, set[Outcome]] = {}
    for number in range(MOST_PAIRS):
        if number >= PAIRS and stage.holds:
            break
        await stage.measure("alone", number, GOOD)
        async with bad_neighbours(stage.address, tmp_path):
            outcomes = await stage.measure("beside", number, (*GOOD, *BAD))
        for name, found in outcomes.items():
            seen.setdefault(name, set()).update(found)
    alone, beside = stage.medians
    grown = stage.memory_mib("VmHWM") - began
    report(
        "8 neighbours",
        p95_alone_ms=round(alone, 2), p95_beside_ms=round(beside, 2),
        ratio=round(beside / alone, 2), works=stage.works, accepted=stage.works,
        server_mib=round(began), peak_growth_mib=round(grown, 1),
        each={kind: [round(one, 1) for one in all] for kind, all in stage.percentiles.items()},
    )  # fmt: skip
    for name in BAD:  # they were as bad as they should be
        assert Outcome.LATE in seen[name]
    assert stage.holds
    assert grown < MOST_MIB
