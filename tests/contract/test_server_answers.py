"""Answers that are wrong, late, partial, doubled or nobody's."""

from __future__ import annotations

import asyncio

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status
from rich.console import Console

from recarena.server.cli.summary import summary, summary_table
from recarena.server.types import EventKind, Faults, Outcome
from recarena.v1.recommender_service_pb2 import (
    ConnectRequest,
)
from recarena.v1.session_pb2 import (
    CAPABILITY_PARTIAL_RESULTS,
    ExtendDeadline,
    WorkFailed,
    WorkOutcome,
)
from recarena.v1.work_pb2 import RankBatchResult, RankResult
from support.arena import PATIENCE, begin, finished, log_of, settings
from support.raw_client import (
    COLUMNAR,
    RICH,
    fields_of,
)
from support.sessions import (
    ONE_PAGE,
    first_list,
    outcome_of,
    outcomes,
    pages,
    play,
    shown_to,
)

CODE = grpc.StatusCode


def wrong_index(_, result):
    result.lists[0].query_index = 4000


def repeated_index(_, result):
    result.lists[0].query_index = result.lists[1].query_index


def not_a_number(_, result):
    result.lists[0].items[1].score = float("nan")


def infinite(_, result):
    result.lists[0].items[0].score = float("inf")


@pytest.mark.parametrize("change", [wrong_index, repeated_index, not_a_number, infinite])
async def test_an_answer_of_the_wrong_form_is_rejected_and_the_policy_applies(
    server, client, change
):
    run = await play(server, client, first_list(change))
    assert set(outcomes(run)) == {Outcome.REJECTED}
    assert not len(log_of(run).of(EventKind.SHOWN))
    told = outcome_of(client)
    assert told.disposition == WorkOutcome.DISPOSITION_REJECTED
    assert told.work_id == client.all("rank_work")[0].header.work_id
    assert any(path.startswith("lists") for path in fields_of(told.status))
    assert client.all("round_ended")[0].accepted == 0
    assert client.all("round_ended")[0].fallback == len(pages(run))


@pytest.mark.parametrize(
    "change",
    [
        lambda result: result.item_numbers.append(3),
        lambda result: result.list_lengths.append(5),
        lambda result: result.list_lengths.extend([2**31, 2**31]),
    ],
    ids=["one number too many", "too few lengths", "lengths too large"],
)
async def test_columns_that_do_not_add_up_are_rejected(server, client, change):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join(capabilities=COLUMNAR)

    def answers(raw, kind, work):
        answer = raw.answer(kind, work)
        change(answer.rank_batch_result)
        return [answer]

    await client.serve(answers)
    await finished(run)
    assert set(outcomes(run)) == {Outcome.REJECTED}
    assert outcome_of(client).disposition == WorkOutcome.DISPOSITION_REJECTED


async def test_an_answer_of_the_other_encoding_is_rejected(server, client):
    def answers(raw, kind, work):
        other = RankBatchResult(work_id=work.header.work_id, item_numbers=[0] * 5)
        return [ConnectRequest(rank_batch_result=other)]

    run = await play(server, client, answers)
    assert set(outcomes(run)) == {Outcome.REJECTED}


async def test_unknown_and_repeated_items_are_dropped_and_told(server, client):
    def change(raw, result):
        result.lists[0].items[1].item_id = "no-such-film"
        result.lists[0].items[3].item_id = result.lists[0].items[0].item_id

    run = await play(server, client, first_list(change))
    told = outcome_of(client)
    assert told.disposition == WorkOutcome.DISPOSITION_ACCEPTED_WITH_VIOLATIONS
    paths = fields_of(told.status)
    assert paths[:2] == ["lists[0].items[1].item_id", "lists[0].items[3].item_id"]
    assert "no-such-film" in str(told.status)
    query = client.all("rank_work")[0].queries[0]
    sent = [item.item_id for item in client.ranked(query).items]
    assert shown_to(client, query.user.user_id) == [sent[0], sent[2], sent[4]]
    counted = outcomes(run)
    assert counted[Outcome.VIOLATIONS] == 1
    assert set(counted) == {Outcome.ACCEPTED, Outcome.VIOLATIONS}
    ended = client.all("round_ended")[0]
    assert (ended.accepted, ended.fallback) == (len(pages(run)), 0)
    assert [work.faults for work in run.folder.works()] == [Faults(unknown=1, duplicate=1, short=1)]
    told = summary(run.folder)
    assert told["arms"][0]["faults"]["unknown"] == 1
    lines = Console(width=200)
    with lines.capture() as shown:
        lines.print(summary_table(told))
    wrong = "1 items that do not exist, 1 items repeated, 1 lists short."
    assert f"Faults in lists of raw that were shown: {wrong}" in shown.get()


