"""The server: which request gets what, when, and what is noted about it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TextIO

from support.llm_stub import replies
from support.llm_stub.asking import BadRequest, Json, Mind, asked_by
from support.llm_stub.faults import spoilt
from support.llm_stub.minds import random_mind
from support.llm_stub.switches import Dice, Switches
from support.llm_stub.wire import Connection, Request

APIS = {
    "/v1/messages": "anthropic",
    "/v1/responses": "openai",
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embeddings",
}
MINUTE = 60.0
Reply = tuple[int, Json]


@dataclass(slots=True)
class Call:
    """One request that is over. Status 0: never answered, or its client went away."""

    api: str
    path: str
    task: str
    key: str
    body_hash: str
    status: int
    seconds: float
    answered: bool


@dataclass(slots=True)
class Exchange:
    """A request that is open."""

    connection: Connection
    api: str
    path: str
    key: str
    body: bytes
    body_hash: str
    started: float
    task: str = ""
    text: str | None = None  # what the mind answered, as it is sent
    timer: asyncio.TimerHandle | None = None


class LlmStub:
    """A provider of language models on the loopback.

    async with LlmStub(random_mind(1), Switches(latency_s=0.2)) as stub:
        client = AsyncAnthropic(base_url=stub.url, api_key="any", max_retries=0)

    An exception out of the mind is answered with 500, kept in `errors` and raised at the end.
    """

    def __init__(
        self,
        mind: Mind | None = None,
        switches: Switches | None = None,
        *,
        record_bodies: Path | None = None,
    ) -> None:
        self.mind = mind or random_mind()
        self.switches = switches or Switches()
        self.calls: list[Call] = []
        self.by_status: Counter[int] = Counter()
        self.by_key: Counter[str] = Counter()
        self.by_task: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()  # body hash -> how often answered with 200
        self.in_flight = 0
        self.most_in_flight = 0
        self.errors: list[Exception] = []
        self.url = ""
        self._record_bodies = record_bodies
        self._record: TextIO | None = None
        self._seen: Counter[str] = Counter()
        self._flying: Counter[str] = Counter()
        self._minutes: dict[str, tuple[float, int]] = {}
        self._connections: set[Connection] = set()
        self._closing = False
        self._all_gone = asyncio.Event()
        self._idle = asyncio.Event()
        self._number = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if self._record_bodies is not None:
            self._record = self._record_bodies.open("a", buffering=1, encoding="utf-8")
        self._server = await self._loop.create_server(
            lambda: Connection(self), "127.0.0.1", 0, backlog=4096
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._server.close()
        self._closing = True
        for connection in list(self._connections):
            connection.transport.abort()
        if self._connections:
            await self._all_gone.wait()
        await self._server.wait_closed()
        if self._record is not None:
            self._record.close()
        if self.errors and kind is None:
            raise self.errors[0]

    def counts(self) -> Json:
        """What `GET /_stub/calls` says."""
        return {
            "total": len(self.calls),
            "by_status": {str(status): n for status, n in self.by_status.items()},
            "by_key": dict(self.by_key),
            "by_task": dict(self.by_task),
            "answered": dict(self.answered),
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
        }

    async def idle(self) -> None:
        """Return once nothing is in flight, also nothing whose client has gone."""
        if self.in_flight:
            await self._idle.wait()

    def connected(self, connection: Connection) -> None:
        self._connections.add(connection)
        if self._closing:
            connection.transport.abort()

    def lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._closing and not self._connections:
            self._all_gone.set()
        if isinstance(exchange := connection.exchange, Exchange):
            if exchange.timer is not None:
                exchange.timer.cancel()
            self._end(exchange, 0)

    def requested(self, connection: Connection, request: Request) -> None:
        if request.path.startswith("/_stub/"):
            self._administer(connection, request)
            return
        headers = request.headers
        if request.path.startswith("/v1/models"):
            api = "anthropic" if "anthropic-version" in headers else "models"
        else:
            api = APIS.get(request.path, "")
        key = headers.get("x-api-key", "")
        if not key and headers.get("authorization", "").startswith("Bearer "):
            key = headers["authorization"].removeprefix("Bearer ").strip()
        body_hash = hashlib.sha256(request.body).hexdigest()
        exchange = Exchange(
            connection, api, request.path, key, request.body, body_hash, self._loop.time()
        )
        connection.exchange = exchange
        self.by_key[key] += 1
        self._flying[key] += 1
        self.in_flight += 1
        self._idle.clear()
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if (turned_down := self._turned_down(exchange, request.method)) is not None:
            self._respond(exchange, *turned_down)
        else:
            self._decide(exchange)

    def _turned_down(self, exchange: Exchange, method: str) -> Reply | None:
        """What is wrong with the request itself, whatever is drawn; and how many there are."""
        api, switches = exchange.api, self.switches
        known = switches.keys is None or exchange.key in switches.keys
        if not exchange.key or not known:
            return 401, replies.error(api, 401, "invalid x-api-key: incorrect API key provided")
        if not api:
            return 404, replies.error(api, 404, f"Not found: {exchange.path}")
        if exchange.path.startswith("/v1/models"):
            return self._models(exchange) if method == "GET" else self._wrong_method(api, method)
        if method != "POST":
            return self._wrong_method(api, method)
        if switches.rate_limit_above is not None:
            flying = self._flying[exchange.key]
            if flying > switches.rate_limit_above:
                return 429, replies.error(api, 429, f"Rate limit: {flying} requests in flight")
        return None

    @staticmethod
    def _wrong_method(api: str, method: str) -> Reply:
        return 405, replies.error(api, 405, f"Method {method} not allowed")

    def _models(self, exchange: Exchange) -> Reply:
        names = self.switches.models if self.switches.models is not None else ("stub-1",)
        name = exchange.path.removeprefix("/v1/models").strip("/")
        if not name:
            return 200, replies.models(exchange.api, names)
        if name not in names:
            return 404, replies.error(exchange.api, 404, f"model: {name}")
        return 200, replies.models(exchange.api, [name])["data"][0]

    def _decide(self, exchange: Exchange) -> None:
        """Draw what happens, and do it at once or later."""
        switches, body_hash = self.switches, exchange.body_hash
        dice = Dice(switches.seed, body_hash, self._seen[body_hash])
        self._seen[body_hash] += 1
        if dice.hits("hang", switches.hang):
            return
        if dice.hits("spend_limit", switches.spend_limit):
            self._respond(exchange, *replies.no_money(exchange.api))
            return
        if dice.hits("rate_limited", switches.rate_limited):
            error = replies.error(exchange.api, 429, "Rate limit reached. Please slow down.")
            self._respond(exchange, 429, error)
            return
        reply: Reply | None = None  # None: by RST
        if not dice.hits("reset", switches.reset):
            reply = self._reply(exchange, dice)
        delay = switches.latency_s
        if switches.latency_spread_s:
            delay += switches.latency_spread_s * dice.draw("latency")
        if delay > 0:
            exchange.timer = self._loop.call_later(delay, self._finish, exchange, reply)
        else:
            self._finish(exchange, reply)

    def _finish(self, exchange: Exchange, reply: Reply | None) -> None:
        if reply is None:
            exchange.connection.reset()
        else:
            self._respond(exchange, *reply)

    def _reply(self, exchange: Exchange, dice: Dice) -> Reply:
        api, switches = exchange.api, self.switches
        if dice.hits("server_error", switches.server_error):
            status = switches.server_error_status
            return status, replies.error(api, status, "The server had an error.")
        try:
            body = json.loads(exchange.body)
            if not isinstance(body, dict):
                raise BadRequest("the body is no JSON object")
            if switches.models is not None and body.get("model") not in switches.models:
                return 404, replies.error(api, 404, f"model: {body.get('model')}")
            if api == "embeddings":
                return 200, replies.embeddings(body, switches.dimension)
            asked = asked_by(api, body, exchange.body_hash, switches.caps_context)
        except (ValueError, BadRequest) as error:
            return 400, replies.error(api, 400, str(error))
        exchange.task = asked.task
        try:
            answered = spoilt(self.mind(asked), asked, switches, dice)
        except Exception as error:  # noqa: BLE001 - it is raised when the stub ends
            self.errors.append(error)
            return 500, replies.error(api, 500, f"the mind failed: {error!r}")
        exchange.text = answered.text
        self._number += 1
        with_usage = not dice.hits("missing_usage", switches.missing_usage)
        return 200, replies.reply(asked, answered, self._number, with_usage=with_usage)

    def _respond(self, exchange: Exchange, status: int, body: Json) -> None:
        switches, api = self.switches, exchange.api
        name = "request-id" if api == "anthropic" else "x-request-id"
        headers = [
            ("Content-Type", "application/json"),
            (name, f"req_{len(self.calls):024d}"),
        ]
        if status == 429 and switches.retry_after_s is not None:
            headers.append(("Retry-After", f"{switches.retry_after_s:g}"))
        if switches.limits:
            headers += replies.limit_headers(api, switches.limit_requests, *self._used(exchange))
        connection = exchange.connection
        self._end(exchange, status)
        connection.respond(status, json.dumps(body).encode(), headers)

    def _used(self, exchange: Exchange) -> tuple[int, float]:
        """How many requests this minute has seen for the key, and in how long it ends."""
        began, used = self._minutes.get(exchange.key, (exchange.started, 0))
        if exchange.started - began >= MINUTE:
            began, used = exchange.started, 0
        self._minutes[exchange.key] = (began, used + 1)
        return used + 1, max(0.0, began + MINUTE - exchange.started)

    def _end(self, exchange: Exchange, status: int) -> None:
        exchange.connection.exchange = None
        self.in_flight -= 1
        self._flying[exchange.key] -= 1
        if not self.in_flight:
            self._idle.set()
        self.by_status[status] += 1
        self.by_task[exchange.task] += 1
        answered = status == 200 and bool(exchange.body)
        if answered:
            self.answered[exchange.body_hash] += 1
        seconds = self._loop.time() - exchange.started
        self.calls.append(
            Call(
                exchange.api,
                exchange.path,
                exchange.task,
                exchange.key,
                exchange.body_hash,
                status,
                seconds,
                answered,
            )
        )
        if self._record is not None:
            line = {
                "at": time.time(),
                "api": exchange.api,
                "key": exchange.key,
                "body_hash": exchange.body_hash,
                "status": status,
                "body": exchange.body.decode("utf-8", "replace"),
                "answer": exchange.text if answered else None,
            }
            self._record.write(json.dumps(line) + "\n")

    def _administer(self, connection: Connection, request: Request) -> None:
        status, body = 200, self._administered(request)
        if isinstance(body, str):
            status, body = 400, {"error": body}
        connection.respond(
            status, json.dumps(body).encode(), [("Content-Type", "application/json")]
        )

    def _administered(self, request: Request) -> Json | str:
        what: Any = (request.method, request.path)
        if what == ("GET", "/_stub/calls"):
            return self.counts()
        if what != ("POST", "/_stub/switches"):
            return f"nothing is at {request.method} {request.path}"
        try:
            self.switches.update(json.loads(request.body))
        except (ValueError, AttributeError) as error:
            return str(error)
        return asdict(self.switches)
