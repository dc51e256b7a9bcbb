"""The recommender's end of the echo pair: reads messages into ids, answers with ids."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import grpc
import numpy as np

from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.recommender_service_pb2_grpc import RecommenderServiceStub
from recarena.v1.session_pb2 import Register, RoundReady
from recarena.v1.types_pb2 import RankedItem
from recarena.v1.work_pb2 import RankBatchResult, RankedList, RankResult

BUILT, PREBUILT = "built", "prebuilt"
"""Names of the two streams: every answer built from ids, or one built answer sent ever again."""
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Answers:
    """Answers to the server's messages, from plain ids."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        self._item_ids = item_ids

    def to(self, message: ConnectResponse) -> ConnectRequest | None:
        """The answer to a message; None to feedback, which is read into ids."""
        kind = message.WhichOneof("message")
        if kind == "rank_work":
            return ConnectRequest(rank_result=self._lists(message))
        if kind == "rank_batch":
            return ConnectRequest(rank_batch_result=self._columns(message))
        if kind == "round_started":
            return ConnectRequest(round_ready=RoundReady(round=message.round_started.round))
        if kind == "feedback_batch":
            for one in message.feedback_batch.impressions:
                _ = one.impression_id, one.user_id, [shown.item_id for shown in one.items]
        else:
            columns = message.feedback_columns
            for column in (columns.user_numbers, columns.item_numbers, columns.types):
                np.array(column)
            np.array(columns.values, np.float32)
        return None

    def _lists(self, message: ConnectResponse) -> RankResult:
        work = message.rank_work
        wanted = [(one.query_index, one.user.user_id, one.result_count) for one in work.queries]
        ids, size = self._item_ids, len(self._item_ids)
        lists = [
            RankedList(
                query_index=index,
                items=[
                    RankedItem(item_id=ids[(int(user_id[1:]) + rank) % size])
                    for rank in range(count)
                ],
            )
            for index, user_id, count in wanted
        ]
        return RankResult(work_id=work.header.work_id, lists=lists, complete=True)

    def _columns(self, message: ConnectResponse) -> RankBatchResult:
        work = message.rank_batch
        users = np.array(work.user_numbers)
        items = (users[:, None] + np.arange(work.result_count)) % len(self._item_ids)
        return RankBatchResult(work_id=work.header.work_id, item_numbers=items.ravel().tolist())


class SameAnswers(Answers):
    """One answer for each kind and size of message, built the first time."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        super().__init__(item_ids)
        self._made: dict[tuple[str, int], ConnectRequest | None] = {}

    def to(self, message: ConnectResponse) -> ConnectRequest | None:
        """The answer to the first such message."""
        kind = message.WhichOneof("message")
        size = 0
        if kind == "rank_work":
            size = len(message.rank_work.queries)
        elif kind == "rank_batch":
            size = len(message.rank_batch.user_numbers)
        elif kind != "round_started":
            return None
        if (kind, size) not in self._made:
            self._made[kind, size] = super().to(message)
        return self._made[kind, size]


async def serve(stub: RecommenderServiceStub, name: str, answers: Answers) -> None:
    """Answers on one stream until it ends."""
    stream = stub.Connect()
    await stream.write(ConnectRequest(register=Register(recommender_id=name)))
    while (message := await stream.read()) is not grpc.aio.EOF:
        answer = answers.to(message)
        if answer is not None:
            await stream.write(answer)


async def main(address: str, item_ids: Sequence[str]) -> None:
    """Serves both streams."""
    options = [*OPTIONS, ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(address, options) as channel:
        stub = RecommenderServiceStub(channel)
        await asyncio.gather(
            serve(stub, BUILT, Answers(item_ids)), serve(stub, PREBUILT, SameAnswers(item_ids))
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