async def test_unknown_numbers_are_dropped_from_columns_too(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join(capabilities=COLUMNAR)

    def answers(raw, kind, work):
        answer = raw.answer(kind, work)
        answer.rank_batch_result.item_numbers[1] = 2**32 - 1
        answer.rank_batch_result.item_numbers[3] = len(raw.item_ids)
        return [answer]

    await client.serve(answers)
    await finished(run)
    assert outcomes(run)[Outcome.VIOLATIONS] == 1
    told = outcome_of(client)
    assert told.disposition == WorkOutcome.DISPOSITION_ACCEPTED_WITH_VIOLATIONS
    assert len(fields_of(told.status)) == 3
    (batch,) = client.feedback(1)
    assert list(batch.positions)[:3] == [0, 1, 2]
    assert batch.user_numbers[2] != batch.user_numbers[3]


async def test_a_list_that_is_too_short_is_shown_short_and_counted(server, client):
    def change(raw, result):
        del result.lists[0].items[2:]

    run = await play(server, client, first_list(change))
    told = outcome_of(client)
    assert told.disposition == WorkOutcome.DISPOSITION_ACCEPTED_WITH_VIOLATIONS
    assert fields_of(told.status) == ["lists[0].items"]
    query = client.all("rank_work")[0].queries[0]
    sent = [item.item_id for item in client.ranked(query).items]
    assert shown_to(client, query.user.user_id) == sent[:2]
    assert outcomes(run)[Outcome.VIOLATIONS] == 1


async def test_a_list_that_is_too_long_is_cut_and_no_violation(server, client):
    def change(raw, result):
        have = {item.item_id for item in result.lists[0].items}
        for item_id in [one for one in raw.item_ids if one not in have][:20]:
            result.lists[0].items.add(item_id=item_id)

    run = await play(server, client, first_list(change))
    assert client.all("work_outcome") == []
    query = client.all("rank_work")[0].queries[0]
    sent = [item.item_id for item in client.ranked(query).items]
    assert shown_to(client, query.user.user_id) == sent
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_a_query_without_a_list_has_failed_and_only_that(server, client):
    def change(raw, result):
        del result.lists[0]

    run = await play(server, client, first_list(change))
    counted = outcomes(run)
    assert counted[Outcome.FAILED] == 1
    assert counted[Outcome.ACCEPTED] == len(pages(run)) - 1
    assert fields_of(outcome_of(client).status)[0].startswith("lists[0]")
    ended = client.all("round_ended")[0]
    assert (ended.accepted, ended.fallback) == (len(pages(run)) - 1, 1)


async def test_many_violations_are_told_in_sixteen_lines(server, client):
    def answers(raw, kind, work):
        answer = raw.answer(kind, work)
        for one in answer.rank_result.lists:
            for item in one.items:
                item.item_id = "no-such-film"
        return [answer]

    run = await play(server, client, answers)
    assert set(outcomes(run)) == {Outcome.VIOLATIONS}
    assert len(fields_of(outcome_of(client).status)) == 16


async def test_watched_items_are_dropped_where_repeats_are_forbidden(server, client):
    def answers(raw, kind, work):
        answer = raw.answer(kind, work)
        if kind == "rank_work":
            for query, one in zip(work.queries, answer.rank_result.lists, strict=True):
                one.items[0].item_id = query.candidates.excluded_item_ids[0]
        return [answer]

    run = await play(server, client, answers, visits={"step_cap": 1, "repeats": "forbid"})
    queries = client.all("rank_work")[0].queries
    watched = run.data.history
    for query in queries:
        mine = watched.item[watched.user == query.user.user_number]
        ids = {run.data.catalog.item_ids[item] for item in mine.tolist()}
        assert set(query.candidates.excluded_item_ids) == ids
        assert query.candidates.whole_catalog
        assert shown_to(client, query.user.user_id)[0] not in ids
    assert set(outcomes(run)) == {Outcome.VIOLATIONS}
    (work,) = run.folder.works()
    assert work.faults == Faults(excluded=work.lists, short=work.lists)
    assert "lists[0].items[0].item_id" in fields_of(outcome_of(client).status)


async def test_work_that_failed_is_told_by_the_recommender_and_the_policy_applies(server, client):
    def answers(raw, kind, work):
        status = Status(code=13, message="out of cheese")
        return [ConnectRequest(work_failed=WorkFailed(work_id=work.header.work_id, status=status))]

    run = await play(server, client, answers)
    assert set(outcomes(run)) == {Outcome.FAILED}
    assert [work.outcome for work in run.folder.works()] == [Outcome.FAILED]


async def test_a_late_answer_is_cancelled_and_told_late_when_it_comes(server, client):
    chosen = settings({"recommender": "raw", "work_timeout_s": 0.1}, **ONE_PAGE)
    run = await begin(server, chosen)
    registered = await client.join()
    assert registered.work_timeout.ToMilliseconds() == 100
    await client.open_round()
    kind, work = await client.receive_work()
    assert work.header.timeout.ToMilliseconds() == 100
    cancelled = await client.receive("cancel_work")
    assert cancelled.work_id == work.header.work_id
    assert cancelled.reason.code == CODE.DEADLINE_EXCEEDED.value[0]
    await client.send(client.answer(kind, work))
    told = await client.find("work_outcome")
    assert told.work_id == work.header.work_id
    assert told.disposition == WorkOutcome.DISPOSITION_LATE
    await client.serve()
    await finished(run)
    assert set(outcomes(run)) == {Outcome.LATE}
    assert [one.disposition for one in client.all("work_outcome")] == [told.disposition]


async def test_a_deadline_is_extended_once_and_within_bounds(server, client):
    chosen = settings({"recommender": "raw", "work_timeout_s": 0.2}, **ONE_PAGE)
    run = await begin(server, chosen)
    registered = await client.join()
    longest = registered.max_work_timeout.ToMilliseconds() / 1000
    await client.open_round()
    clock = asyncio.get_running_loop().time
    began = clock()
    _, work = await client.receive_work()
    for _ in range(2):
        extend = ExtendDeadline(work_id=work.header.work_id, timeout=Duration(seconds=3600))
        await client.send(extend_deadline=extend)
    await client.receive("cancel_work")
    assert clock() - began > 0.2
    assert longest - 0.1 < clock() - began < longest + PATIENCE / 2
    await client.serve()
    await finished(run)


async def test_partial_results_that_came_by_the_deadline_count(server, client):
    chosen = settings({"recommender": "raw", "work_timeout_s": 0.3}, **ONE_PAGE)
    run = await begin(server, chosen)
    await client.join(capabilities=[*RICH, CAPABILITY_PARTIAL_RESULTS])
    await client.open_round()
    kind, work = await client.receive_work()
    answer = client.answer(kind, work)
    answer.rank_result.complete = False
    half = len(work.queries) // 2
    del answer.rank_result.lists[half:]
    await client.send(answer)
    await client.serve()
    await finished(run)
    counted = outcomes(run)
    assert counted[Outcome.ACCEPTED] == half
    assert sum(counted.values()) == len(work.queries)


async def test_partial_results_are_put_together(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join(capabilities=[*RICH, CAPABILITY_PARTIAL_RESULTS])

    def in_pieces(raw, kind, work):
        lists = list(raw.answer(kind, work).rank_result.lists)
        for at, one in enumerate(reversed(lists), start=1):
            yield ConnectRequest(
                rank_result=RankResult(
                    work_id=work.header.work_id, lists=[one], complete=at == len(lists)
                )
            )

    await client.serve(in_pieces)
    await finished(run)
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_a_second_answer_is_a_duplicate_and_changes_nothing(server, client):
    def twice(raw, kind, work):
        first, second = raw.answer(kind, work), raw.answer(kind, work)
        for one in second.rank_result.lists:
            one.items.reverse()
        return [first, second]

    run = await play(server, client, twice)
    told = outcome_of(client)
    assert told.disposition == WorkOutcome.DISPOSITION_DUPLICATE
    query = client.all("rank_work")[0].queries[0]
    sent = [item.item_id for item in client.ranked(query).items]
    assert shown_to(client, query.user.user_id) == sent
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_an_answer_to_no_work_is_told_so(server, client):
    def answers(raw, kind, work):
        stranger = ConnectRequest(rank_result=RankResult(work_id="not-a-work", complete=True))
        failed = ConnectRequest(work_failed=WorkFailed(work_id="neither"))
        return [stranger, failed, raw.answer(kind, work)]

    run = await play(server, client, answers)
    assert [(one.work_id, one.disposition) for one in client.all("work_outcome")] == [
        ("not-a-work", WorkOutcome.DISPOSITION_UNKNOWN_WORK),
        ("neither", WorkOutcome.DISPOSITION_UNKNOWN_WORK),
    ]
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_a_session_is_given_no_more_works_at_once_than_it_takes(server, client):
    chosen = settings("raw", rounds=1, visits={"step_cap": 1}, session={"max_users_per_work": 4})
    run = await begin(server, chosen)
    everybody = np.arange(run.world.users, dtype=np.int32)
    activity = (await run.mind.choose_activity(run.world, 1, everybody)).kind
    works = -(-int((activity == EventKind.ENTER_RECOMMENDER).sum()) // 4)
    assert works > 3
    await client.join(max_outstanding_work=2)
    await client.open_round()
    waiting = [await client.receive_work()]
    for _ in range(works - 1):
        waiting.append(await client.receive_work())
        assert await client.stays_silent()
        await client.send(client.answer(*waiting.pop(0)))
    await client.send(client.answer(*waiting.pop(0)))
    await client.serve()
    await finished(run)
    assert works == len(client.all("rank_work"))
