"""The server's side of a recommender session, against a client written from the protos alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status

from recarena.server.rpc import recommenders as door
from recarena.server.rpc.server import Server
from recarena.server.runs import RunState
from recarena.server.types import EventKind, Outcome
from recarena.v1.recommender_service_pb2 import (
    ConnectRequest,
    ListFeedbackRequest,
    StreamCatalogRequest,
)
from recarena.v1.session_pb2 import (
    CAPABILITY_CONVERSE,
    CAPABILITY_EXPLAIN,
    CAPABILITY_PARTIAL_RESULTS,
    CAPABILITY_RANK,
    CAPABILITY_SEARCH,
    CatalogReady,
    Drain,
    ExtendDeadline,
    RoundReady,
    WorkFailed,
    WorkOutcome,
)
from recarena.v1.types_pb2 import Evidence, ExplanationMode, Impression, Interaction, Surface
from recarena.v1.work_pb2 import RankBatchResult, RankResult
from support.arena import PATIENCE, begin, finished, log_of, settings, settled, until
from support.raw_client import (
    COLUMNAR,
    OK,
    RICH,
    RawClient,
    fields_of,
    reason_of,
)

ONE_PAGE: dict[str, Any] = {"rounds": 1, "visits": {"step_cap": 1}}
"""One round in which every visitor sees one page: one work."""
ENCODINGS = pytest.mark.parametrize("capabilities", [RICH, COLUMNAR], ids=["rich", "columnar"])
CODE = grpc.StatusCode


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "runs") as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[RawClient]:
    async with RawClient(server.address) as client:
        yield client


@contextlib.asynccontextmanager
async def another(server: Server) -> AsyncIterator[RawClient]:
    async with RawClient(server.address) as client:
        yield client


def pages(run: Any) -> Any:
    """The PAGE events of the run's log."""
    return log_of(run).of(EventKind.PAGE)


def outcomes(run: Any) -> Counter[Outcome]:
    """How many pages had each outcome."""
    return Counter(Outcome(number) for number in pages(run).outcome.tolist())


def outcome_of(client: RawClient) -> WorkOutcome:
    """The one WorkOutcome that was told."""
    (told,) = client.all("work_outcome")
    return told


def shown_to(client: RawClient, user_id: str) -> list[str]:
    """Ids of the items on the first page of a user, as the feedback has them."""
    for batch in client.feedback():
        for impression in getattr(batch, "impressions", ()):
            if impression.user_id == user_id:
                return [shown.item_id for shown in impression.items]
    raise AssertionError(f"no impression of {user_id}")


# ------------------------------------------------------------------------------ whole runs
@ENCODINGS
async def test_a_raw_client_completes_a_whole_run(server, client, capabilities):
    run = await begin(server, settings("raw", rounds=3))
    registered = await client.join(capabilities=capabilities)
    await client.serve()
    assert await client.status() == OK
    await finished(run)
    assert registered.run_id == "run"
    assert list(registered.arm_ids) == ["raw"]
    assert (registered.epoch, registered.round_limit, registered.page_size) == (1, 3, 5)
    assert registered.user_count == 40
    assert registered.catalog_size == len(client.item_ids) == len(set(client.item_ids))
    assert set(registered.capabilities) == set(capabilities)
    assert not registered.resumed
    assert set(outcomes(run)) == {Outcome.ACCEPTED}
    assert client.all("work_outcome") == []
    assert [message.seq for message in client.seen] == list(range(1, len(client.seen) + 1))


@ENCODINGS
async def test_messages_come_in_the_order_of_the_contract(server, client, capabilities):
    run = await begin(server, settings("raw", rounds=2))
    await client.join(capabilities=capabilities)
    await client.serve()
    await finished(run)
    rich = capabilities is RICH
    rank, search = ("rank_work", "search_work") if rich else ("rank_batch", "search_batch")
    feedback = "feedback_batch" if rich else "feedback_columns"
    kinds = client.kinds()
    seen = {rank, search, feedback, "registered", "round_started", "round_ended", "drain"}
    assert set(kinds) == seen
    shape = [kind for at, kind in enumerate(kinds) if kind != kinds[at - 1]]
    works = [kind for kind in shape if kind not in (rank, search)]
    per_round = ["round_started", feedback, "round_ended"]
    assert works == ["registered", feedback, *per_round, *per_round, "drain"]
    assert [one.round for one in client.all("round_started")] == [1, 2]
    assert [one.round for one in client.all("round_ended")] == [1, 2]
    assert {one.round for one in client.feedback()} == {0, 1, 2}
    assert client.all("drain")[0].reason.code == 0


