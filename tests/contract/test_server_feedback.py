"""What a recommender is told of what users saw and did."""

from __future__ import annotations

import asyncio
from collections import Counter

import grpc
import numpy as np
import pytest

from recarena.server.founding import RunState
from recarena.server.types import EventKind
from recarena.v1.recommender_service_pb2 import (
    ListFeedbackRequest,
)
from recarena.v1.types_pb2 import Impression, Interaction, Surface
from support.arena import begin, finished, log_of, settings
from support.raw_client import (
    COLUMNAR,
    OK,
    RICH,
)
from support.sessions import (
    another,
    pages,
)

CODE = grpc.StatusCode


async def test_feedback_is_what_was_shown_and_done(server, client):
    run = await begin(server, settings("raw", rounds=2, session={"max_users_per_work": 8}))
    await client.join()

    def with_tokens(raw, kind, work):
        answer = raw.answer(kind, work)
        for one in answer.rank_result.lists:
            one.attribution_token = f"{work.header.work_id}/{one.query_index}"
        return [answer]

    await client.serve(with_tokens)
    await finished(run)
    offered = {}  # token -> (user, items)
    for work in client.all("rank_work", "search_work"):
        for query in work.queries:
            token = f"{work.header.work_id}/{query.query_index}"
            items = [item.item_id for item in client.ranked(query).items]
            offered[token] = (query.user.user_id, items, getattr(query, "text", None))
    impressions = [(batch.round, one) for batch in client.feedback() for one in batch.impressions]
    assert len(impressions) == len(offered)
    by_id = {one.impression_id: one for _, one in impressions}
    assert len(by_id) == len(impressions)
    for _, one in impressions:
        user, items, text = offered[one.attribution_token]
        assert one.user_id == user
        assert [shown.item_id for shown in one.items] == items
        assert [shown.position for shown in one.items] == list(range(len(items)))
        assert one.source == Impression.SOURCE_RECOMMENDER
        on = Surface.SURFACE_FEED if text is None else Surface.SURFACE_SEARCH
        assert one.surface == on
        assert not any(shown.explanation_shown for shown in one.items)
    done = [one for batch in client.feedback() for one in batch.interactions if one.round]
    log = log_of(run).of(EventKind.WATCH)
    ids, items = run.data.population.user_ids, run.data.catalog.item_ids
    assert Counter((one.round, one.user_id, one.item_id, one.value) for one in done) == Counter(
        (r, ids[u], items[i], v)
        for r, u, i, v in zip(
            log.round.tolist(), log.user.tolist(), log.item.tolist(), log.value.tolist(),
            strict=True,
        )
    )  # fmt: skip
    assert len({one.interaction_id for one in done}) == len(done) > 0
    for one in done:
        impression = by_id[one.impression_id]
        assert impression.items[one.position].item_id == one.item_id
        assert (impression.user_id, impression.attribution_token) == (
            one.user_id,
            one.attribution_token,
        )
        when = run.settings.time.of_round(one.round)
        assert one.sim_time.ToDatetime(when.tzinfo) == when


async def test_columnar_feedback_is_the_same_as_the_rich(server):
    told = {}
    for name, capabilities in (("rich", RICH), ("columnar", COLUMNAR)):
        run = await begin(server, settings("raw", rounds=2), run_id=name)
        async with another(server) as client:
            await client.join(capabilities=capabilities)
            await client.serve()
            await finished(run)
            told[name] = client
    user, item = (
        {name: number for number, name in enumerate(names)}
        for names in (run.data.population.user_ids, run.data.catalog.item_ids)
    )
    rich: list[tuple[object, ...]] = []
    for batch in told["rich"].feedback():
        done = {(one.impression_id, one.position): one for one in batch.interactions}
        for page in batch.impressions:
            for shown in page.items:
                one = done.get((page.impression_id, shown.position))
                rich.append((
                    batch.round, user[page.user_id], item[shown.item_id], shown.position,
                    one.type if one else Interaction.TYPE_IMPRESSION,
                    one.value if one and one.HasField("value") else None,
                ))  # fmt: skip
    columns = [
        (batch.round, *row[:4], None if np.isnan(row[4]) else row[4])
        for batch in told["columnar"].feedback()
        if batch.round
        for row in zip(
            batch.user_numbers, batch.item_numbers, batch.positions, batch.types, batch.values,
            strict=True,
        )
    ]  # fmt: skip
    assert rich == columns


