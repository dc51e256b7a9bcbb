"""One recommender instance in one run. It outlives the sessions that the run is served in."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from recarena.client.answers import WireItems
from recarena.client.errors import ClientError, RecommenderFailed
from recarena.client.recommender import Recommender, RunInfo
from recarena.client.worker import Worker
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns

logger = logging.getLogger("recarena.client")
T = TypeVar("T")


class Engagement:
    """Calls the recommender in the order of the session, and knows how far it has come."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        # None until start was called: the instance is as good as new.
        self.run: RunInfo | None = None
        # The session that the run was last served in.
        self.session_id = ""
        # Of the last feedback that the recommender was given.
        self.cursor = ""
        self.wire = WireItems(())
        self._cursors: set[str] = set()
        # The round for which `ready` was last called, None when there was feedback since.
        self._ready_for: int | None = None
        self._worker = Worker(f"recarena-{type(recommender).__name__}")
        self._works: set[asyncio.Task[None]] = set()
        self._alone: asyncio.Task[None] | None = None

    async def start(self, run: RunInfo) -> None:
        """Give a new instance its run.

        Raises:
            RecommenderFailed: `start` raised, as in every method below that calls the recommender.
        """
        self._take(run)
        await self._call_alone("start", run)

    async def catalog_changed(self, run: RunInfo) -> None:
        """Tell of a new version of the catalogue; `ready` is due again after it."""
        self._take(run)
        self._ready_for = None
        await self._call_alone("catalog_changed", run)

    async def feedback(self, batch: FeedbackBatch | FeedbackColumns) -> None:
        """Give a batch to the recommender, unless it has had it."""
        if batch.cursor in self._cursors:
            return
        name = "feedback" if isinstance(batch, FeedbackBatch) else "feedback_columns"
        # Noted before the call: when the session breaks meanwhile, the call still goes on to its
        # end before anything else is asked of the recommender.
        if batch.cursor:
            self._cursors.add(batch.cursor)
            self.cursor = batch.cursor
        self._ready_for = None
        await self._call_alone(name, batch)

    async def ready(self, round_number: int) -> None:
        """Return when the recommender is ready for the round; asks once also after a break."""
        await self.quiet()
        if self._ready_for != round_number:
            self._ready_for = round_number
            await self._call_alone("ready", round_number)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Set a work going; what is called alone waits for it."""
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return task

    async def call(self, name: str, *arguments: object, then: Callable[[Any], T]) -> T:
        """What `then` makes of the method's answer; in the thread when the method is sync.

        Raises:
            RecommenderFailed: the method raised. A ClientError of `then` is passed through.
        """
        method = getattr(self.recommender, name)
        if inspect.iscoroutinefunction(method):
            try:
                answer = await method(*arguments)
            except Exception as error:
                raise RecommenderFailed(name, error) from error
            return then(answer)
        returned = await self._worker.run(lambda: then(method(*arguments)))
        if isinstance(returned.error, ClientError):
            raise returned.error
        if returned.error is not None:
            raise RecommenderFailed(name, returned.error) from returned.error
        return cast("T", returned.value)

    async def quiet(self) -> None:
        """Return when nothing is under way.

        Raises:
            RecommenderFailed: what was called alone failed after its session had broken.
        """
        if self._alone is not None:
            await asyncio.shield(self._alone)
        while self._works:
            await asyncio.wait(self._works)
        await self._worker.idle()

    async def close(self, grace: float) -> None:
        """Say goodbye to the recommender; it is left alone when it is still busy after `grace`."""
        for task in self._works:
            task.cancel()
        name = type(self.recommender).__name__
        try:
            async with asyncio.timeout(grace):
                await self.quiet()
        except TimeoutError:
            logger.warning("%s is still busy: left without close()", name)
            return self._worker.stop()
        except RecommenderFailed:  # was logged when it happened; close() is owed all the same
            pass
        try:
            await self.call("close", then=ignore)
        except RecommenderFailed as failure:
            logger.error("%s: %s", name, failure, exc_info=failure.__cause__)
        finally:
            self._worker.stop()
        return None

    def _take(self, run: RunInfo) -> None:
        self.run = run
        self.wire = WireItems(run.catalog.number_of)

    async def _call_alone(self, name: str, argument: object) -> None:
        await self.quiet()
        self._alone = asyncio.create_task(self._logged(name, argument))
        await asyncio.shield(self._alone)  # a session that breaks does not cut it

    async def _logged(self, name: str, argument: object) -> None:
        try:
            await self.call(name, argument, then=ignore)
        except RecommenderFailed as failure:
            recommender = type(self.recommender).__name__
            logger.error("%s: %s", recommender, failure, exc_info=failure.__cause__)
            raise


def ignore(_: object) -> None:
    """For methods whose answer means nothing."""
