"""A shadow is asked and told what the recorded recommender was, and touches nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from recarena.server.errors import InputError, NotFound
from recarena.server.shadowing import Shadow, plan_of
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import (
    CAPABILITY_COLUMNAR,
    CAPABILITY_CONVERSE,
    CAPABILITY_RANK,
)
from recarena.v1.types_pb2 import EXPLANATION_MODE_STRUCTURED
from support.answering import explained, half, in_turns, rejected, silent, with_violations
from support.arena import log_of
from support.llm_runs import asking, played
from support.llm_stub import LlmStub, random_mind
from support.raw_client import RICH, RawClient
from support.sessions import failing
from support.shadows import (
    EVERYTHING,
    asked,
    fingerprints,
    recorded,
    shadow_of,
    shadowed,
    told,
)

ARM: dict[str, Any] = {"recommender": "raw", "explanations": True}
EXACTING: dict[str, Any] = {
    "visits": {"repeats": "forbid"},
    "session": {
        "recent_interactions": 4, "open_profile": ["age"], "max_users_per_work": 7,
        "work_timeout_s": 17.0,
    },
    "execution": {"cohort_size": 16, "cohorts_at_once": 2},
}  # fmt: skip
OUTCOMES = ("accepted", "violations", "rejected", "late", "failed", "lost")


def only(shadow: Shadow) -> dict[str, Any]:
    """What a shadow of one arm came to."""
    (one,) = shadow.comparisons
    return one.as_json()


# ------------------------------------------------------------------------------ the same questions
@pytest.mark.parametrize(
    "capabilities",
    [EVERYTHING, (*RICH, CAPABILITY_CONVERSE, CAPABILITY_COLUMNAR)],
    ids=["rich", "columnar"],
)
async def test_a_shadow_is_asked_and_told_what_the_recorded_recommender_was(server, capabilities):
    run, (before,) = await recorded(
        server, ARM, capabilities=capabilities, answers=explained, **EXACTING
    )
    surfaces = set(log_of(run).of(EventKind.PAGE).surface.tolist())
    assert len(surfaces) == 3, "there are searches and conversations to ask again"
    shadow, (after,) = await shadowed(
        run.folder.path, server, capabilities=capabilities, answers=explained
    )
    assert asked(after) == asked(before)
    assert told(after) == told(before, tokens=False)
    for field in ("session_id", "run_id"):
        before.registered.ClearField(field)
        after.registered.ClearField(field)
    assert after.registered == before.registered
    assert after.items == before.items
    modes = {query.explanation_mode for work in after.all("rank_work", "search_work")
             for query in work.queries}  # fmt: skip
    assert modes == (
        set() if CAPABILITY_COLUMNAR in capabilities else {EXPLANATION_MODE_STRUCTURED}
    )
    found = only(shadow)
    assert (found["overlap"], found["rbo"], found["identical"]) == (1, 1, 1)
    assert found["hit_rate"] == 1
    assert set(found["surfaces"]) == {"feed", "search", "conversation"}
    assert found["asked"] == found["answered"] == len(log_of(run).of(EventKind.PAGE))


async def test_tokens_of_the_recorded_recommender_are_not_told_to_the_shadow(server):
    run, (before,) = await recorded(server, ARM, answers=explained)
    assert any(one.attribution_token for batch in before.feedback(1) for one in batch.impressions)
    _, (after,) = await shadowed(run.folder.path, server)
    for batch in after.feedback():
        assert not any(one.attribution_token for one in (*batch.impressions, *batch.interactions))


async def test_the_run_is_not_changed_and_its_users_do_what_they_did(server):
    run, _ = await recorded(server, ARM, answers=explained)
    path, digest = run.folder.path, run.folder.digest
    before = fingerprints(path)
    shadow, _ = await shadowed(path, server, answers=other_lists)
    assert shadow.compared == 3
    assert only(shadow)["identical"] < 1
    assert fingerprints(path) == before
    assert RunFolder.open(path).verify_digest() == digest


def other_lists(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
    """The usual lists of everybody's neighbour."""
    for query in getattr(work, "queries", ()):
        query.user.user_number += 1
    return [raw.answer(kind, work)]


