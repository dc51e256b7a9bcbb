"""The works of a session: set going, answered, withdrawn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
from google.rpc.status_pb2 import Status

from recarena.client.answers import WireItems, put_columns, put_lists, put_reply
from recarena.client.engagement import Engagement
from recarena.client.errors import RecommenderFailed, WrongAnswer, described, one_line
from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.session_pb2 import WorkFailed

logger = logging.getLogger("recarena.client")

DEFAULT_MESSAGE_BYTES = 4 * 2**20
# Characters of WorkFailed.status.message that the server keeps.
REASON_CHARS = 500
INTERNAL: int = grpc.StatusCode.INTERNAL.value[0]
# The method that answers each kind of work.
METHODS = {
    "rank_work": "rank",
    "rank_batch": "rank_columns",
    "search_work": "search",
    "search_batch": "search_columns",
    "converse_work": "converse",
}


class Works:
    """Sets works going, at most `at_once` of them, and sends what they come to."""

    def __init__(self, send: Callable[[bytes], None], at_once: int) -> None:
        # Largest message that may be sent.
        self.max_bytes = DEFAULT_MESSAGE_BYTES
        # ConnectRequest.ack_seq: everything up to it is handled. Read from any thread.
        self.acknowledged = 0
        self._send = send
        self._free = asyncio.Semaphore(at_once)
        # Ids of the works that arrived, were not begun and not withdrawn.
        self._queued: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # Sequence numbers of the works under way, lowest first.
        self._open: dict[int, None] = {}
        self._dispatched = 0
        # Errors whose traceback was logged.
        self._told: set[tuple[str, type[BaseException]]] = set()

    def arrived(self, kind: str, message: ConnectResponse) -> None:
        """Note a work that will be begun in its turn, so that it can be withdrawn before."""
        if kind in METHODS:
            self._queued.add(getattr(message, kind).header.work_id)

    def cancel(self, work_id: str) -> None:
        """Withdraw a work: it is not begun, or its answer is not sent."""
        self._queued.discard(work_id)
        task = self._tasks.get(work_id)
        if task is not None:
            task.cancel()

    def cancel_all(self) -> None:
        """Withdraw all works."""
        self._queued.clear()
        for task in list(self._tasks.values()):
            task.cancel()

    def handled(self, seq: int) -> None:
        """Note that everything up to a message that is no work was dispatched."""
        self._dispatched = seq
        self._acknowledge()

    async def begin(self, kind: str, message: ConnectResponse, engagement: Engagement) -> None:
        """Set a work going as soon as fewer than `at_once` are; one that was withdrawn is left."""
        work_id: str = getattr(message, kind).header.work_id
        await self._free.acquire()
        if work_id not in self._queued:
            self._free.release()
            return self.handled(message.seq)
        self._queued.discard(work_id)
        self._dispatched = message.seq
        self._open[message.seq] = None
        task = engagement.begin(self._answer(kind, message, work_id, engagement))
        self._tasks[work_id] = task
        task.add_done_callback(partial(self._over, work_id, message.seq))
        return None

    async def _answer(
        self, kind: str, message: ConnectResponse, work_id: str, engagement: Engagement
    ) -> None:
        method, work = METHODS[kind], getattr(message, kind)
        argument = work.queries if kind in ("rank_work", "search_work") else work

        def payload(answer: Any) -> bytes:
            return self._serialized(answered(kind, work, answer, engagement.wire))

        try:
            self._send(await engagement.call(method, argument, then=payload))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._fail(work_id, f"{method} was cancelled")  # by itself, not by us
        except RecommenderFailed as failure:
            self._tell(failure)
            self._fail(work_id, described(failure.error))
        except WrongAnswer as wrong:
            logger.warning("work %s: %s", work_id, wrong)
            self._fail(work_id, str(wrong))

    def _serialized(self, request: ConnectRequest) -> bytes:
        request.ack_seq = self.acknowledged
        payload = request.SerializeToString()
        if len(payload) > self.max_bytes:
            raise WrongAnswer(
                f"the answer has {len(payload)} bytes, {self.max_bytes} are allowed:"
                " take fewer users in one work (max_users_per_work)"
            )
        return payload

    def _fail(self, work_id: str, reason: str) -> None:
        status = Status(code=INTERNAL, message=one_line(reason, REASON_CHARS))
        failed = ConnectRequest(work_failed=WorkFailed(work_id=work_id, status=status))
        failed.ack_seq = self.acknowledged
        self._send(failed.SerializeToString())

    def _tell(self, failure: RecommenderFailed) -> None:
        """The traceback the first time, one line from then on."""
        known = (failure.method, type(failure.error))
        if known in self._told:
            logger.warning("%s", failure)
        else:
            self._told.add(known)
            logger.error("%s", failure, exc_info=failure.__cause__)

    def _over(self, work_id: str, seq: int, task: asyncio.Task[None]) -> None:
        self._free.release()
        if self._tasks.get(work_id) is task:
            del self._tasks[work_id]
        self._open.pop(seq, None)
        self._acknowledge()

    def _acknowledge(self) -> None:
        self.acknowledged = next(iter(self._open)) - 1 if self._open else self._dispatched


def answered(kind: str, work: Any, answer: Any, wire: WireItems) -> ConnectRequest:
    """The message that answers a work of this kind.

    Raises:
        WrongAnswer: the answer does not fit the work.
    """
    request, method = ConnectRequest(), METHODS[kind]
    if kind in ("rank_work", "search_work"):
        request.rank_result.work_id = work.header.work_id
        put_lists(request.rank_result, method, answer, len(work.queries), wire)
    elif kind in ("rank_batch", "search_batch"):
        request.rank_batch_result.work_id = work.header.work_id
        users = len(work.user_numbers)
        put_columns(request.rank_batch_result, method, answer, users, work.result_count)
    else:
        request.converse_result.work_id = work.header.work_id
        put_reply(request.converse_result, method, answer)
    return request
