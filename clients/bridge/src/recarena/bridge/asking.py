"""The questions of RecArena as requests to the service, and its answers as lists."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from recarena.bridge import lists
from recarena.bridge.counts import Counts
from recarena.bridge.errors import ServiceFailed
from recarena.bridge.ids import ItemIdMap
from recarena.bridge.lists import Wanted
from recarena.bridge.mapping import Batch, Paged, Rank, Search
from recarena.bridge.service import Outgoing, Service, outgoing
from recarena.bridge.templates import Values
from recarena.bridge.uploads import user
from recarena.client import Ranked, RankQuery, SearchQuery
from recarena.v1.types_pb2 import ExplanationMode, Surface

T = TypeVar("T")
EXPLAINED = (
    ExplanationMode.EXPLANATION_MODE_TEXT,
    ExplanationMode.EXPLANATION_MODE_STRUCTURED,
)


class Asking:
    """Asks a service for lists, on behalf of a run's users."""

    def __init__(self, service: Service, ids: ItemIdMap, counts: Counts) -> None:
        self._service, self._ids, self._counts = service, ids, counts

    async def one(
        self, how: Rank | Search, query: RankQuery | SearchQuery, always: Values, seconds: float
    ) -> Ranked:
        """The list of one query.

        Raises:
            ServiceFailed: the service gave none.
        """
        wanted = wants(query)
        request = outgoing(how.method, how.path, how.query, how.body, self.values(
            how, query, wanted, always
        ))  # fmt: skip
        answer = await self._service.ask(request, seconds)
        return self._read(how, answer, wanted, request)

    async def many(
        self, how: Batch, queries: Sequence[RankQuery], always: Values, seconds: float
    ) -> list[Ranked]:
        """The lists of several users, in one request or a few.

        Raises:
            ServiceFailed: the service gave not all of them.
        """
        parts = chunks(queries, how.max_users)
        answers = await together([self._part(how, part, always, seconds) for part in parts])
        found = {id(query): one for part, those in zip(parts, answers, strict=True)
                 for query, one in zip(part, those, strict=True)}  # fmt: skip
        return [found[id(query)] for query in queries]

    def values(
        self, how: Paged, query: RankQuery | SearchQuery, wanted: Wanted, always: Values
    ) -> dict[str, Any]:
        """The placeholders of one query."""
        excluded = [self._ids.service(one) for one in query.candidates.excluded_item_ids]
        values: dict[str, Any] = {
            **always,
            **user(query.user),
            "arm_id": query.user.arm_id,
            "count": wanted.count,
            "offset": wanted.offset,
            "end": wanted.end,
            "wanted": wanted.asked(how),
            "excluded_ids": [one for one in excluded if one is not None],
        }
        if isinstance(query, SearchQuery):
            return {**values, "text": query.text, "surface": "search"}
        surface = Surface.Name(query.surface).removeprefix("SURFACE_").lower()
        anchor = self._ids.service(query.anchor_item_id)
        return {**values, "surface": surface, "anchor_item_id": anchor}

    def batch(
        self, how: Batch, queries: Sequence[RankQuery], always: Values
    ) -> tuple[Outgoing, list[Wanted]]:
        """The request for several users, each of them once among them."""
        wanted = [wants(query) for query in queries]
        each: list[Any] = []
        for query, one in zip(queries, wanted, strict=True):
            if how.each is not None:
                each.append(how.each.json(self.values(how, query, one, always)))
        values = {
            **always,
            "user_ids": [query.user.user_id for query in queries],
            "queries": each,
            "count": max(one.count for one in wanted),
            "offset": min(one.offset for one in wanted),
            "end": max(one.end for one in wanted),
            "wanted": max(one.asked(how) for one in wanted),
        }
        return outgoing(how.method, how.path, how.query, how.body, values), wanted

    async def _part(
        self, how: Batch, queries: Sequence[RankQuery], always: Values, seconds: float
    ) -> list[Ranked]:
        request, wanted = self.batch(how, queries, always)
        answer = await self._service.ask(request, seconds)
        users = [query.user.user_id for query in queries]
        try:
            found = lists.by_user(lists.looked_up(how.lists, answer, "lists"), users, how.user)
        except ServiceFailed as failed:
            raise self._failed(request, failed) from None
        pairs = zip(found, wanted, strict=True)
        return [self._read(how, one, what, request) for one, what in pairs]

    def _read(self, how: Paged, answer: Any, wanted: Wanted, request: Outgoing) -> Ranked:
        try:
            found = lists.read(how, answer)
        except ServiceFailed as failed:
            raise self._failed(request, failed) from None
        return lists.answered(found, wanted, how, self._ids, self._counts)

    def _failed(self, request: Outgoing, failed: ServiceFailed) -> ServiceFailed:
        self._counts.failed += 1
        return ServiceFailed(f"{request}: 200, but {failed}")


def wants(query: RankQuery | SearchQuery) -> Wanted:
    """What a query wants."""
    return Wanted(
        count=query.result_count,
        offset=query.offset,
        excluded=frozenset(query.candidates.excluded_item_ids),
        explained=query.explanation_mode in EXPLAINED,
    )


def chunks(queries: Sequence[RankQuery], most: int) -> list[list[RankQuery]]:
    """The queries in parts of at most `most`, no user twice in one of them."""
    parts: list[list[RankQuery]] = []
    users: set[str] = set()
    for query in queries:
        if not parts or len(parts[-1]) == most or query.user.user_id in users:
            parts.append([])
            users = set()
        parts[-1].append(query)
        users.add(query.user.user_id)
    return parts


async def together(steps: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all steps in their order; the first failure ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step) for step in steps]
    except* ServiceFailed as failed:
        first = failed.exceptions[0]
    else:
        return [task.result() for task in tasks]
    raise first