async def test_the_same_answers_give_the_same_comparison_but_for_time(server):
    run, _ = await recorded(server, ARM, answers=explained, **EXACTING)
    found = []
    for _ in range(2):
        shadow, _ = await shadowed(run.folder.path, server, answers=other_lists)
        one = only(shadow)
        del one["latency"]
        found.append(json.dumps(one))
    assert found[0] == found[1]


# ------------------------------------------------------------------------------ failures
async def test_every_way_of_failing_is_counted_and_stops_nothing(server):
    ways = in_turns(explained, with_violations, half, rejected, failing, silent)
    arm = {**ARM, "work_timeout_s": 0.2, "failure_policy": "fail_run"}
    run, _ = await recorded(server, arm, answers=explained, rounds=4)
    shadow, _ = await shadowed(run.folder.path, server, answers=ways)
    assert shadow.compared == 4
    found = only(shadow)
    counts = {name: found["outcomes"][name] for name in OUTCOMES}
    assert all(counts[name] for name in OUTCOMES if name != "lost"), counts
    assert sum(counts.values()) == found["asked"] == found["lists"]
    assert found["answered"] == counts["accepted"] + counts["violations"]
    assert found["compared"] + found["both_empty"] == found["answered"]
    assert found["recorded_outcomes"]["accepted"] == found["lists"]


async def test_a_shadow_that_is_gone_for_good_is_lost_and_the_rest_is_still_asked(server):
    values = {"session": {"resume_window_s": 0.2}}
    run, _ = await recorded(server, ARM, rounds=4, **values)
    async with shadow_of(run.folder.path, server) as shadow, RawClient(server.address) as client:
        await client.join(capabilities=EVERYTHING)
        rounds = shadow.play()
        leaving = asyncio.ensure_future(
            client.serve(until=lambda message: message.round_ended.round == 2)
        )
        await shadow.arrived(30)
        await anext(rounds)
        await anext(rounds)
        await leaving
        await client.hang_up()
        async for _ in rounds:
            pass
        found = only(shadow)
    assert shadow.compared == 4
    assert found["outcomes"]["accepted"]
    assert found["outcomes"]["lost"]
    assert found["outcomes"]["accepted"] + found["outcomes"]["lost"] == found["asked"]


async def test_a_shadow_that_does_not_search_or_talk_is_not_asked_and_not_blamed(server):
    run, _ = await recorded(server, ARM)
    shadow, (client,) = await shadowed(run.folder.path, server, capabilities=(CAPABILITY_RANK,))
    found = only(shadow)
    assert client.all("search_work", "converse_work") == []
    assert found["not_offered"]
    assert found["asked"] + found["not_offered"] == found["lists"]
    assert found["outcomes"] == {**dict.fromkeys(OUTCOMES, 0), "accepted": found["asked"]}
    assert found["identical"] == 1


async def test_a_recorded_recommender_without_search_leaves_nothing_to_search_for(server):
    run, _ = await recorded(server, ARM, capabilities=(CAPABILITY_RANK,))
    shadow, (client,) = await shadowed(run.folder.path, server)
    assert client.all("search_work", "converse_work") == []
    assert set(only(shadow)["surfaces"]) == {"feed"}


async def test_pages_that_the_failure_policy_filled_are_not_compared(server):
    arm = {**ARM, "failure_policy": "fallback_popular"}
    run, _ = await recorded(server, arm, answers=in_turns(explained, failing))
    shadow, (client,) = await shadowed(run.folder.path, server)
    found = only(shadow)
    failed = found["recorded_outcomes"]["failed"]
    assert failed
    assert found["compared"] == found["lists"] - failed
    sources = {one.source for batch in client.feedback() for one in batch.impressions}
    assert len(sources) == 2, "the shadow is told which pages were fallbacks, as the other was"


