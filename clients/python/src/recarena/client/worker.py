"""One thread that runs calls in the order in which they were given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Returned(Generic[T]):
    """What a call came to. Kept as a value, since a future cannot carry every exception."""

    __slots__ = ("error", "value")

    def __init__(self, value: T | None, error: BaseException | None) -> None:
        self.value, self.error = value, error


Job = tuple[Callable[[], Any], "asyncio.Future[Returned[Any]]"]


class Worker:
    """Starts its thread at the first call. The thread never keeps the program from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, call: Callable[[], T]) -> asyncio.Future[Returned[T]]:
        """What `call` comes to, once all earlier calls are done.

        Cancelling the future takes back a call that has not begun.
        """
        future: asyncio.Future[Returned[T]] = asyncio.get_running_loop().create_future()
        self._jobs.put((call, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        return future

    async def idle(self) -> None:
        """Return when all calls so far are done."""
        if self._thread is not None:
            await self.run(lambda: None)

    def stop(self) -> None:
        """End the thread after the calls so far."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future = job
            if future.cancelled():
                continue
            try:
                returned = Returned[Any](call(), None)
            except BaseException as error:  # noqa: BLE001  it is handed to whoever waits
                returned = Returned[Any](None, error)
            try:
                future.get_loop().call_soon_threadsafe(settle, future, returned)
            except RuntimeError:  # the loop is gone, and with it everybody who waited
                return
            del job, call, future, returned  # nothing lives on while the thread waits


def settle(future: asyncio.Future[Returned[T]], returned: Returned[T]) -> None:
    if not future.done():
        future.set_result(returned)
