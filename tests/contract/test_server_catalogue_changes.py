"""A catalogue that changes between rounds: who is told and waited for, and what lists may hold."""

from __future__ import annotations

import asyncio

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

from recarena.server.rpc import feedback_codec, limits
from recarena.server.types import EventKind, Outcome
from recarena.v1.session_pb2 import CatalogReady, Drain, RoundReady
from support.arena import PATIENCE, WORLD, begin, finished, log_of, settings, settled
from support.catalogues import after_one_round, change
from support.raw_client import COLUMNAR, OK, RawClient, details, fields_of
from support.sessions import ENCODINGS, another, failing

CODE = grpc.StatusCode
GONE = (0, 3, 7)
"""Items that are withdrawn."""


# ------------------------------------------------------------------------------ being told
async def test_the_round_begins_when_the_new_version_is_loaded(server, client):
    run = await after_one_round(server, client, settings("raw"))
    old = client.registered.catalog_version
    size = len(run.data.catalog)
    telling = change(run, added=("late",), withdrawn=GONE)
    changed = await client.receive("catalog_changed")
    assert changed.catalog_version == run.data.catalog.version != old
    assert changed.catalog_size == size + 1
    assert list(changed.changed_items) == [*GONE, size]
    assert await client.stays_silent()
    assert not telling.done()
    await client.take_catalog(changed)
    await asyncio.wait_for(telling, PATIENCE)
    assert [n for n, item in enumerate(client.items) if item.withdrawn] == list(GONE)
    assert client.items[-1].item_id == "late"
    assert client.items[-1].title == "The film late"


async def test_what_changed_can_be_read_from_the_first_of_the_changed_items_on(server, client):
    run = await after_one_round(server, client, settings("raw"))
    before = client.items
    telling = change(run, added=("late",), withdrawn=(len(before) - 2,))
    changed = await client.receive("catalog_changed")
    first = changed.changed_items[0]
    rest = await client.read_catalog(changed.catalog_version, str(first))
    assert len(rest) == 3
    assert before[:first] + rest == await client.read_catalog(changed.catalog_version)
    assert rest[0].withdrawn
    await client.take_catalog(changed)
    await telling


async def test_an_old_version_streams_as_it_was_while_a_session_knows_it(server, client):
    run = await after_one_round(server, client, settings("raw"))
    old, items = client.registered.catalog_version, client.items
    telling = change(run, added=("late",), withdrawn=GONE)
    changed = await client.receive("catalog_changed")
    assert await client.read_catalog(old) == items
    await client.take_catalog(changed)
    await telling
    again = change(run, withdrawn=(1,))
    await client.take_catalog(await client.receive("catalog_changed"))
    await again
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.read_catalog(old)
    assert error.value.code() is CODE.NOT_FOUND


async def test_another_run_of_the_same_world_keeps_its_catalogue(server, client):
    run = await after_one_round(server, client, settings("raw"))
    async with another(server) as other:
        await begin(server, settings("other"), run_id="other")
        registered = await other.join("other")
        assert registered.catalog_version == client.registered.catalog_version
        for items in ((0,), (1,), (2,)):
            telling = change(run, withdrawn=items)
            await client.take_catalog(await client.receive("catalog_changed"))
            await telling
        assert not any(i.withdrawn for i in await other.read_catalog(registered.catalog_version))


async def test_a_version_stays_for_recommenders_who_are_still_to_come(server, client):
    run = await after_one_round(server, client, settings("raw"))
    items = client.items
    await begin(server, settings("other"), run_id="other")
    for number in (0, 1, 2):
        telling = change(run, withdrawn=(number,))
        await client.take_catalog(await client.receive("catalog_changed"))
        await telling
    async with another(server) as other:
        registered = await other.join("other")
        assert await other.read_catalog(registered.catalog_version) == items


async def test_feedback_is_cut_for_the_longest_id_that_items_have_now(server, client, monkeypatch):
    run = await after_one_round(server, client, settings("raw"))
    cut, asked = feedback_codec.pages_per_rich_part, list[int]()

    def pages_per_rich_part(page_size: int, user_bytes: int, item_bytes: int) -> int:
        asked.append(item_bytes)
        return cut(page_size, user_bytes, item_bytes)

    monkeypatch.setattr(feedback_codec, "pages_per_rich_part", pages_per_rich_part)
    telling = change(run, added=("é" * 64,))
    await client.take_catalog(await client.receive("catalog_changed"))
    await telling
    assert asked == [128]


async def test_changes_one_after_another_are_told_one_by_one(server, client):
    run = await after_one_round(server, client, settings("raw"))
    for items in ((4,), (2, 5)):
        telling = change(run, withdrawn=items)
        changed = await client.receive("catalog_changed")
        assert tuple(changed.changed_items) == items
        await client.take_catalog(changed)
        await telling
    assert [n for n, item in enumerate(client.items) if item.withdrawn] == [2, 4, 5]