@ENCODINGS
async def test_both_encodings_say_of_each_work_whose_it_is(server, client, capabilities):
    run = await begin(server, settings("raw", rounds=2, session={"max_users_per_work": 8}))
    await client.join(capabilities=capabilities)
    await client.serve()
    await finished(run)
    works = client.all("rank_work", "rank_batch", "search_work", "search_batch")
    heads = [work.header for work in works]
    assert len({head.work_id for head in heads}) == len(heads)
    assert {(head.attempt, head.epoch) for head in heads} == {(1, 1)}
    assert {head.round for head in heads} == {1, 2}
    assert {head.timeout.seconds for head in heads} == {60}
    sizes = [len(getattr(work, "queries", getattr(work, "user_numbers", ()))) for work in works]
    assert max(sizes) == 8
    if capabilities is RICH:
        for work in client.all("rank_work"):
            assert [query.query_index for query in work.queries] == list(range(len(work.queries)))
            assert {query.surface for query in work.queries} == {Surface.SURFACE_FEED}
            assert {query.result_count for query in work.queries} == {5}
            for query in work.queries:
                assert query.user.arm_id == "raw"
                assert not query.user.attributes
                assert not query.user.recent
        ids = run.data.population.user_ids
        users = [query.user for work in works for query in work.queries]
        assert all(ids[user.user_number] == user.user_id for user in users)


async def test_rich_and_columnar_answers_give_the_same_log(server):
    digests = []
    for name, capabilities in (("rich", RICH), ("columnar", COLUMNAR)):
        run = await begin(server, settings("raw", rounds=3), run_id=name)
        async with another(server) as client:
            await client.join(capabilities=capabilities)
            await client.serve()
        digests.append(await finished(run))
    assert digests[0] == digests[1]


# ------------------------------------------------------------------------------ Register
async def test_a_first_message_other_than_register_is_refused(client):
    await client.send(round_ready=RoundReady(round=1))
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.INVALID_ARGUMENT
    assert "Register" in text


async def test_a_recommender_that_cannot_rank_is_refused(client):
    await client.register(capabilities=[CAPABILITY_SEARCH])
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.FAILED_PRECONDITION
    assert "RANK" in text
    assert reason_of(await client.rich_status()) == "INCOMPATIBLE"


@pytest.mark.parametrize("name", ["", "Raw", "-raw", "raw one", "räw", "r" * 64, "../raw", "raw\n"])
async def test_a_bad_recommender_id_is_refused(client, name):
    await client.register(name)
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.INVALID_ARGUMENT
    assert "recommender_id" in text


async def test_a_too_long_instance_id_is_refused(client):
    await client.register(instance_id="x" * 129)
    assert await client.receive_any() is None
    assert (await client.status())[0] is CODE.INVALID_ARGUMENT


async def test_a_stream_without_register_ends_in_time(server, monkeypatch):
    monkeypatch.setattr(door, "REGISTER_TIMEOUT_S", 0.1)
    async with another(server) as client:
        await client.send()  # the stream is open; an unset oneof is no Register
        assert await client.receive_any() is None
        assert (await client.status())[0] is CODE.INVALID_ARGUMENT
    call = RawClient(server.address)
    async with call:
        assert await call.receive_any() is None
        assert (await call.status())[0] is CODE.DEADLINE_EXCEEDED


async def test_register_sent_twice_ends_the_session(server, client):
    await begin(server, settings("raw"))
    await client.join()
    await client.register()
    while await client.receive_any():
        pass
    assert (await client.status())[0] is CODE.FAILED_PRECONDITION


async def test_a_recommender_waits_until_a_run_wants_it(server, client):
    await client.register()
    assert await client.stays_silent()
    await begin(server, settings("other"), run_id="others")
    assert await client.stays_silent()
    run = await begin(server, settings("raw", **ONE_PAGE))
    client.registered = await client.receive("registered")
    assert client.registered.run_id == "run"
    await client.load_catalog()
    await client.catalog_ready()
    await client.serve()
    await finished(run)


async def test_features_that_the_server_does_not_know_are_left_out(server, client):
    await begin(server, settings("raw"))
    registered = await client.join(capabilities=[CAPABILITY_RANK, 77], protocol_minor=9)
    assert list(registered.capabilities) == [CAPABILITY_RANK]
    assert registered.protocol_minor == 0


async def test_the_limits_in_force_are_told(server, client):
    chosen = settings("raw", session={"resume_window_s": 12, "ping_interval_s": 3})
    await begin(server, chosen)
    registered = await client.join(max_users_per_work=100_000)
    limits = registered.limits
    assert limits.max_users_per_work == 256
    assert (limits.max_message_bytes, limits.max_items_per_list) == (4 * 2**20, 100)
    assert (limits.max_explanation_chars, limits.max_token_bytes) == (500, 256)
    assert (registered.resume_window.seconds, registered.ping_interval.seconds) == (12, 3)
    assert registered.work_timeout.seconds == 60
    assert registered.max_work_timeout.seconds >= 60


