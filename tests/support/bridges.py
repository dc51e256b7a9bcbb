"""Mappings for tests, and a service that answers in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from recarena.bridge.loading import Loaded, load
from recarena.bridge.recommender import Bridge
from recarena.client import Catalog, Item, RankQuery, RunInfo, SearchQuery, UserContext
from recarena.v1.types_pb2 import CandidateSet

BASE = 'base_url = "http://127.0.0.1:1"\nretry = { first_delay = 0.001 }\n'
RANK = '[rank]\npath = "/for/{user_id}"\nquery = { n = "{wanted}" }\n'
ITEMS = [f"i{number}" for number in range(8)]


def loaded(text: str = BASE + RANK, *settings: str, **environment: str) -> Loaded:
    """A mapping from its text."""
    return load(text, "my.toml", Path(), settings, environment)


@dataclass(slots=True)
class Stub:
    """A service: `answer` gets each request; what it returns is the JSON, or a response."""

    answer: Callable[[httpx2.Request], Any]
    requests: list[httpx2.Request] = field(default_factory=list[httpx2.Request])

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        said = self.answer(request)
        return said if isinstance(said, httpx2.Response) else httpx2.Response(200, json=said)

    @property
    def asked(self) -> list[str]:
        """Method, path and query of each request."""
        return [f"{one.method} {one.url.raw_path.decode()}" for one in self.requests]

    @property
    def bodies(self) -> list[Any]:
        """The JSON of the requests that have a body."""
        return [json.loads(one.content) for one in self.requests if one.content]


@asynccontextmanager
async def bridge(
    mapping: Loaded, answer: Callable[[httpx2.Request], Any], work_timeout: float = 5.0
) -> AsyncIterator[tuple[Bridge, Stub]]:
    """A bridge that serves a run of the items i0 to i7."""
    stub = Stub(answer)
    one = Bridge(mapping, httpx2.MockTransport(stub))
    await one.start(
        RunInfo(
            run_id="run-1", epoch=1, user_count=3, page_size=3, round_limit=3, arm_ids=("arm",),
            catalog=Catalog.of("v1", [Item(item_id=id, title=f"Film {id}") for id in ITEMS]),
            columnar=False, work_timeout=work_timeout,
        )
    )  # fmt: skip
    try:
        yield one, stub
    finally:
        await one.close()


def query(user: str = "u1", count: int = 3, offset: int = 0, excluded: tuple[str, ...] = ()):
    return RankQuery(
        user=UserContext(user_id=user), surface=1, result_count=count, offset=offset,
        candidates=CandidateSet(excluded_item_ids=excluded),
    )  # fmt: skip


def search(text: str, user: str = "u1", count: int = 3) -> SearchQuery:
    return SearchQuery(user=UserContext(user_id=user), text=text, result_count=count)