async def test_nothing_is_said_where_recommenders_would_see_no_difference(server, client):
    run = await after_one_round(server, client, settings("raw"))
    run.data.catalog.quality[0] += 1
    await run.recommenders[0].catalog_changed(np.array([0], np.int32))
    assert await client.stays_silent()


async def test_more_changes_than_are_named_mean_that_all_is_to_be_read(server, client):
    run = await after_one_round(server, client, settings("raw"))
    ids = tuple(f"late-{n}" for n in range(1001))
    telling = change(run, added=ids)
    changed = await client.receive("catalog_changed")
    assert not changed.changed_items
    await client.take_catalog(changed)
    await telling
    assert [item.item_id for item in client.items[-1001:]] == list(ids)


async def test_all_replicas_are_told_and_waited_for(server, client):
    run = await server.house.create(
        "run", WORLD, settings({"recommender": "raw", "replicas": 2}, rounds=3)
    )
    run.start(rounds=1)
    async with another(server) as second:
        await client.join()
        await second.join(instance_id="instance-2")
        until = {"until": lambda message: message.HasField("round_ended")}
        await asyncio.gather(client.serve(**until), second.serve(**until))
        await settled(run)
        telling = change(run, withdrawn=GONE)
        await client.take_catalog(await client.receive("catalog_changed"))
        changed = await second.receive("catalog_changed")
        assert await client.stays_silent()
        assert not telling.done()
        await second.take_catalog(changed)
        await asyncio.wait_for(telling, PATIENCE)


# ------------------------------------------------------------------------------ not being there
async def test_who_is_away_gets_the_new_version_when_it_comes_back(server, client):
    run = await after_one_round(server, client, settings("raw"))
    first, cursor = client.registered, client.feedback()[-1].cursor
    await client.close_half()
    assert await client.receive_any() is None
    assert not run.recommenders[0].reserved
    await asyncio.wait_for(change(run, added=("late",), withdrawn=GONE), PATIENCE)
    async with another(server) as second:
        back = await second.join(
            resume_run_id=first.run_id, feedback_cursor=cursor,
            catalog_version=first.catalog_version,
        )  # fmt: skip
        assert back.resumed
        assert back.catalog_version == run.data.catalog.version
        assert back.catalog_size == len(second.items) == len(run.data.catalog)
        assert second.items[GONE[0]].withdrawn
        run.start()
        assert (await second.receive("round_started")).round == 2


async def test_who_is_loading_is_told_before_anything_else(server, client):
    run = await server.house.create("run", WORLD, settings("raw"))
    run.start(rounds=1)
    await client.register()
    client.registered = await client.receive("registered")
    await asyncio.wait_for(change(run, withdrawn=(2,)), PATIENCE)
    await asyncio.wait_for(change(run, added=("late",)), PATIENCE)
    await client.load_catalog()
    await client.catalog_ready()
    changed = await client.receive("catalog_changed")
    assert list(changed.changed_items) == [2, len(run.data.catalog) - 1]
    assert await client.stays_silent()
    await client.take_catalog(changed)
    assert (await client.receive("feedback_batch")).round == 0


async def test_a_round_that_is_begun_again_with_other_items_is_announced_again(server, client):
    run = await server.house.create(
        "run", WORLD,
        settings({"recommender": "raw", "failure_policy": "pause_run", "work_timeout_s": 0.3}),
    )  # fmt: skip
    run.start()
    await client.join()
    await client.open_round()
    await client.receive_work()
    await settled(run)
    telling = change(run, withdrawn=GONE)
    changed = await client.find("catalog_changed")
    await client.take_catalog(changed)
    await telling
    run.start()
    assert (await client.receive("round_started")).round == 1
    await client.send(round_ready=RoundReady(round=1))
    await client.receive_work()


# ------------------------------------------------------------------------------ bad answers
async def test_a_refused_change_ends_the_session_and_the_run_goes_on_with_another(server, client):
    run = await after_one_round(server, client, settings("raw"))
    telling = change(run, withdrawn=GONE)
    version = (await client.receive("catalog_changed")).catalog_version
    error = Status(code=13, message="no room for it")
    await client.send(catalog_ready=CatalogReady(catalog_version=version, error=error))
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.FAILED_PRECONDITION
    assert "no room for it" in text
    await asyncio.wait_for(telling, PATIENCE)
    run.start()
    async with another(server) as second:
        await second.join()
        assert second.items[GONE[0]].withdrawn
        await second.serve()
    await finished(run)


async def test_silence_ends_the_session_after_the_ready_timeout(server, client):
    run = await after_one_round(
        server, client, settings("raw", session={"ready_timeout_s": 0.2, "resume_window_s": 5})
    )
    await asyncio.wait_for(change(run, withdrawn=GONE), PATIENCE)
    await client.receive("catalog_changed")
    assert await client.receive_any() is None
    code, text = await client.status()
    assert code is CODE.DEADLINE_EXCEEDED
    assert "CatalogReady" in text