# ------------------------------------------------------------------------------ catalogue
async def test_the_catalogue_comes_in_parts_and_goes_on_from_a_token(server, client):
    run = await begin(server, settings("raw"))
    registered = await client.join()
    version = registered.catalog_version
    parts = [
        part async for part in client.stub.StreamCatalog(
            StreamCatalogRequest(catalog_version=version)
        )
    ]  # fmt: skip
    assert len(parts) > 1
    assert {part.catalog_version for part in parts} == {version}
    assert [bool(part.next_page_token) for part in parts] == [True] * (len(parts) - 1) + [False]
    items = [item for part in parts for item in part.items]
    assert [item.item_id for item in items] == run.data.catalog.item_ids
    assert [item.title for item in items] == run.data.catalog.titles
    token = parts[0].next_page_token
    rest = client.stub.StreamCatalog(
        StreamCatalogRequest(catalog_version=version, page_token=token)
    )
    assert [item.item_id async for part in rest for item in part.items] == [
        item.item_id for item in items[len(parts[0].items) :]
    ]
    assert items[0].categories
    assert {"year"} <= set(items[0].attributes)


async def test_an_unknown_catalogue_is_not_found(client):
    call = client.stub.StreamCatalog(StreamCatalogRequest(catalog_version="none"))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call.read()
    assert error.value.code() is CODE.NOT_FOUND


async def test_a_bad_token_of_the_catalogue_is_the_callers_fault(server, client):
    await begin(server, settings("raw"))
    version = (await client.join()).catalog_version
    for token in ("x", "-1", "9" * 30):
        call = client.stub.StreamCatalog(
            StreamCatalogRequest(catalog_version=version, page_token=token)
        )
        with pytest.raises(grpc.aio.AioRpcError) as error:
            while await call.read() is not grpc.aio.EOF:
                pass
        assert error.value.code() is CODE.INVALID_ARGUMENT


async def test_nothing_is_sent_before_the_catalogue_is_accepted(server, client):
    await begin(server, settings("raw"))
    await client.register()
    client.registered = await client.receive("registered")
    await client.load_catalog()
    assert await client.stays_silent()
    await client.catalog_ready()
    assert (await client.receive("feedback_batch")).round == 0


