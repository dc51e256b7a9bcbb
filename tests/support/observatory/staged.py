"""A scripted server for the observatory: real RPCs on a real port over a made-up world.

It follows the contract closely enough to develop and test a watcher against: runs go at a set
pace, follow commands and take interventions, people can take turns, and the server can stall,
vanish and come back on the same port. By hand, from tests/:

    python -m support.observatory.staged --users 1000 --ties 5000 --rate 500
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import grpc
import grpc.aio

from support.observatory.plays import Pace, Play, State
from support.observatory.scenery import scenery
from support.observatory.services import add_to
from support.observatory.staging import Stage

One = TypeVar("One")
PATIENCE = 30.0


class Staged:
    """The server; use it within one event loop. `runs` are "live" (created, `ahead` rounds of it
    played), "finished" (40 rounds) and "broken" (failed in round 3)."""

    def __init__(
        self, users: int = 60, ties: int = 180, pace: Pace | None = None, *, ahead: int = 0
    ) -> None:
        self.stage = Stage()
        self._shape = users, ties, pace or Pace(events=60, every_s=0.2), ahead
        self.port = 0
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Starts; the address is known then."""
        if not self.stage.plays:
            users, ties, pace, ahead = self._shape
            world = scenery(users, ties)
            live = Play("live", world, pace)
            live.play_ahead(ahead)
            if ahead:
                live.state = State.RUN_STATE_PAUSED
            finished = Play("finished", world, Pace(40, pace.events, pace.every_s), 3, llm=False)
            finished.play_ahead(40)
            finished.state = State.RUN_STATE_SUCCEEDED
            broken = Play("broken", world, Pace(40, pace.events, pace.every_s), 4, llm=False)
            broken.play_ahead(3)
            broken.state, broken.error = State.RUN_STATE_FAILED, "als answered nothing usable"
            self.stage.plays = {one.run_id: one for one in (live, finished, broken)}
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_to(self._server, self.stage)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def vanish(self) -> None:
        """Ends every call and leaves the port; what is played goes on."""
        if self._server:
            await self._server.stop(None)
            self._server = None

    async def close(self) -> None:
        for play in self.stage.plays.values():
            await play.close()
        self.stage.gate.set()
        await self.vanish()

    def stall(self) -> None:
        """Answers nothing from now on, with all connections open."""
        self.stage.gate.clear()

    def unstall(self) -> None:
        self.stage.gate.set()


class ThreadedStaged:
    """The server in a thread with its own event loop, for tests that are not async. A context."""

    def __init__(self, *shape: Any, **more: Any) -> None:
        self._shape, self._more = shape, more
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> ThreadedStaged:
        self._thread.start()
        self.server: Staged = self._run(self._make())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self.server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _make(self) -> Staged:
        server = Staged(*self._shape, **self._more)
        await server.open()
        return server

    def _run(self, work: Coroutine[Any, Any, One]) -> One:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    @property
    def address(self) -> str:
        return self.server.address

    def vanish(self) -> None:
        self._run(self.server.vanish())

    def come_back(self) -> None:
        self._run(self.server.open())

    def stall(self) -> None:
        self._loop.call_soon_threadsafe(self.server.stall)

    def unstall(self) -> None:
        self._loop.call_soon_threadsafe(self.server.unstall)

    def play(self, run_id: str = "live") -> Play:
        """The run itself: read it, change it with `on_stage`."""
        return self.server.stage.plays[run_id]

    def on_stage(self, deed: Callable[[Stage], One]) -> One:
        """Does something to the stage in the server's own loop."""
        done: Future[One] = Future()

        def do() -> None:
            try:
                done.set_result(deed(self.server.stage))
            except Exception as error:  # noqa: BLE001 - given back to whoever asked
                done.set_exception(error)

        self._loop.call_soon_threadsafe(do)
        return done.result(PATIENCE)


async def serve(asked: argparse.Namespace) -> None:
    events = max(1, round(asked.rate / asked.rounds_a_second))
    pace = Pace(asked.rounds, events, 1 / asked.rounds_a_second)
    server = Staged(asked.users, asked.ties, pace, ahead=asked.ahead)
    server.stage.observers_only = asked.observers_only
    server.port = asked.port
    await server.open()
    if asked.start:
        server.stage.play("live").start()
    said = json.dumps({"event": "serving", "address": server.address})
    print(said if asked.json else server.address, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()


def command() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="support.observatory.staged", description=__doc__, formatter_class=plain
    )
    add = parser.add_argument
    add("--users", type=int, default=200)
    add("--ties", type=int, default=800)
    add("--rate", type=float, default=200, help="events a second, besides items shown")
    add("--rounds-a-second", type=float, default=2)
    add("--rounds", type=int, default=100_000, help="rounds of the run called live")
    add("--ahead", type=int, default=0, help="rounds of it that are played at the beginning")
    add("--start", action="store_true", help="start it at once")
    add("--observers-only", action="store_true", help="refuse whatever changes something")
    add("--json", action="store_true", help="say the address in a line of JSON")
    add("--port", type=int, default=0)
    return parser


if __name__ == "__main__":
    try:
        asyncio.run(serve(command().parse_args()))
    except KeyboardInterrupt:
        sys.exit(0)