async def test_a_ready_for_another_version_is_no_answer(server, client):
    run = await after_one_round(server, client, settings("raw"))
    old = client.registered.catalog_version
    telling = change(run, withdrawn=GONE)
    changed = await client.receive("catalog_changed")
    for version in (old, "another", ""):
        await client.send(catalog_ready=CatalogReady(catalog_version=version))
    assert await client.stays_silent()
    assert not telling.done()
    await client.take_catalog(changed)
    await asyncio.wait_for(telling, PATIENCE)


async def test_readies_that_nobody_asked_for_are_a_flood(server, client, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNSOLICITED", 5)
    monkeypatch.setattr(limits, "UNSOLICITED_PER_S", 10**6)  # nobody waits for the refill here
    monkeypatch.setattr(limits, "UNSOLICITED_BYTES", float("inf"))  # each counts for just one
    run = await after_one_round(server, client, settings("raw"))
    telling = change(run, withdrawn=GONE)
    await client.take_catalog(await client.receive("catalog_changed"))
    await telling
    for _ in range(50):
        await client.catalog_ready()
    assert await client.stays_silent()
    await client.catalog_ready()
    assert await client.receive_any() is None
    assert (await client.status())[0] is CODE.RESOURCE_EXHAUSTED


async def test_goodbye_in_place_of_an_answer_holds_up_nothing(server, client):
    run = await after_one_round(server, client, settings("raw"))
    telling = change(run, withdrawn=GONE)
    await client.receive("catalog_changed")
    await client.send(drain=Drain(grace=Duration(seconds=1)))
    await asyncio.wait_for(telling, PATIENCE)


# ------------------------------------------------------------------------------ lists
async def played(server, client: RawClient, numbers: list[int], **register) -> object:
    """A run whose second round is answered with these items, four of the catalogue's being gone."""
    run = await after_one_round(server, client, settings("raw", visits={"step_cap": 1}),
                                **register)  # fmt: skip
    telling = change(run, withdrawn=GONE)
    await client.take_catalog(await client.receive("catalog_changed"))
    await telling
    client.ranks = lambda user, offset, count, text="": numbers[:count]
    run.start()
    await client.serve()
    assert await client.status() == OK
    await finished(run)
    return run


@ENCODINGS
async def test_a_withdrawn_item_is_unknown_in_a_list_and_says_so(server, client, capabilities):
    run = await played(server, client, [1, 3, 2, 4, 5], capabilities=capabilities)
    events = log_of(run, 2)
    shown = events.of(EventKind.SHOWN)
    assert set(shown.item.tolist()) == {1, 2, 4, 5}
    assert set(events.of(EventKind.PAGE).outcome.tolist()) == {Outcome.VIOLATIONS}
    told = client.all("work_outcome")[0]
    assert fields_of(told.status)[0] == "lists[0].items[1].item_id"
    described = details(told.status, BadRequest)[0].field_violations[0].description
    assert described == f"item {run.data.catalog.item_ids[3]!r} was withdrawn"
    faults = [work.faults for work in run.folder.works() if work.round == 2]
    assert {fault.unknown > 0 for fault in faults} == {True}


async def test_a_list_needs_no_more_items_than_are_left(server, client):
    catalog_size = 120
    run = await after_one_round(server, client, settings("raw"), capabilities=COLUMNAR)
    size = len(run.data.catalog)
    assert size >= catalog_size
    telling = change(run, withdrawn=tuple(range(2, size)))
    await client.take_catalog(await client.receive("catalog_changed"))
    await telling
    client.batch_lists = lambda kind, work: [[0, 1]] * len(work.user_numbers)
    given = client.answer

    def short(kind, work):
        answer = given(kind, work)
        offsets = list(work.offsets) or [0] * len(work.user_numbers)
        result = answer.rank_batch_result
        del result.item_numbers[:]
        for offset in offsets:
            left = [0, 1][offset:]
            result.item_numbers.extend(left)
            result.list_lengths.append(len(left))
        return answer

    client.answer = short
    run.start()
    await client.serve()
    await finished(run)
    assert not client.all("work_outcome")
    assert set(log_of(run, 2).of(EventKind.PAGE).outcome.tolist()) == {Outcome.ACCEPTED}


async def test_the_most_watched_in_place_of_a_list_are_none_of_those_withdrawn(server, client):
    arm = {"recommender": "raw", "failure_policy": "fallback_popular"}
    run = await after_one_round(server, client, settings(arm))
    popular = int(np.argmax(run.world.popularity))
    telling = change(run, withdrawn=(popular,))
    await client.take_catalog(await client.receive("catalog_changed"))
    await telling
    run.start()
    await client.serve(failing)
    await finished(run)
    shown = log_of(run, 2).of(EventKind.SHOWN).item
    assert len(shown)
    assert popular not in shown
