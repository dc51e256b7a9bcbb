"""The recommender that RecArena sees: every question goes on to the HTTP service."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
from jmespath.exceptions import JMESPathError

from recarena.bridge import events, uploads
from recarena.bridge.asking import Asking, together
from recarena.bridge.counts import Counts
from recarena.bridge.errors import ServiceFailed
from recarena.bridge.loading import Loaded
from recarena.bridge.mapping import Batch, Feedback, Items, Rank, Search, Status, Users
from recarena.bridge.service import Outgoing, Service, outgoing
from recarena.client import (
    Answer,
    Catalog,
    FeedbackBatch,
    RankQuery,
    Recommender,
    RunInfo,
    SearchQuery,
)

logger = logging.getLogger("recarena.bridge")

# Of a work's time, what the way of the answer to the server may take.
MARGIN = 0.9
# Seconds for one work where the server has not said.
DEFAULT_SECONDS = 30.0


class Bridge(Recommender):
    """Serves one run from an HTTP service, which is not fresh for the run unless `[reset]` is.

    A failed request costs the work it was for. Feedback, items, users, training and a reset that
    fail are counted and told, and the run goes on.
    """

    def __init__(self, loaded: Loaded, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        """`transport` takes the place of the network."""
        self._transport = transport
        self._loaded, self._mapping = loaded, loaded.mapping
        self._counts = Counts()
        # Not the name of the run: another one of that name must not pass for a repetition.
        self._scope = uuid.uuid4().hex
        self._round = 0
        self._introduced: set[str] = set()
        self._introducing = asyncio.Lock()
        self._service: Service | None = None

    async def start(self, run: RunInfo) -> None:
        """Asks the service to forget, and tells it the catalogue.

        Raises:
            ServiceFailed: [reset] is required, and failed.
        """
        self._run = run
        self._seconds = (run.work_timeout or DEFAULT_SECONDS) * MARGIN
        self._service = Service(self._loaded, self._counts, self._transport)
        await self._reset()
        await self._take_catalog()

    async def catalog_changed(self, run: RunInfo) -> None:
        """Tells the service what is new in the catalogue, and what was withdrawn."""
        before, self._run = self._run.catalog, run
        await self._take_catalog(before)
        await self._withdraw(before)

    async def feedback(self, batch: FeedbackBatch) -> None:
        """Sends what users saw and did."""
        feedback = self._mapping.feedback
        await self._introduce(
            {"user_id": one.user_id, "user_number": None, "user_attributes": {}}
            for one in batch.interactions
        )
        if feedback is None:
            return
        always = {**self._always(), "round": batch.round}
        made = events.events(batch, feedback, always, self._ids, self._counts)
        requests = events.requests(made, feedback, self._scope)
        if feedback.ordered:
            down = False
            for request, size in requests:
                # One that was given up on has waited for the service; the rest just try.
                down = not await self._sent(feedback, request, size, just_try=down)
        else:
            await together([self._sent(feedback, one, size) for one, size in requests])

    async def ready(self, round: int) -> None:
        """Tells what was counted in the round before, and has the service learn."""
        self._tell()
        self._round = round
        await self._train()

    async def rank(self, queries: Sequence[RankQuery]) -> Sequence[Answer]:
        """One list per query.

        Raises:
            ServiceFailed: the service gave not all of them.
        """
        self._counts.lists += len(queries)
        await self._introduce(uploads.user(query.user) for query in queries)
        return await self._answered(self._mapping.batch or self._mapping.rank, queries)

    async def search(self, queries: Sequence[SearchQuery]) -> Sequence[Answer]:
        """One list per search.

        Raises:
            ServiceFailed: the service gave not all of them.
        """
        self._counts.searches += len(queries)
        await self._introduce(uploads.user(query.user) for query in queries)
        return await self._answered(self._mapping.search, queries)

    async def close(self) -> None:
        """Tells what was counted last, and leaves the service."""
        if self._service is not None:
            self._tell()
            await self._service.aclose()

    # ------------------------------------------------------------------ what may fail quietly
    async def _reset(self) -> None:
        reset = self._mapping.reset
        if reset is None:
            return
        request = outgoing(reset.method, reset.path, reset.query, reset.body, self._always())
        try:
            await self._at_service.ask(request, reset.give_up_after)
        except ServiceFailed as failed:
            if reset.required:
                told = self._loaded.hidden(str(failed))
                raise ServiceFailed(f"[reset] failed, and the run needs it: {told}") from None
            logger.warning("reset: %s; what earlier runs taught is still there", failed)

    async def _take_catalog(self, before: Catalog | None = None) -> None:
        """What was withdrawn is dropped from what the service lists, like what is unknown."""
        catalog = self._run.catalog
        self._ids = self._loaded.ids.of_catalog(catalog.item_ids)
        offered = self._loaded.ids.of_catalog(catalog.available_ids)
        self._asking = Asking(self._at_service, offered, self._counts)
        missing = len(catalog.available_ids) - len(offered)
        if missing:
            logger.warning("%d items of the catalogue have no id at the service", missing)
        new = list(uploads.items(catalog, offered, before))
        if self._mapping.items is not None:
            await self._upload(self._mapping.items, new)
        elif before and new:
            logger.warning(
                "%d items are new, and the mapping has no [items] to tell the service", len(new)
            )

    async def _withdraw(self, before: Catalog) -> None:
        """Asks the service not to list any more what was withdrawn since."""
        catalog = self._run.catalog
        gone = set(before.available_ids) - set(catalog.available_ids)
        numbers = {catalog.number_of[one] for one in gone if one in catalog.number_of}
        those = [one for one in uploads.items(catalog, self._ids) if one["item_number"] in numbers]
        how = self._mapping.items.withdraw if self._mapping.items else None
        if how is not None:
            asked = uploads.withdrawals(how, those, self._always())
            await together([self._withdrawn(*one) for one in asked])
        elif those:
            logger.warning(
                "%d items were withdrawn, and the mapping has no [items.withdraw] to tell the"
                " service: they are dropped from its lists",
                len(those),
            )

    async def _withdrawn(self, request: Outgoing, seconds: float) -> None:
        try:
            await self._at_service.ask(request, seconds)
        except ServiceFailed as failed:
            logger.warning("items: %s; it is dropped from lists", failed)

    async def _introduce(self, those: Iterable[dict[str, Any]]) -> None:
        """Tells the service of the users that it was not told of."""
        users = self._mapping.users
        if users is None:
            return
        async with self._introducing:
            new = {one["user_id"]: one for one in those if one["user_id"] not in self._introduced}
            self._introduced |= await self._upload(users, list(new.values()))

    async def _upload(self, upload: Items | Users, things: list[dict[str, Any]]) -> set[str]:
        """Sends items or users; the ids of those that arrived."""
        name = "items" if isinstance(upload, Items) else "users"
        key, sent, arrived = f"{name[:-1]}_id", 0, set[str]()
        for request, size in uploads.requests(upload, things, self._always()):
            try:
                answer = await self._at_service.ask(request, upload.give_up_after)
                refused = self._refused(upload.failures, answer, request)
            except ServiceFailed as failed:
                logger.warning("%s: %s; %d of them are not there", name, failed, size)
            else:
                arrived |= {thing[key] for thing in things[sent : sent + size]}
                if refused:
                    logger.warning("%s: %s refused %d of %d", name, request, refused, size)
            sent += size
        return arrived

    async def _sent(
        self, feedback: Feedback, request: Outgoing, size: int, *, just_try: bool = False
    ) -> bool:
        """Whether feedback arrived."""
        seconds = self._mapping.connect_timeout if just_try else feedback.give_up_after
        try:
            answer = await self._at_service.ask(request, seconds, 1 if just_try else 0)
            refused = self._refused(feedback.failures, answer, request)
        except ServiceFailed as failed:
            self._counts.events_lost += size
            logger.warning("feedback: %s; %d events are lost", failed, size)
            return False
        self._counts.events_sent += size - refused
        self._counts.events_refused += refused
        return True

    def _refused(self, path: Any, answer: Any, request: Outgoing) -> int:
        """Entries of an answer that say that something was not taken."""
        if path is None:
            return 0
        try:
            found = path.search(answer)
        except JMESPathError as error:
            logger.warning("%s: failures: %s", request, str(error).splitlines()[0])
            return 0
        return len(found) if isinstance(found, list) else int(bool(found))

    async def _train(self) -> None:
        train = self._mapping.train
        if train is None:
            return
        request = outgoing(train.method, train.path, train.query, train.body, self._always())
        try:
            async with asyncio.timeout(train.at_most):
                await self._at_service.ask(request, train.at_most)
                if train.status is not None:
                    await self._until_done(train.status, train.at_most)
        except TimeoutError:
            logger.warning("train: not done after %g s; the round goes on", train.at_most)
        except ServiceFailed as failed:
            logger.warning("train: %s; the round goes on", failed)

    async def _until_done(self, status: Status, seconds: float) -> None:
        request = outgoing("GET", status.path, status.query, None, self._always())
        while True:
            answer = await self._at_service.ask(request, seconds)
            try:
                done = status.done.search(answer)
            except JMESPathError as error:
                raise ServiceFailed(f"{request}: done: {str(error).splitlines()[0]}") from None
            if done is True:
                return
            await asyncio.sleep(status.every)

    # ------------------------------------------------------------------ small things
    async def _answered(
        self,
        how: Rank | Batch | Search | None,
        queries: Sequence[RankQuery] | Sequence[SearchQuery],
    ) -> Sequence[Answer]:
        always, asking, seconds = self._always(), self._asking, self._seconds
        assert how is not None  # what a mapping has not is not offered to the server
        try:
            if isinstance(how, Batch):
                those = [query for query in queries if isinstance(query, RankQuery)]
                return await asking.many(how, those, always, seconds)
            return await together([asking.one(how, query, always, seconds) for query in queries])
        except ServiceFailed as failed:  # its text goes to the server
            raise ServiceFailed(self._loaded.hidden(str(failed))) from None

    @property
    def _at_service(self) -> Service:
        assert self._service is not None
        return self._service

    def _always(self) -> dict[str, Any]:
        return {
            "run_id": self._run.run_id,
            "round": self._round,
            "now": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "values": self._mapping.values,
        }

    def _tell(self) -> None:
        when = f"round {self._round}" if self._round else "before the first round"
        logger.info("%s: %s", when, self._counts.take().told())
