"""Things to send that nobody asked for: bytes that are no message, messages without sense."""

from __future__ import annotations

import random

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import CatalogReady, ExtendDeadline, Pong, RoundReady, WorkFailed
from recarena.v1.types_pb2 import RankedItem
from recarena.v1.work_pb2 import ConverseResult, RankBatchResult, RankedList, RankResult

ODD_NUMBERS = (0, 1, 7, 255, 2**31 - 1, 2**32 - 1)
ODD_TEXTS = ("", "x", "0" * 300, "../../etc", "\u202e\u0000", "é" * 99, "🎬")
LONGEST = 200


def garbage(dice: random.Random) -> bytes:
    """Bytes that no protobuf parser takes."""
    while True:
        payload = dice.randbytes(dice.randrange(1, LONGEST))
        try:
            ConnectRequest.FromString(payload)
        except DecodeError:
            return payload


def gibberish(dice: random.Random) -> ConnectRequest:
    """A message that can be parsed and makes no sense. Never Register or Drain: those have a
    meaning of their own."""
    text, number = dice.choice(ODD_TEXTS), dice.choice(ODD_NUMBERS)
    odd = dice.choice((float("nan"), float("inf"), -1.0, 0.0))
    items = [RankedItem(item_id=text, score=odd)] * dice.randrange(3)
    ack = dice.choice((0, 2**64 - 1))
    return dice.choice(
        (
            ConnectRequest(ack_seq=ack),
            ConnectRequest(
                rank_result=RankResult(
                    work_id=text,
                    lists=[RankedList(query_index=number, items=items, attribution_token=text)],
                    complete=dice.random() < 0.5,
                )
            ),
            ConnectRequest(
                rank_batch_result=RankBatchResult(
                    work_id=text, item_numbers=[number], list_lengths=[number]
                )
            ),
            ConnectRequest(
                converse_result=ConverseResult(work_id=text, reply_text=text, items=items)
            ),
            ConnectRequest(work_failed=WorkFailed(work_id=text, status=Status(code=number // 2))),
            ConnectRequest(
                extend_deadline=ExtendDeadline(
                    work_id=text, timeout=Duration(seconds=dice.choice((-(2**62), 0, 2**62)))
                )
            ),
            ConnectRequest(round_ready=RoundReady(round=number)),
            ConnectRequest(catalog_ready=CatalogReady(catalog_version=text)),
            ConnectRequest(ack_seq=ack, pong=Pong(nonce=number)),
        )
    )


def answer_to_nothing(number: int) -> ConnectRequest:
    """An answer to a work that there never was."""
    return ConnectRequest(rank_result=RankResult(work_id=f"nobody-{number}", complete=True))