# ------------------------------------------------------------------------------ arms and rounds
TWO_ARMS = ({**ARM, "recommender": "one"}, {"recommender": "two", "weight": 2})


async def test_each_arm_has_a_session_that_hears_of_its_own_users_only(server):
    run, before = await recorded(server, *TWO_ARMS, answers=explained)
    shadow, after = await shadowed(run.folder.path, server, answers=explained)
    by_arm = {client.registered.arm_ids[0]: client for client in after}
    assert set(by_arm) == {"one", "two"}
    for name, one in zip(("one", "two"), before, strict=True):
        assert asked(by_arm[name]) == asked(one)
        assert told(by_arm[name]) == told(one, tokens=False)
    assert [one.arm for one in shadow.comparisons] == ["one", "two"]
    assert all(one.as_json()["identical"] == 1 for one in shadow.comparisons)


async def test_one_arm_is_shadowed_where_one_is_named(server):
    run, before = await recorded(server, *TWO_ARMS)
    shadow, (client,) = await shadowed(run.folder.path, server, arms=["two"])
    assert only(shadow)["arm"] == "two"
    assert only(shadow)["recommender"] == "two"
    assert asked(client) == asked(before[1])


async def test_rounds_before_the_first_are_told_as_past_and_not_asked(server):
    run, (before,) = await recorded(server, ARM, answers=explained, rounds=5)
    shadow, (client,) = await shadowed(run.folder.path, server, rounds="3:4", answers=explained)
    assert shadow.compared == 2
    assert asked(client) == asked(before, 3, 4) != []
    first = client.kinds().index("round_started")
    assert {one.feedback_batch.round for one in client.seen[:first]
            if one.HasField("feedback_batch")} == {0, 1, 2}  # fmt: skip
    assert {batch.round for batch in client.feedback()} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"arms": ["rwa"]}, "has no arm 'rwa'; did you mean raw?"),
        ({"arms": ["zzz"]}, "has no arm 'zzz'; it has raw"),
        ({"rounds": "0"}, "--rounds: '0' are no rounds of this run, which has rounds 1 to 2"),
        ({"rounds": "3"}, "rounds 1 to 2"),
        ({"rounds": "2:1"}, "rounds 1 to 2"),
        ({"rounds": "a:b"}, "for example 1:2"),
    ],
)
async def test_what_a_run_does_not_have_is_told_with_what_it_has(server, plan, says):
    run, _ = await recorded(server, ARM, capabilities=RICH, rounds=2)
    with pytest.raises((InputError, NotFound)) as error:
        plan_of(RunFolder.open(run.folder.path), "raw", **plan)
    assert says in str(error.value)


async def test_a_shadow_that_does_not_come_is_told_with_how_many_came(server):
    run, _ = await recorded(server, *TWO_ARMS)
    async with shadow_of(run.folder.path, server) as shadow, RawClient(server.address) as client:
        await client.join()
        with pytest.raises(NotFound, match=r"1 of 2 sessions of the recommender 'raw' came within"):
            await shadow.arrived(0.3)


# ------------------------------------------------------------------------------ users that think
async def test_a_run_of_language_models_is_shadowed_without_asking_one(
    server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    async with LlmStub(random_mind(1)) as stub:
        async with played(tmp_path / "thinking", asking(stub, rounds=2)) as run:
            path, digest = run.folder.path, run.folder.digest
        calls = len(stub.calls)
        assert calls
        before = fingerprints(path)
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        shadow, (client,) = await shadowed(path, server, name="raw")
        assert len(stub.calls) == calls
    assert shadow.compared == 2
    assert only(shadow)["compared"]
    assert client.all("rank_work")
    assert RunFolder.open(path).verify_digest() == digest
    assert fingerprints(path) == before
