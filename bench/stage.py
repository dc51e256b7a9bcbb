"""A run on stage: the real server, a recommender in a process of its own, rounds on demand."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cpu import Cpu

from recarena.server.cli.output import set_up_logging
from recarena.server.config import parse_settings
from recarena.server.datasets.world_data import WorldData
from recarena.server.founding import RunState, create_run
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import RoundResult

NAME = "popular"
"""Of the recommender, and of its arm."""
STOP_GRACE_S = 5.0
MORE_THAN_ENOUGH = 10_000
"""Rounds that a run is planned for, so that it never ends by itself."""


@dataclass(frozen=True, slots=True)
class Played:
    """What some rounds came to."""

    lists: int
    seconds: float
    """From the start of the first to when the recommender was ready for the next."""
    store_seconds: float
    """What of it the run folder took, while nothing else happened."""
    cpu: Cpu
    """Its processors' time, without the run folder's."""

    @property
    def serving_seconds(self) -> float:
        """Without the run folder."""
        return self.seconds - self.store_seconds


class Ledger:
    """Stands before a run folder and keeps account of what it was given and how long it took."""

    def __init__(self, folder: RunFolder) -> None:
        self.seconds, self.lists = 0.0, 0
        self.cpu = Cpu()
        self._commit, self._set_status = folder.commit, folder.set_status
        folder.commit, folder.set_status = self.commit, self.set_status

    async def commit(self, result: RoundResult, sim_time: datetime) -> None:
        """As the folder's."""
        with self._counted():
            await self._commit(result, sim_time)
        self.lists += sum(work.lists for work in result.works)

    def set_status(self, state: str, error: str = "") -> None:
        """As the folder's."""
        with self._counted():
            self._set_status(state, error)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        start, cpu = time.perf_counter(), Cpu.so_far(None)
        yield
        self.seconds += time.perf_counter() - start
        self.cpu += Cpu.so_far(None) - cpu


class Stage:
    """A run whose recommenders are there; `play` plays rounds of it."""

    def __init__(self, run: Run, recommender_pid: int | None = None) -> None:
        self.run, self.recommender_pid = run, recommender_pid
        self._ledger = Ledger(run.folder)

    async def play(self, rounds: int = 1) -> Played:
        """Plays rounds, until the recommender has taken in the feedback of the last one and says
        that it is ready for the next: nothing is left over for whoever measures next."""
        store, lists = self._ledger.seconds, self._ledger.lists
        store_cpu = self._ledger.cpu
        start, cpu = time.perf_counter(), Cpu.so_far(self.recommender_pid)
        self.run.start(rounds)
        await self.run.settled()
        if self.run.state is not RunState.PAUSED:
            raise RuntimeError(f"the run is {self.run.state}: {self.run.error}")
        following = self.run.round + 1
        when = self.run.settings.time.of_round(following)
        for recommender in self.run.recommenders:
            await recommender.round_started(following, when, self.run.world.users)
        took = time.perf_counter() - start
        return Played(
            self._ledger.lists - lists,
            took,
            self._ledger.seconds - store,
            Cpu.so_far(self.recommender_pid) - cpu - (self._ledger.cpu - store_cpu),
        )


def settings(**values: Any) -> dict[str, Any]:
    """Settings of a run with one recommender."""
    return {"seed": 1, "rounds": MORE_THAN_ENOUGH, "arms": [{"recommender": NAME}], **values}


@asynccontextmanager
async def staged(
    world: WorldData, values: Mapping[str, Any], options: Sequence[str]
) -> AsyncIterator[Stage]:
    """A run on a real server with `recarena-recommender popular OPTIONS`, after a first round."""
    set_up_logging("error", True)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        create_run(folder / "run", parse_settings(values, "bench"), world).close()
        async with Server(folder) as server:
            run = server.house.run("run")
            async with serving(server.address, options, folder / "log") as recommender:
                try:
                    yield await _opened(run, recommender, folder / "log")
                finally:
                    await run.close()


@asynccontextmanager
async def serving(
    address: str, options: Sequence[str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The reference recommender as a process of its own; it is gone afterwards."""
    program = Path(sys.executable).with_name("recarena-recommender")
    line = (str(program), NAME, "--server", address, "--retry-for", "10", *options)
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *line, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_GRACE_S)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _opened(run: Run, recommender: asyncio.subprocess.Process, log: Path) -> Stage:
    """The stage after its first round; RuntimeError where the recommender ends instead."""
    stage = Stage(run, recommender.pid)
    first = asyncio.ensure_future(stage.play())
    died = asyncio.ensure_future(recommender.wait())
    await asyncio.wait({first, died}, return_when=asyncio.FIRST_COMPLETED)
    if not first.done():
        first.cancel()
        raise RuntimeError(f"the recommender ended: {last_words(log)}")
    died.cancel()
    await first
    return stage


def last_words(log: Path) -> str:
    """The end of what a program said."""
    return log.read_text("utf-8", "replace")[-500:]
