"""Ways in which a raw client may answer works: well, with explanations, badly, not at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.types_pb2 import Evidence
from support.raw_client import RawClient

Answers = Callable[[RawClient, str, Any], Sequence[ConnectRequest] | None]


def explained(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
    """The usual lists with tokens, and with explanations that claim what is true or not."""
    answer = raw.answer(kind, work)
    for one in answer.rank_result.lists:
        one.attribution_token = f"{work.header.work_id}/{one.query_index}"
        for rank, item in enumerate(one.items[:3]):
            item.explanation.text = f"Your kind of film, number {rank}."
            for genre in ("Drama", "Comedy", "Nonsense")[: rank + 1]:
                item.explanation.evidence.add(
                    kind=Evidence.KIND_FEATURE, reference=f"genre={genre}"
                )
    return [answer]


def with_violations(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
    """Unknown and repeated items among explained ones."""
    (answer,) = explained(raw, kind, work)
    for one in answer.rank_result.lists:
        one.items[0].item_id = "nobody-knows"
        one.items[2].item_id = one.items[1].item_id
    return [answer]


def half(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
    """Every second list is missing."""
    (answer,) = explained(raw, kind, work)
    if kind in ("rank_work", "search_work"):
        kept = list(answer.rank_result.lists)[::2]
        del answer.rank_result.lists[:]
        answer.rank_result.lists.extend(kept)
    return [answer]


def rejected(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
    """Lists for queries that there are not."""
    (answer,) = explained(raw, kind, work)
    for one in answer.rank_result.lists:
        one.query_index += 1000
    return [answer]


def silent(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
    """No answer at all."""
    return []


def in_turns(*ways: Answers) -> Answers:
    """One way of answering after another."""
    turn = itertools.cycle(ways)
    return lambda raw, kind, work: next(turn)(raw, kind, work)
