"""Calls sent by other processes, where one core is not enough for the SDK.

Parent and worker talk over a socket pair in frames: number, then lengths, then bytes. Keys reach
a worker over that socket too, never by its command line or environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from recarena.server.llm.transport import (
    Arrived,
    Endpoint,
    NotArrived,
    SdkTransport,
    import_sdks,
)

_ASKED = struct.Struct("<IHII")
"""Number of the call, of the key, length of the path, of the body."""
_ANSWERED = struct.Struct("<IHII")
"""Number of the call, status (0: not arrived), length of the headers, of the body."""
STOP_GRACE_S = 5.0
ENDED = "the process that sends calls has ended"


class Frames(asyncio.Protocol):
    """Frames of a header and two pieces of bytes, over a stream."""

    def __init__(
        self,
        header: struct.Struct,
        on_frame: Callable[[int, int, bytes, bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self._header, self._on_frame, self._on_end = header, on_frame, on_end
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps what frames are written to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its type

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone."""
        self._on_end()

    def data_received(self, data: bytes) -> None:
        """Hands over the frames that are complete."""
        self._buffer += data
        size = self._header.size
        while len(self._buffer) >= size:
            number, small, first, second = self._header.unpack_from(self._buffer)
            end = size + first + second
            if len(self._buffer) < end:
                return
            one = bytes(self._buffer[size : size + first])
            two = bytes(self._buffer[size + first : end])
            del self._buffer[:end]
            self._on_frame(number, small, one, two)

    def send(self, number: int, small: int, one: bytes, two: bytes) -> None:
        """Writes a frame."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(self._header.pack(number, small, len(one), len(two)) + one + two)

    def close(self) -> None:
        """Ends the stream."""
        if self._transport:
            self._transport.close()


class _Worker:
    """One process that sends calls."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._process: asyncio.subprocess.Process | None = None
        self._frames: Frames | None = None
        self._awaited: dict[int, asyncio.Future[Arrived]] = {}
        self.in_flight = 0
        """Calls that are not answered yet, those that wait for the process to start among them."""
        self._number = 0
        self._starting = asyncio.Lock()

    async def post(self, key: int, body: bytes, path: str) -> Arrived:
        """The response; NotArrived also where the process ends meanwhile (the next call starts
        another one)."""
        self.in_flight += 1
        try:
            return await self._post(key, body, path)
        finally:
            self.in_flight -= 1

    async def _post(self, key: int, body: bytes, path: str) -> Arrived:
        async with self._starting:
            if self._frames is None:
                await self._start()
        if self._frames is None:
            raise NotArrived(ENDED)
        self._number = (self._number + 1) % 2**32
        number = self._number
        future: asyncio.Future[Arrived] = asyncio.get_running_loop().create_future()
        self._awaited[number] = future
        self._frames.send(number, key, path.encode(), body)
        try:
            return await future
        finally:
            self._awaited.pop(number, None)

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__, str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                env=_without(self._endpoint.keys),
            )
        ours.setblocking(False)
        frames = Frames(_ANSWERED, self._answered, lambda: self._ended(frames))
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: frames, sock=ours)
        frames.send(0, 0, json.dumps(dataclasses.asdict(self._endpoint)).encode(), b"")
        self._frames = frames

    def _answered(self, number: int, status: int, headers: bytes, body: bytes) -> None:
        future = self._awaited.get(number)
        if future is None or future.done():
            return
        if status:
            future.set_result(Arrived(status, json.loads(headers), body))
        else:
            future.set_exception(NotArrived(body.decode("utf-8", "replace")))

    def _ended(self, frames: Frames) -> None:
        if self._frames is frames:
            self._frames = None
        for future in self._awaited.values():
            if not future.done():
                future.set_exception(NotArrived(ENDED))

    async def close(self) -> None:
        """Ends the process."""
        if self._frames:
            self._frames.close()
        if self._process:
            try:
                async with asyncio.timeout(STOP_GRACE_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


def _without(keys: Sequence[str]) -> dict[str, str]:
    """The environment without the variables that hold one of these keys."""

    def holds_one(value: str) -> bool:
        return any(one.strip() in keys for one in value.split(","))

    return {name: value for name, value in os.environ.items() if not holds_one(value)}


class WorkerTransport:
    """Spreads calls over processes; each holds a share of the connections."""

    def __init__(self, endpoint: Endpoint, workers: int) -> None:
        import_sdks()
        each = dataclasses.replace(endpoint, connections=-(-endpoint.connections // workers) + 1)
        self._workers = [_Worker(each) for _ in range(workers)]

    async def post(self, key: int, body: bytes, path: str = "") -> Arrived:
        """By the process with the fewest calls under way."""
        return await min(self._workers, key=lambda one: one.in_flight).post(key, body, path)

    async def close(self) -> None:
        """Ends all processes."""
        await asyncio.gather(*(worker.close() for worker in self._workers))


# ---------------------------------------------------------------------- the process itself


async def _serve(descriptor: int) -> None:
    """Sends what the parent asks for until it is gone."""
    over = asyncio.Event()
    transport: SdkTransport | None = None
    tasks: set[asyncio.Task[None]] = set()

    async def send(number: int, key: int, path: str, body: bytes) -> None:
        assert transport is not None
        try:
            arrived = await transport.post(key, body, path)
        except NotArrived as error:
            frames.send(number, 0, b"", str(error).encode())
        except Exception as error:  # noqa: BLE001 - the parent has to hear of anything
            frames.send(number, 0, b"", f"{type(error).__name__}: {error}".encode())
        else:
            headers = json.dumps(arrived.headers).encode()
            frames.send(number, arrived.status, headers, arrived.body)

    def on_frame(number: int, key: int, first: bytes, body: bytes) -> None:
        nonlocal transport
        if transport is None:
            told: Any = json.loads(first)
            told["keys"] = tuple(told["keys"])
            transport = SdkTransport(Endpoint(**told))
            return
        task = asyncio.ensure_future(send(number, key, first.decode(), body))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    frames = Frames(_ASKED, on_frame, over.set)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: frames, sock=socket.socket(fileno=descriptor))
    await over.wait()
    for task in set(tasks):
        task.cancel()
    if transport:
        await transport.close()


def main() -> None:
    """Entry of the process."""
    import signal

    # Ctrl-C at the terminal reaches the whole group; the parent says when it is over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=quick_loop()) as runner, contextlib.suppress(OSError):
        runner.run(_serve(int(sys.argv[1])))


def quick_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: the SDKs' calls take about a third less of a core on it."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
