"""An answer of another kind than its work is rejected, whatever the work and the encoding."""

from __future__ import annotations

from typing import Any

import pytest

from recarena.server.types import Outcome
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import (
    CAPABILITY_CONVERSE,
    CAPABILITY_PARTIAL_RESULTS,
    WorkOutcome,
)
from recarena.v1.types_pb2 import RankedItem
from recarena.v1.work_pb2 import ConverseResult, RankBatchResult, RankedList, RankResult
from support.arena import begin, finished, settings
from support.raw_client import COLUMNAR, RICH, RawClient, fields_of
from support.sessions import outcome_of

RIGHT = {
    "rank_work": "rank_result",
    "search_work": "rank_result",
    "rank_batch": "rank_batch_result",
    "search_batch": "rank_batch_result",
    "converse_work": "converse_result",
}
WRONG = [(work, answer) for work in RIGHT for answer in sorted(set(RIGHT.values()) - {RIGHT[work]})]
TALKS: dict[str, Any] = {"rounds": 3, "choice": {"conversation": 0.0}}
"""Of a run in which works of all kinds come."""


def answer_as(kind: str, client: RawClient, work: Any) -> ConnectRequest:
    """An answer that would be right for a work of one user of this kind."""
    work_id, count = work.header.work_id, work.result_count if hasattr(work, "result_count") else 5
    items = [RankedItem(item_id=one) for one in client.item_ids[:count]]
    if kind == "rank_result":
        lists = [RankedList(items=items)]
        return ConnectRequest(rank_result=RankResult(work_id=work_id, lists=lists, complete=True))
    if kind == "rank_batch_result":
        users = len(getattr(work, "queries", [None]))
        return ConnectRequest(rank_batch_result=RankBatchResult(
            work_id=work_id, item_numbers=[*range(count)] * users))  # fmt: skip
    return ConnectRequest(
        converse_result=ConverseResult(work_id=work_id, reply_text="Look:", items=items)
    )


@pytest.mark.parametrize(("of", "kind"), WRONG)
async def test_an_answer_of_another_kind_is_rejected_and_the_right_kind_is_named(
    server, client, of, kind
):
    spoilt: list[str] = []

    def answers(raw: RawClient, work_kind: str, work: Any) -> list[ConnectRequest] | None:
        if work_kind != of or spoilt:
            return None
        spoilt.append(work.header.work_id)
        return [answer_as(kind, raw, work)]

    encoding = COLUMNAR if of.endswith("batch") else RICH
    run = await begin(server, settings("raw", **TALKS))
    await client.join(capabilities=[*encoding, CAPABILITY_CONVERSE])
    await client.serve(answers)
    await finished(run)
    told = outcome_of(client)
    assert [told.work_id] == spoilt
    assert told.disposition == WorkOutcome.DISPOSITION_REJECTED
    assert told.status.message == f"{kind}: this work wants {RIGHT[of]}"
    assert fields_of(told.status) == [kind]
    found = [one.outcome for one in run.folder.works()]
    assert found.count(Outcome.REJECTED) == 1
    assert set(found) == {Outcome.REJECTED, Outcome.ACCEPTED}


async def test_a_part_of_another_kind_spoils_the_parts_before_it(server, client):
    def answers(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest] | None:
        if kind != "rank_work" or raw.all("work_outcome") or work.header.round > 1:
            return None
        part = raw.answer(kind, work)
        part.rank_result.complete = False
        return [part, answer_as("rank_batch_result", raw, work)]

    run = await begin(server, settings("raw", rounds=1, visits={"step_cap": 1}))
    await client.join(capabilities=[*RICH, CAPABILITY_PARTIAL_RESULTS])
    await client.serve(answers)
    await finished(run)
    told = outcome_of(client)
    assert told.disposition == WorkOutcome.DISPOSITION_REJECTED
    assert told.status.message == "rank_batch_result: this work wants rank_result"
