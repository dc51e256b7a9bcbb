"""A server in a process of its own, driven over gRPC, and what it takes of the machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
from cpu import of_process
from google.protobuf import json_format

from recarena.v1 import run_pb2
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub

PATIENCE_S = 120.0
"""For what must come."""
SAMPLE_S = 0.5
MORE_THAN_ENOUGH = 10_000_000
"""Rounds that a run is planned for, so that it never ends by itself."""
PROGRAM = Path(sys.executable).with_name("recarena")


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not say (not Linux)."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Gauge:
    """Memory of a process, read twice a second."""

    pid: int
    samples: list[int] = field(default_factory=list)

    async def watch(self, seconds: float, each: Callable[[], None] = lambda: None) -> None:
        """Takes samples for so long; `each` is called after each one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.samples.append(resident(self.pid))
            each()
            await asyncio.sleep(min(SAMPLE_S, max(0.0, end - time.monotonic())))

    def quarters(self) -> tuple[float, float]:
        """Median of the first and of the last quarter of the samples, in MiB."""
        quarter = max(1, len(self.samples) // 4)
        first, last = self.samples[:quarter], self.samples[-quarter:]
        return statistics.median(first) / 2**20, statistics.median(last) / 2**20

    def tenths(self) -> list[float]:
        """Ten samples or so from the first to the last, in MiB."""
        return [one / 2**20 for one in self.samples[:: max(1, len(self.samples) // 10)]]


class Served:
    """The server's process and its operator's end."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, runs: Path) -> None:
        self.process, self.address, self.runs = process, address, runs
        self.channel = grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)])
        self.control: Any = SimulationControlServiceStub(self.channel)

    @property
    def cpu_s(self) -> float:
        """Processors' time that the server has used."""
        return of_process(self.process.pid)

    async def play(self, run_id: str, world: str, settings: dict[str, Any], *arms: Any) -> None:
        """Makes a run without end and starts it. `arms` are run_pb2.Arm."""
        run = run_pb2.Run(
            run_id=run_id, world=world, seed=1, round_limit=MORE_THAN_ENOUGH, arms=arms
        )
        json_format.ParseDict(settings, run.settings)
        await self.control.CreateRun(control_pb.CreateRunRequest(run=run))
        await self.control.StartRun(control_pb.StartRunRequest(run_id=run_id))

    async def run(self, run_id: str) -> run_pb2.Run:
        """How a run stands."""
        return (await self.control.GetRun(control_pb.GetRunRequest(run_id=run_id))).run

    async def until(self, run_id: str, there: Callable[[run_pb2.Run], bool]) -> None:
        """Returns when a run stands as wanted. TimeoutError after PATIENCE_S."""
        async with asyncio.timeout(PATIENCE_S):
            while not there(await self.run(run_id)):  # noqa: ASYNC110 - an operator's calls alone
                await asyncio.sleep(0.1)

    async def pause(self, run_id: str) -> None:
        """At the end of the round under way; returns when it is told."""
        await self.control.PauseRun(control_pb.PauseRunRequest(run_id=run_id))
        await self.until(run_id, lambda run: run.state == run_pb2.RUN_STATE_PAUSED)

    async def stop(self, run_id: str) -> None:
        """For good: its recommenders are told all, and go."""
        await self.control.StopRun(control_pb.StopRunRequest(run_id=run_id))

    async def close(self) -> None:
        """Lets go of the channel."""
        await self.channel.close()


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    """`recarena serve` on any free port; runs and its log go to `folder`. It is told to stop at
    the end. RuntimeError where it does not do as it should."""
    log = folder / "server.log"
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), "serve", "--listen", "127.0.0.1:0", "--runs", str(folder / "runs"),
            "--json", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=said,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        if not line:
            raise RuntimeError(f"the server ended: {log.read_text('utf-8', 'replace')[-500:]}")
        one = Served(process, json.loads(line)["address"], folder / "runs")
        try:
            yield one
        finally:
            await one.close()
        if process.returncode is not None:
            raise RuntimeError(f"the server ended by itself with {process.returncode}")
        process.send_signal(signal.SIGINT)
        if code := await asyncio.wait_for(process.wait(), PATIENCE_S):
            raise RuntimeError(f"the server stopped with exit code {code}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def light(address: str, log: Path, *words: object) -> asyncio.subprocess.Process:
    """Starts light recommenders in a process; what they say goes to `log`."""
    line = (str(Path(__file__).with_name("light.py")), address, *map(str, words))
    with log.open("ab") as said:
        return await asyncio.create_subprocess_exec(
            sys.executable, *line, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said
        )
