"""A clock that stands still while anything is left to do, and then jumps to the next timer: an hour
of waiting is over at once, and every moment can be hit exactly."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

PATIENCE = 30.0
"""Real seconds to wait for a thread."""
BEGIN = 1000.0
P = ParamSpec("P")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own. Threads are waited for while its clock stands still;
    sockets are not: what comes over them takes real time."""

    def __init__(self) -> None:
        self._now = BEGIN
        self._threads = 0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Nothing happened for so long."""
        self._now += seconds

    @property
    def has_threads(self) -> bool:
        """Whether a thread works for the loop."""
        return self._threads > 0

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: object) -> None:
        self._threads -= 1


class _Jumping(selectors.DefaultSelector):
    """Where a loop would sleep, its clock jumps."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or (timeout > 0 and self._loop.has_threads):
            events = super().select(PATIENCE)
            assert events, "everybody waits, and nothing will ever happen"
            return events
        events = super().select(0)
        if not events:
            self._loop.pass_by(timeout)
        return events


def on_a_virtual_clock(
    test: Callable[P, Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """Runs an async test in a `VirtualLoop`. Async fixtures are of another loop: not for it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def now() -> float:
    """The time of the loop."""
    return asyncio.get_running_loop().time()


async def until(moment: float) -> None:
    """Returns when the clock shows this."""
    await asyncio.sleep(moment - now())