async def test_cursors_tell_the_batches_apart_and_rounds_do_not_mix(server, client):
    await begin(server, settings("raw", rounds=3))
    await client.join()
    await client.serve()
    batches = client.feedback()
    assert len({batch.cursor for batch in batches}) == len(batches)
    assert all(batch.cursor for batch in batches)
    assert [batch.round for batch in batches] == sorted(batch.round for batch in batches)


async def test_a_round_of_many_pages_is_told_in_several_batches(server, client):
    run = await begin(server, settings("raw", rounds=1), world="new:users=900,seed=2,history=4")
    await client.join(max_outstanding_work=16)
    await client.serve()
    await finished(run)
    batches = client.feedback(1)
    assert len(batches) > 1
    assert max(len(batch.impressions) for batch in batches) <= 256
    assert len(client.feedback(0)) > 1
    ids = [one.impression_id for batch in batches for one in batch.impressions]
    assert len(set(ids)) == len(ids) == len(pages(run))
    # Every batch can be taken by itself: its interactions are of its own impressions.
    for batch in batches:
        own = {one.impression_id for one in batch.impressions}
        assert {one.impression_id for one in batch.interactions} <= own


async def test_list_feedback_gives_the_same_batches_again_page_by_page(server, client):
    run = await begin(server, settings("raw", rounds=2), world="new:users=300,seed=2,history=12")
    registered = await client.join()
    await client.serve(until=lambda message: message.HasField("round_started")
                       and message.round_started.round == 2)  # fmt: skip
    pushed = client.feedback()
    read, token = [], ""
    while True:
        page = await client.stub.ListFeedback(
            ListFeedbackRequest(session_id=registered.session_id, page_size=2, page_token=token)
        )
        assert len(page.batches) <= 2
        read.extend(page.batches)
        if not page.next_page_token:
            break
        assert page.next_page_token == page.batches[-1].cursor
        token = page.next_page_token
    assert read == pushed
    assert len(read) > 3
    after = await client.stub.ListFeedback(
        ListFeedbackRequest(session_id=registered.session_id, page_token=read[2].cursor)
    )
    assert list(after.batches) == read[3:4]
    await client.serve()
    await finished(run)


async def test_list_feedback_of_an_unknown_session_is_not_found(server, client):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.stub.ListFeedback(ListFeedbackRequest(session_id="none"))
    assert error.value.code() is CODE.NOT_FOUND


async def test_list_feedback_refuses_a_cursor_that_is_none_of_its_own(server, client):
    await begin(server, settings("raw"))
    registered = await client.join()
    await client.find("round_started")
    for token in ("nonsense", "9.0.0", "1.77.0", "1.0"):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await client.stub.ListFeedback(
                ListFeedbackRequest(session_id=registered.session_id, page_token=token)
            )
        assert error.value.code() is CODE.INVALID_ARGUMENT, token


async def test_a_round_that_is_committed_while_its_run_is_stopped_is_told(server, client):
    run = await begin(server, settings("raw", rounds=50))
    commit, stopping = run.folder.commit, []

    async def commit_and_stop(result, sim_time):
        await commit(result, sim_time)
        if result.round == 3:
            stopping.append(asyncio.ensure_future(run.stop()))
            await asyncio.sleep(0)  # so that the stop is first to go on

    run.folder.commit = commit_and_stop
    await client.join()
    await client.serve()
    assert await client.status() == OK
    await stopping[0]
    assert (run.state, run.round) == (RunState.STOPPED, 3)
    assert {batch.round for batch in client.feedback()} == {0, 1, 2, 3}
    assert [ended.round for ended in client.all("round_ended")] == [1, 2, 3]
