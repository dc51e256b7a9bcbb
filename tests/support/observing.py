"""The observatory as a program of its own, and a browser's requests without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from support.arena import PATIENCE
from support.commands import Live, started


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said to one request."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        return self.json["error"]


class Unmoved(urllib.request.HTTPRedirectHandler):
    """Goes nowhere by itself."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Visitor:
    """Whoever opens the page. Signed in unless told otherwise."""

    url: str
    """As it was printed, with the token."""
    cookie: str = ""
    live: Live | None = None
    number: int = field(default=0)

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    async def sign_in(self) -> Visitor:
        answer = await self.ask(self.url.removeprefix(self.origin))
        assert answer.status == 303, answer
        jar = SimpleCookie(answer.headers["set-cookie"])
        self.cookie = "; ".join(f"{name}={one.value}" for name, one in jar.items())
        return self

    async def ask(
        self, path: str, body: object | None = None, headers: Mapping[str, str] | None = None,
        *, method: str | None = None,
    ) -> Answer:  # fmt: skip
        """A request; with a body a POST, as the page makes them. Headers of "" are left out."""
        sent = {"Cookie": self.cookie}
        if body is not None:
            sent |= {"Origin": self.origin, "X-RecArena": "1", "Content-Type": "application/json"}
        sent |= headers or {}
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.origin + path, raw, {k: v for k, v in sent.items() if v}, method=method
        )

        def call() -> Answer:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Unmoved())
            try:
                with opener.open(request, timeout=PATIENCE) as answer:
                    said = {name.lower(): value for name, value in answer.headers.items()}
                    return Answer(answer.status, answer.read(), said)
            except urllib.error.HTTPError as error:
                with error:
                    said = {name.lower(): value for name, value in error.headers.items()}
                    return Answer(error.code, error.read(), said)

        return await asyncio.to_thread(call)

    async def get(self, path: str) -> Any:
        """The JSON at a path that is there."""
        answer = await self.ask(path)
        assert answer.status == 200, (path, answer)
        return answer.json

    async def command(self, run: str, command: str, **fields: Any) -> Answer:
        self.number += 1
        asked = {"command": command, "epoch": 0, "key": f"key-{self.number}", **fields}
        return await self.ask(f"/api/runs/{run}/commands", asked)

    def socket(
        self, run: str, query: str = "epoch=0&since=0", **options: Any
    ) -> contextlib.AbstractAsyncContextManager[ClientConnection]:
        """The live socket of a page."""
        headers = {"Cookie": self.cookie, **options.pop("headers", {})}
        return connect(
            f"ws{self.origin.removeprefix('http')}/api/runs/{run}/live?{query}",
            additional_headers={k: v for k, v in headers.items() if v},
            origin=options.pop("origin", self.origin), proxy=None, max_size=None, **options,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def observatory(server: str, *words: object, cwd: Path) -> AsyncGenerator[Visitor]:
    """The program over a server, and a visitor who is signed in."""
    async with started("observatory", "--server", server, "--json", *words, cwd=cwd) as live:
        said = await live.event("serving")
        assert said, (await live.ended(), live.events)
        yield await Visitor(said["url"], live=live).sign_in()


async def messages(socket: ClientConnection, *kinds: str) -> AsyncIterator[dict[str, Any]]:
    """Messages of some types, as they come; without types, all."""
    while True:
        message = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
        if not kinds or message["type"] in kinds:
            yield message


async def first(socket: ClientConnection, *kinds: str) -> dict[str, Any]:
    """The next message of some types."""
    async for message in messages(socket, *kinds):
        return message
    raise AssertionError("the socket was closed")
