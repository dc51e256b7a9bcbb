"""HTTP/1.1 over asyncio, as much as an SDK speaks: keep-alive, bodies by length or chunked."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

LONGEST_HEAD = 65_536
LONGEST_BODY = 64 * 2**20
REASONS = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}
Headers = Iterable[tuple[str, str]]


class BadHttp(Exception):
    """What came is no HTTP/1.1 request."""


@dataclass(slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    keep_alive: bool = True


class Served(Protocol):
    """Whoever answers: by `Connection.respond`, at once or later."""

    def connected(self, connection: Connection) -> None: ...
    def requested(self, connection: Connection, request: Request) -> None: ...
    def lost(self, connection: Connection) -> None: ...


def request_of(head: bytes) -> Request:
    """The request line and the headers, with the names in lower case."""
    try:
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
    except ValueError as error:
        raise BadHttp(f"no request line: {head[:80]!r}") from error
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadHttp(f"no header: {line[:80]!r}")
        headers[name.lower()] = value.strip()
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Request(method, target.partition("?")[0], headers, keep_alive=keep_alive)


@dataclass(slots=True)
class Body:
    """A body on its way, of `length` bytes or, with None, in chunks."""

    length: int | None
    chunks: list[bytes] = field(default_factory=list)
    ended: bool = False

    @classmethod
    def of(cls, request: Request) -> Body:
        if "chunked" in request.headers.get("transfer-encoding", "").lower():
            return cls(None)
        given = request.headers.get("content-length", "0")
        if not given.isdecimal() or int(given) > LONGEST_BODY:
            raise BadHttp(f"Content-Length: {given[:40]}")
        return cls(int(given))

    def take(self, buffer: bytearray) -> bytes | None:
        """The whole body, taken off the buffer, or None while something of it is missing."""
        if self.length is None:
            return self._take_chunks(buffer)
        if len(buffer) < self.length:
            return None
        whole = bytes(buffer[: self.length])
        del buffer[: self.length]
        return whole

    def _take_chunks(self, buffer: bytearray) -> bytes | None:
        while (end := buffer.find(b"\r\n")) >= 0:
            if self.ended:  # trailers, up to an empty line
                del buffer[: end + 2]
                if end == 0:
                    return b"".join(self.chunks)
                continue
            try:
                size = int(bytes(buffer[:end]).partition(b";")[0], 16)
            except ValueError as error:
                raise BadHttp("no chunk size") from error
            if not 0 <= size <= LONGEST_BODY:
                raise BadHttp("chunk size")
            if size and len(buffer) < end + size + 4:
                return None
            if size:
                self.chunks.append(bytes(buffer[end + 2 : end + 2 + size]))
                del buffer[: end + size + 4]
            else:
                del buffer[: end + 2]
                self.ended = True
        return None


class Connection(asyncio.Protocol):
    """One connection. Requests that are sent ahead wait until the one before is answered."""

    transport: asyncio.Transport

    def __init__(self, served: Served) -> None:
        self.served = served
        self.exchange: object | None = None  # the server's note of the request that is open
        self._buffer = bytearray()
        self._request: Request | None = None
        self._body: Body | None = None
        self._open: Request | None = None
        self._advancing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.served.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.served.lost(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._open is None and (request := self._next()) is not None:
                self._open = request
                self.served.requested(self, request)
        except BadHttp as error:
            self._open = Request("", "", {}, keep_alive=False)
            self.respond(400, str(error).encode(), [("Content-Type", "text/plain")])
        finally:
            self._advancing = False

    def _next(self) -> Request | None:
        if self._request is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > LONGEST_HEAD:
                    raise BadHttp("the head is too long")
                return None
            request = request_of(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            self._request, self._body = request, Body.of(request)
            if request.headers.get("expect", "").lower() == "100-continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert self._body is not None
        whole = self._body.take(self._buffer)
        if whole is None:
            return None
        request, self._request = self._request, None
        request.body = whole
        return request

    def respond(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Answer the open request."""
        if self._open is None or self.transport.is_closing():
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        if not self._open.keep_alive:
            lines += "Connection: close\r\n"
        head = (
            f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\n"
            f"{lines}Content-Length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode("latin-1") + body)
        keep_alive, self._open = self._open.keep_alive, None
        if keep_alive:
            self._advance()
        else:
            self.transport.close()

    def reset(self) -> None:
        """Close so that the peer gets an RST."""
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self.transport.abort()