async def test_a_refused_catalogue_ends_the_session_and_leaves_the_arm_free(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.register()
    version = (await client.receive("registered")).catalog_version
    error = Status(code=13, message="no room for it")
    await client.send(catalog_ready=CatalogReady(catalog_version=version, error=error))
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.FAILED_PRECONDITION
    assert "no room for it" in text
    assert run.state is RunState.WAITING
    async with another(server) as second:
        await second.join()
        await second.serve()
    await finished(run)


async def test_a_catalogue_version_that_is_not_in_force_is_ignored(server, client):
    await begin(server, settings("raw"))
    await client.register()
    client.registered = await client.receive("registered")
    await client.send(catalog_ready=CatalogReady(catalog_version="another"))
    assert await client.stays_silent()
    await client.catalog_ready()
    assert (await client.receive("feedback_batch")).round == 0


# ------------------------------------------------------------------------------ rounds and pings
@ENCODINGS
async def test_history_comes_before_any_work(server, client, capabilities):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join(capabilities=capabilities)
    await client.serve()
    await finished(run)
    history = run.data.history
    batches = client.feedback(0)
    if capabilities is RICH:
        ids, items = run.data.population.user_ids, run.data.catalog.item_ids
        told = [one for batch in batches for one in batch.interactions]
        assert [(one.user_id, one.item_id, one.value) for one in told] == [
            (ids[u], items[i], r)
            for u, i, r in zip(
                history.user.tolist(), history.item.tolist(), history.rating.tolist(), strict=True
            )
        ]
        assert {one.type for one in told} == {Interaction.TYPE_RATE}
        assert {one.impression_id for one in told} == {""}
        assert not any(batch.impressions for batch in batches)
    else:
        (batch,) = batches
        assert list(batch.user_numbers) == history.user.tolist()
        assert list(batch.item_numbers) == history.item.tolist()
        assert list(batch.values) == history.rating.tolist()
        assert set(batch.types) == {Interaction.TYPE_RATE}
        lengths = {len(batch.positions), len(batch.types), len(batch.values)}
        assert lengths == {len(history)}


async def test_no_work_comes_before_the_recommender_is_ready(server, client):
    run = await begin(server, settings("raw", session={"ping_interval_s": 0.05}, **ONE_PAGE))
    await client.join()
    await client.find("round_started")
    before = client.pings
    # Pings go on while a model is trained; three of them pass without any work.
    client.pongs = False
    for _ in range(3):
        message = await client.receive_any()
        assert message is not None
        assert message.HasField("ping")
        await client.send(pong={"nonce": message.ping.nonce})
    client.pongs = True
    assert client.pings == before + 3
    await client.send(round_ready=RoundReady(round=1))
    await client.serve()
    await finished(run)


async def test_ready_for_another_round_is_not_ready(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    await client.find("round_started")
    await client.send(round_ready=RoundReady(round=2))
    assert await client.stays_silent()
    await client.send(round_ready=RoundReady(round=1))
    await client.serve()
    await finished(run)


async def test_a_recommender_that_is_never_ready_is_let_go(server, client):
    chosen = settings(
        {"recommender": "raw", "failure_policy": "pause_run"},
        session={"ready_timeout_s": 0.2, "resume_window_s": 0.1},
        **ONE_PAGE,
    )
    run = await begin(server, chosen)
    await client.join()
    await client.find("round_started")
    assert await client.receive_any() is None
    assert (await client.status())[0] is CODE.DEADLINE_EXCEEDED
    await settled(run)
    assert run.state is RunState.PAUSED, run.error


async def test_pings_are_sent_and_a_hung_recommender_is_found_out(server, client):
    chosen = settings("raw", session={"ping_interval_s": 0.1, "resume_window_s": 30}, **ONE_PAGE)
    run = await begin(server, chosen)
    await client.join()
    client.pongs = False
    while message := await client.receive_any():
        assert not message.HasField("round_ended")
    assert client.pings > 3
    assert (await client.status())[0] is CODE.UNAVAILABLE
    async with another(server) as second:
        await second.join()
        await second.serve()
    await finished(run)


async def test_unknown_messages_are_ignored(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    await client.send(ConnectRequest())
    # A message of a later version: field 1000, length-delimited.
    await client.send(ConnectRequest.FromString(b"\xc2\x3e\x03abc"))
    await client.serve(lambda raw, kind, work: [ConnectRequest(), raw.answer(kind, work)])
    await finished(run)
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_a_message_over_the_limit_ends_that_session_only(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    huge = ConnectRequest(rank_result=RankResult(work_id="x" * (4 * 2**20 + 1)))
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await client.send(huge)
    while await client.receive_any():
        pass
    assert (await client.status())[0] is CODE.RESOURCE_EXHAUSTED
    async with another(server) as second:
        await second.join(instance_id="instance-2")
        await second.serve()
    await finished(run)


# ------------------------------------------------------------------------------ feedback
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
    impressions = [
        (batch.round, one) for batch in client.feedback() for one in getattr(batch, "impressions")
    ]
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
    run = await begin(
        server, settings("raw", rounds=1), world="new:users=900,seed=2,history=4"
    )
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
    run = await begin(
        server, settings("raw", rounds=2), world="new:users=300,seed=2,history=12"
    )
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


# ------------------------------------------------------------------------------ wrong answers
def first_list(change: Callable[[RawClient, Any], None]) -> Callable[..., Any]:
    """Answers with something changed in the first list of the first work."""
    changed = []

    def answers(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
        answer = raw.answer(kind, work)
        if not changed:
            changed.append(work)
            change(raw, answer.rank_result)
        return [answer]

    return answers


async def play(server: Server, client: RawClient, answers: Any, *arms: Any, **values: Any) -> Any:
    """One round of one page each, with these answers."""
    fields = values.pop("register", {})
    run = await begin(server, settings(*(arms or ("raw",)), **{**ONE_PAGE, **values}))
    await client.join(**fields)
    await client.serve(answers)
    assert await client.status() == OK
    await finished(run)
    return run


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
    assert [work.violations for work in run.folder.works()] == [3]  # two dropped, one short


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

    run = await play(
        server, client, answers, visits={"step_cap": 1, "repeats": "forbid"}
    )
    queries = client.all("rank_work")[0].queries
    watched = run.data.history
    for query in queries:
        mine = watched.item[watched.user == query.user.user_number]
        ids = {run.data.catalog.item_ids[item] for item in mine.tolist()}
        assert set(query.candidates.excluded_item_ids) == ids
        assert query.candidates.whole_catalog
        assert shown_to(client, query.user.user_id)[0] not in ids
    assert set(outcomes(run)) == {Outcome.VIOLATIONS}
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
    assert 0.2 < clock() - began
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
    activity = await run.mind.choose_activity(run.world, 1, everybody)
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


# ------------------------------------------------------------------------------ failure policies
def failing(raw, kind, work):
    status = Status(code=13, message="no")
    return [ConnectRequest(work_failed=WorkFailed(work_id=work.header.work_id, status=status))]


async def test_empty_list_shows_an_empty_page_that_stays_in_the_log(server, client):
    run = await play(
        server, client, failing, {"recommender": "raw", "failure_policy": "empty_list"}
    )
    assert set(outcomes(run)) == {Outcome.FAILED}
    assert set(pages(run).position.tolist()) == {0}
    impressions = [one for batch in client.feedback(1) for one in batch.impressions]
    assert len(impressions) == len(pages(run))
    assert {one.source for one in impressions} == {Impression.SOURCE_FALLBACK}
    assert not any(one.items for one in impressions)
    ended = client.all("round_ended")[0]
    assert (ended.accepted, ended.fallback) == (0, len(pages(run)))


@ENCODINGS
async def test_fallback_popular_shows_what_is_never_credited(server, client, capabilities):
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    run = await play(server, client, failing, arm, register={"capabilities": capabilities})
    assert set(outcomes(run)) == {Outcome.FAILED}
    log = log_of(run)
    shown = log.of(EventKind.SHOWN)
    by_fame = np.argsort(-run.data.catalog.popularity, kind="stable")[:5]
    assert set(shown.item.tolist()) == set(by_fame.tolist())
    first = shown.item[shown.user == shown.user[0]]
    assert first.tolist() == by_fame.tolist()
    assert len(log.of(EventKind.WATCH)) > 0
    assert client.all("round_ended")[0].fallback == len(pages(run))
    if capabilities is RICH:
        impressions = [one for batch in client.feedback(1) for one in batch.impressions]
        assert {one.source for one in impressions} == {Impression.SOURCE_FALLBACK}
        assert {one.attribution_token for one in impressions} == {""}
    else:
        for batch in client.feedback(1):
            assert list(batch.fallbacks) == [1] * len(batch.item_numbers)


async def test_only_the_pages_of_the_failed_work_are_fallbacks(server, client):
    def answers(raw, kind, work):
        right = raw.answer(kind, work)
        return failing(raw, kind, work) if work.user_numbers[0] == first[0] else [right]

    first: list[int] = []
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    chosen = settings(arm, session={"max_users_per_work": 8}, **ONE_PAGE)
    run = await begin(server, chosen)
    await client.join(capabilities=COLUMNAR, max_outstanding_work=1)
    await client.open_round()
    kind, work = await client.receive_work()
    first.append(work.user_numbers[0])
    await client.send(failing(client, kind, work)[0])
    await client.serve(answers)
    await finished(run)
    failed = {int(user) for user in work.user_numbers}
    (batch,) = client.feedback(1)
    marked = {u for u, f in zip(batch.user_numbers, batch.fallbacks, strict=True) if f}
    assert marked == failed
    assert outcomes(run)[Outcome.FAILED] == len(failed)


@pytest.mark.parametrize(
    ("policy", "state"),
    [("pause_run", RunState.PAUSED), ("fail_run", RunState.FAILED)],
)
async def test_a_run_stops_at_the_last_committed_round_and_goes_on(server, client, policy, state):
    arm = {"recommender": "raw", "failure_policy": policy}
    run = await begin(server, settings(arm, rounds=3))
    await client.join()

    def answers(raw, kind, work):
        if work.header.round == 2 and run.state is RunState.RUNNING and not failed:
            failed.append(work)
            return failing(raw, kind, work)
        return None

    failed: list[Any] = []
    serving = asyncio.create_task(client.serve(answers))
    await settled(run)
    assert run.state is state
    assert run.round == 1
    assert "recommender raw" in run.error
    assert "ExceptionGroup" not in run.error
    run.start()
    await finished(run)
    await serving
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_the_policy_of_one_arm_leaves_the_other_alone(server):
    arms = [{"recommender": "good"}, {"recommender": "bad", "failure_policy": "fallback_popular"}]
    run = await begin(server, settings(*arms, rounds=2))
    async with another(server) as good, another(server) as bad:
        await asyncio.gather(
            good.join("good"), bad.join("bad", instance_id="instance-2")
        )
        await asyncio.gather(good.serve(), bad.serve(failing))
        assert good.all("work_outcome") == []
    await finished(run)
    found = pages(run)
    arm = run.arm_of_user[found.user]
    assert set(found.outcome[arm == 0].tolist()) == {Outcome.ACCEPTED}
    assert set(found.outcome[arm == 1].tolist()) == {Outcome.FAILED}
    users = {
        name: {q.user.user_number for work in client.all("rank_work") for q in work.queries}
        for name, client in (("good", good), ("bad", bad))
    }
    assert {run.arm_of_user[user] for user in users["good"]} == {0}
    assert {run.arm_of_user[user] for user in users["bad"]} == {1}
    for client, number in ((good, 0), (bad, 1)):
        ids = run.data.population.user_ids
        told = {one.user_id for batch in client.feedback() for one in batch.impressions}
        told |= {one.user_id for batch in client.feedback() for one in batch.interactions}
        assert told <= {ids[user] for user in np.flatnonzero(run.arm_of_user == number)}


# ------------------------------------------------------------------------------ coming back
async def test_a_recommender_that_comes_back_gets_its_unanswered_work_again(server, client):
    run = await begin(server, settings("raw", rounds=2))
    first = await client.join()
    await client.open_round()
    _, work = await client.receive_work()
    history = client.feedback()
    await client.hang_up()
    async with another(server) as second:
        registered = await second.join(
            resume_run_id=first.run_id,
            resume_session_id=first.session_id,
            feedback_cursor=history[-1].cursor,
        )
        assert registered.resumed
        assert registered.session_id != first.session_id
        assert (registered.run_id, registered.epoch) == (first.run_id, first.epoch)
        started = await second.receive("round_started")  # no feedback: it had it all
        assert started.round == 1
        await second.send(round_ready=RoundReady(round=1))
        _, again = await second.receive_work()
        assert again.header.work_id == work.header.work_id
        assert again.header.attempt == 2
        assert again.queries == work.queries
        await second.send(second.answer("rank_work", again))
        await second.serve()
    await finished(run)
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_a_cursor_brings_what_was_missed_and_nothing_else(server, client):
    run = await begin(server, settings("raw", rounds=3))
    first = await client.join()
    await client.serve(until=lambda m: m.HasField("round_ended") and m.round_ended.round == 2)
    told = client.feedback()
    await client.hang_up()
    cursor = next(one.cursor for one in told if one.round == 1)
    async with another(server) as second:
        registered = await second.join(resume_run_id=first.run_id, feedback_cursor=cursor)
        assert registered.resumed
        await second.serve()
        missed = [one for one in second.feedback() if one.round < 3]
    await finished(run)
    at = [one.cursor for one in told].index(cursor)
    assert missed == told[at + 1 :]


async def test_a_recommender_that_lost_everything_gets_all_feedback(server, client):
    run = await begin(server, settings("raw", rounds=3))
    first = await client.join()
    await client.serve(until=lambda m: m.HasField("round_ended") and m.round_ended.round == 2)
    told = client.feedback()
    await client.hang_up()
    async with another(server) as second:
        registered = await second.join(resume_run_id=first.run_id)
        assert not registered.resumed
        assert registered.run_id == first.run_id
        await second.serve()
        assert [one for one in second.feedback() if one.round < 3] == told
    await finished(run)


@pytest.mark.parametrize("cursor", ["nonsense", "1.99.0", "7.1.0", "1.-1.0", "1.1.99999999"])
async def test_a_cursor_that_cannot_be_is_not_accepted(server, client, cursor):
    run = await begin(server, settings("raw", **ONE_PAGE))
    registered = await client.join(resume_run_id="run", feedback_cursor=cursor)
    assert not registered.resumed
    await client.serve()
    assert client.feedback(0)
    await finished(run)


async def test_a_recommender_of_another_run_starts_afresh(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    registered = await client.join(resume_run_id="gone", feedback_cursor="1.1.4")
    assert not registered.resumed
    await client.serve()
    assert client.feedback(0)
    await finished(run)


async def test_a_new_session_of_the_same_instance_fences_the_old(server, client):
    run = await begin(server, settings("raw", rounds=2))
    first = await client.join()
    await client.open_round()
    _, work = await client.receive_work()
    async with another(server) as second:
        await second.join(resume_run_id=first.run_id, feedback_cursor=client.feedback()[-1].cursor)
        while await client.receive_any():
            pass
        assert (await client.status())[0] is CODE.ABORTED
        assert reason_of(await client.rich_status()) == "FENCED"
        await second.open_round()
        _, again = await second.receive_work()
        assert (again.header.work_id, again.header.attempt) == (work.header.work_id, 2)
        await second.send(second.answer("rank_work", again))
        await second.serve()
    await finished(run)


async def test_a_session_of_the_same_instance_that_names_no_run_fences_nobody(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    await client.join()
    async with another(server) as second:
        await second.register()
        assert await second.stays_silent()
        await client.serve()
        assert await client.status() == OK
        await finished(run)
        assert await second.stays_silent()


async def test_another_instance_waits_and_takes_over_when_the_first_is_gone(server, client):
    run = await begin(server, settings("raw", rounds=2))
    await client.join()
    await client.open_round()
    await client.receive_work()
    async with another(server) as second:
        await second.register(instance_id="instance-2")
        assert await second.stays_silent()
        await client.hang_up()
        second.registered = await second.receive("registered")
        assert not second.registered.resumed
        await second.load_catalog()
        await second.catalog_ready()
        await second.serve()
        assert second.feedback(0)
    await finished(run)


async def test_a_recommender_away_for_too_long_has_lost_its_lists(server, client):
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    run = await begin(server, settings(arm, session={"resume_window_s": 0.1}, **ONE_PAGE))
    await client.join()
    await client.open_round()
    await client.receive_work()
    await client.hang_up()
    await finished(run)
    assert set(outcomes(run)) == {Outcome.LOST}
    async with another(server) as late:
        await late.register(resume_run_id="run")
        assert await late.stays_silent()  # the run is over: it waits for the next


async def test_the_same_run_with_and_without_a_break_has_the_same_log(server, client):
    digests = []
    for name, breaks in (("whole", False), ("broken", True)):
        run = await begin(server, settings("raw", rounds=3), run_id=name)
        async with another(server) as first:
            await first.join()
            if breaks:
                await first.serve(until=lambda m: m.HasField("search_work"))
                cursor = first.feedback()[-1].cursor
                await first.hang_up()
            else:
                await first.serve()
        if breaks:
            async with another(server) as second:
                await second.join(resume_run_id=name, feedback_cursor=cursor)
                await second.serve()
        digests.append(await finished(run))
    assert digests[0] == digests[1]


# ------------------------------------------------------------------------------ goodbye
async def test_a_server_that_stops_says_come_back(server, client):
    await begin(server, settings("raw", rounds=50))
    await client.join()
    await client.serve(until=lambda m: m.HasField("round_ended"))
    stopping = asyncio.create_task(server.stop())
    drain = await client.find("drain")
    assert drain.reason.code == CODE.UNAVAILABLE.value[0]
    await client.close_half()
    assert await client.receive_any() is None
    await stopping


async def test_a_recommender_that_drains_gets_no_more_work(server, client):
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    chosen = settings(
        arm,
        visits={"step_cap": 1},
        session={"max_users_per_work": 4, "resume_window_s": 0.2},
        rounds=1,
    )
    run = await begin(server, chosen)
    await client.join(max_outstanding_work=1)
    await client.open_round()
    kind, work = await client.receive_work()
    await client.send(drain=Drain(reason=Status(message="leaving"), grace=Duration(seconds=5)))
    await client.send(client.answer(kind, work))
    await client.stays_silent()  # had there been more work, it would have come by now
    await client.close_half()
    assert await client.receive_any() is None
    assert await client.status() == OK
    await finished(run)
    counted = outcomes(run)
    assert counted[Outcome.ACCEPTED] == len(work.queries)
    assert set(counted) == {Outcome.ACCEPTED, Outcome.LOST}


async def test_a_run_that_is_stopped_lets_its_recommender_go(server, client):
    run = await begin(server, settings("raw", rounds=50))
    await client.join()
    await client.serve(until=lambda m: m.HasField("round_ended"))
    stopping = asyncio.create_task(run.stop())
    drain = await client.find("drain")
    assert drain.reason.code == 0
    await client.close_half()
    await stopping
    assert await client.status() == OK
    assert run.state is RunState.STOPPED


# ------------------------------------------------------------------------------ search, talk, reasons
async def test_without_the_search_capability_nobody_searches(server, client):
    run = await begin(server, settings("raw", rounds=3))
    await client.join(capabilities=[CAPABILITY_RANK])
    await client.serve()
    await finished(run)
    assert client.all("search_work") == []
    assert not len(log_of(run).of(EventKind.SEARCH))


@ENCODINGS
async def test_searches_carry_the_words_of_the_log(server, client, capabilities):
    run = await begin(server, settings("raw", rounds=3))
    await client.join(capabilities=capabilities)
    await client.serve()
    await finished(run)
    titles = {title.casefold() for title in run.data.catalog.titles}
    genres = {name.casefold() for name in run.data.catalog.genre_names}
    if capabilities is RICH:
        words = [query.text for work in client.all("search_work") for query in work.queries]
    else:
        works = client.all("search_batch")
        words = [work.texts[number] for work in works for number in work.text_numbers]
        assert all(len(set(work.texts)) == len(work.texts) for work in works)
    assert words
    assert all(one.casefold() in genres | titles for one in words)


async def test_a_search_that_finds_nothing_is_no_violation(server, client):
    def nothing_found(raw, kind, work):
        answer = raw.answer(kind, work)
        if kind == "search_work":
            for one in answer.rank_result.lists:
                del one.items[:]
        return [answer]

    run = await begin(server, settings("raw", rounds=3))
    await client.join()
    await client.serve(nothing_found)
    await finished(run)
    assert client.all("search_work")
    assert client.all("work_outcome") == []
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_conversations_open_visits_where_they_are_offered(server, client):
    run = await begin(server, settings("raw", rounds=2, choice={"conversation": 0.0}))
    await client.join(capabilities=[*RICH, CAPABILITY_CONVERSE])
    await client.serve()
    await finished(run)
    works = client.all("converse_work")
    assert works
    assert {len(work.turns) for work in works} == {1}
    genres = {name.casefold() for name in run.data.catalog.genre_names}
    assert {work.turns[0].text.casefold() for work in works} <= genres
    log = log_of(run)
    assert len(log.of(EventKind.CONVERSE)) == len(works)
    offered = log.of(EventKind.PAGE).surface == Surface.SURFACE_CONVERSATION
    assert int(offered.sum()) == len(works)


async def test_explanations_are_asked_for_shown_and_fed_back(server, client):
    def explaining(raw, kind, work):
        answer = raw.answer(kind, work)
        for one in answer.rank_result.lists:
            explanation = one.items[0].explanation
            explanation.text = "Because\u202e you\x00 like it. " + "x" * 600
            explanation.evidence.add(kind=Evidence.KIND_FEATURE, reference="genre=Comedy")
        return [answer]

    arm = {"recommender": "raw", "explanations": True}
    run = await begin(server, settings(arm, **ONE_PAGE))
    await client.join(capabilities=[*RICH, CAPABILITY_EXPLAIN])
    await client.serve(explaining)
    await finished(run)
    (work,) = client.all("rank_work")
    asked = {query.explanation_mode for query in work.queries}
    assert asked == {ExplanationMode.EXPLANATION_MODE_STRUCTURED}
    for batch in client.feedback(1):
        for page in batch.impressions:
            assert [shown.explanation_shown for shown in page.items] == [True] + [False] * 4
    shown = log_of(run).of(EventKind.SHOWN)
    words = set(shown.text.values())
    (text,) = words
    assert text.startswith("Because you like it.")
    assert len(text) == 500


async def test_explanations_that_nobody_asked_for_are_dropped_and_not_counted(server, client):
    def explaining(raw, kind, work):
        answer = raw.answer(kind, work)
        for one in answer.rank_result.lists:
            one.items[0].explanation.text = "Buy this."
        return [answer]

    run = await play(server, client, explaining)
    (work,) = client.all("rank_work")
    asked = {query.explanation_mode for query in work.queries}
    assert asked <= {ExplanationMode.EXPLANATION_MODE_NONE, 0}
    assert client.all("work_outcome") == []
    assert log_of(run).text == {}
    assert set(outcomes(run)) == {Outcome.ACCEPTED}


async def test_nothing_hidden_of_a_user_is_on_the_wire_unless_it_was_opened(server, client):
    chosen = settings(
        "raw", rounds=2, session={"open_profile": ["age"], "recent_interactions": 2}
    )
    run = await begin(server, chosen)
    await client.join()
    await client.serve()
    await finished(run)
    users = [query.user for work in client.all("rank_work") for query in work.queries]
    ages = run.data.population.profile["age"]
    assert all(dict(user.attributes) == {"age": ages[user.user_number]} for user in users)
    recent = [one for user in users for one in user.recent]
    assert recent
    assert max(len(user.recent) for user in users) == 2
    assert {one.user_id for user in users for one in user.recent if one.user_id != user.user_id} \
        == set()  # fmt: skip
    raw = b"".join(message.SerializeToString() for message in client.seen)
    assert not [name for name in set(run.data.population.names) if name.encode() in raw]


async def test_a_dead_recommender_ends_its_session_only(server):
    arms = [
        {"recommender": "good"},
        {"recommender": "bad", "failure_policy": "empty_list"},
    ]
    run = await begin(server, settings(*arms, rounds=2, session={"resume_window_s": 0.1}))
    async with another(server) as good, another(server) as bad:
        await asyncio.gather(good.join("good"), bad.join("bad", instance_id="instance-2"))
        serving = asyncio.create_task(good.serve())
        await bad.open_round()
        await bad.receive_work()
        await bad.hang_up()
        await serving
        assert await good.status() == OK
    await finished(run)
    found = pages(run)
    arm = run.arm_of_user[found.user]
    assert set(found.outcome[arm == 0].tolist()) == {Outcome.ACCEPTED}
    assert set(found.outcome[arm == 1].tolist()) == {Outcome.LOST}


async def test_a_reset_run_has_a_new_epoch_and_starts_its_recommender_afresh(server, client):
    run = await begin(server, settings("raw", **ONE_PAGE))
    first = await client.join()
    await client.serve()
    digest = await finished(run)
    again = await server.house.reset("run", None)
    again.start()
    async with another(server) as second:
        cursor = client.feedback()[-1].cursor
        registered = await second.join(resume_run_id="run", feedback_cursor=cursor)
        assert (registered.epoch, registered.resumed) == (first.epoch + 1, False)
        await second.serve()
        assert {work.header.epoch for work in second.all("rank_work")} == {2}
    assert await finished(again) == digest


async def test_a_paused_run_keeps_its_recommender_and_goes_on(server, client):
    run = await begin(server, settings("raw", rounds=3))
    await client.join()
    serving = asyncio.create_task(client.serve())
    run.pause()
    await settled(run)
    assert run.state is RunState.PAUSED
    run.start()
    await until(run, 3)
    await finished(run)
    await serving
    assert await client.status() == OK


async def test_feedback_of_the_last_round_is_owed_even_when_the_server_died_after_committing_it(
    tmp_path,
):
    async with Server(tmp_path / "runs") as server, another(server) as client:
        run = await begin(server, settings("raw", rounds=2))
        await client.join()
        await client.serve()
        await finished(run)
        told = client.feedback()
        # What a killed server leaves behind: all rounds, and a state that speaks of playing.
        run.folder.set_status(RunState.RUNNING)
    async with Server(tmp_path / "runs") as server, another(server) as client:
        run = server.house.run("run")
        assert run.state is RunState.PAUSED
        cursor = [one.cursor for one in told if one.round == 1][-1]
        run.start()
        await client.join(resume_run_id="run", feedback_cursor=cursor)
        await client.serve()
        assert client.feedback() == [one for one in told if one.round == 2]
        assert await client.status() == OK
        await finished(run)
