"""A proxy between a client and a server that keeps every byte the server sends."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Self

FRAME_HEAD = 9
DATA, PADDED = 0, 0x8


class WireTap:
    """Listens at `address` and passes everything on to `server`. Plaintext HTTP/2 only.

    `said` is what the server sent: the raw bytes of all connections, and the content of all DATA
    frames of each stream put together, so that what a frame's end cuts in two is whole there.
    """

    def __init__(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        self._there = host, int(port)
        self._raw: list[bytearray] = []
        self._server: asyncio.Server | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()

    @property
    def said(self) -> bytes:
        """All that the server has sent so far."""
        parts = [bytes(raw) for raw in self._raw]
        for raw in self._raw:
            parts += streams(bytes(raw)).values()
        return b"\0\0".join(parts)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._there)
        raw = bytearray()
        self._raw.append(raw)
        both = [
            asyncio.ensure_future(passed_on(reader, to_server)),
            asyncio.ensure_future(passed_on(from_server, writer, raw)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            for one in (writer, to_server):
                one.close()


async def passed_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None = None
) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            if kept is not None:
                kept += piece
            writer.write(piece)
            await writer.drain()


def streams(raw: bytes) -> dict[int, bytes]:
    """Stream number -> the content of its DATA frames, in order."""
    found: dict[int, bytes] = defaultdict(bytes)
    at = 0
    while at + FRAME_HEAD <= len(raw):
        length, kind, flags = int.from_bytes(raw[at : at + 3], "big"), raw[at + 3], raw[at + 4]
        stream = int.from_bytes(raw[at + 5 : at + 9], "big") & 0x7FFFFFFF
        content = raw[at + FRAME_HEAD : at + FRAME_HEAD + length]
        if kind == DATA:
            if flags & PADDED:
                content = content[1 : len(content) - content[0]]
            found[stream] += content
        at += FRAME_HEAD + length
    return dict(found)
