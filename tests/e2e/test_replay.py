"""A run can be played again from its own event log: without recommenders, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pytest

from recarena.server.errors import InputError, LogDeparted
from recarena.server.founding import RunState
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.choice.coefficients import Coefficients
from recarena.server.replaying import play_again
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.store.fork import fork
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventColumns, EventKind, Outcome, RoundResult, Surface
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import (
    CAPABILITY_CONVERSE,
    CAPABILITY_EXPLAIN,
    CAPABILITY_RANK,
)
from support.answering import (
    Answers,
    explained,
    half,
    in_turns,
    rejected,
    silent,
    with_violations,
)
from support.arena import begin, finished, log_of, settings, settled
from support.commands import Ended
from support.raw_client import COLUMNAR, RICH, RawClient
from support.sessions import failing

WORLD = "new:users=60,seed=8,history=3"
EVERYTHING = (*RICH, CAPABILITY_CONVERSE, CAPABILITY_EXPLAIN)
TALKATIVE = {"conversation": -0.5, "explanation": 1.5}
ARM = {"recommender": "raw", "explanations": True, "work_timeout_s": 0.25}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "runs") as server:
        yield server


ALL_WAYS = in_turns(explained, with_violations, half, rejected, failing, explained, silent)


async def played(
    server: Server,
    answers: Answers | None,
    *arms: Mapping[str, Any],
    run_id: str = "run",
    capabilities: Sequence[int] = EVERYTHING,
    **values: Any,
) -> Run:
    """A run with raw clients as recommenders, until it settles."""
    values = {"rounds": 3, "choice": TALKATIVE, "session": {"resume_window_s": 0.3}, **values}
    run = await begin(server, settings(*(arms or (ARM,)), **values), run_id=run_id, world=WORLD)
    async with contextlib.AsyncExitStack() as stack:
        for arm in run.settings.arms:
            client = await stack.enter_async_context(RawClient(server.address))
            await client.join(arm.recommender, capabilities=capabilities, instance_id=arm.id)
            stack.enter_context(serving(client, answers))
        await settled(run)
    return run


@contextlib.contextmanager
def serving(client: RawClient, answers: Answers | None):
    task = asyncio.ensure_future(client.serve(answers))
    yield task
    task.cancel()


async def again(folder: RunFolder, **given: Any) -> list[str]:
    """The digests of the rounds of a run that is played again."""
    return [row.digest async for row in play_again(folder, **given)]


async def assert_plays_again(run: Run) -> None:
    folder = RunFolder.open(run.folder.path)
    expected = [row.digest for row in folder.round_rows()]
    assert expected
    rules = run.settings.rules()
    for size in (1, 64, 4096):
        cut = replace(rules, cohort_size=size, cohorts_at_once=3)
        assert await again(folder, rules=cut) == expected


def outcomes(run: Run) -> Counter[Outcome]:
    return Counter(map(Outcome, log_of(run).of(EventKind.PAGE).outcome.tolist()))


# ------------------------------------------------------------------------------ the same again
@pytest.mark.parametrize("policy", ["empty_list", "fallback_popular"])
async def test_a_run_with_every_outcome_plays_again_from_its_log(server, policy):
    run = await played(server, ALL_WAYS, {**ARM, "failure_policy": policy}, rounds=6)
    await finished(run)
    assert set(outcomes(run)) >= {
        Outcome.ACCEPTED, Outcome.VIOLATIONS, Outcome.REJECTED, Outcome.FAILED, Outcome.LATE,
    }  # fmt: skip
    log = log_of(run)
    assert log.evidence
    assert set(log.of(EventKind.PAGE).surface.tolist()) == {
        Surface.FEED, Surface.SEARCH, Surface.CONVERSATION,
    }  # fmt: skip
    await assert_plays_again(run)


@pytest.mark.parametrize("policy", ["empty_list", "fallback_popular"])
async def test_a_run_that_lost_its_recommender_plays_again(server, policy):
    values = {"session": {"resume_window_s": 0.2}}
    arm = {**ARM, "failure_policy": policy}
    run = await begin(server, settings(arm, rounds=4, **values), world=WORLD)
    async with RawClient(server.address) as client:
        await client.join(capabilities=EVERYTHING)
        await client.serve(until=lambda message: message.round_ended.round == 2)
    await finished(run)
    assert {Outcome.ACCEPTED, Outcome.LOST} == set(outcomes(run))
    await assert_plays_again(run)


@pytest.mark.parametrize("policy", ["pause_run", "fail_run"])
async def test_the_committed_rounds_of_a_run_that_stopped_play_again(server, policy):
    def failing_in_round_3(raw: RawClient, kind: str, work: Any) -> list[ConnectRequest]:
        return (failing if work.header.round == 3 else explained)(raw, kind, work)

    run = await played(server, failing_in_round_3, {**ARM, "failure_policy": policy}, rounds=5)
    assert run.state is (RunState.PAUSED if policy == "pause_run" else RunState.FAILED)
    assert run.round == 2
    await assert_plays_again(run)


async def test_the_claims_of_explanations_come_out_of_the_log(server):
    run = await played(server, explained)
    log = log_of(run)
    assert log.evidence
    await assert_plays_again(run)
    # What users do follows from them: without the evidence they would have done other things.
    folder = await copied(run, lambda round, events: replace(events, evidence={}))
    with pytest.raises(LogDeparted, match="run run"):
        await again(folder)


@pytest.mark.parametrize("capabilities", [(CAPABILITY_RANK,), COLUMNAR, EVERYTHING])
async def test_users_have_the_surfaces_that_they_had(server, capabilities):
    run = await played(server, None, ARM, capabilities=capabilities)
    await finished(run)
    await assert_plays_again(run)


async def test_surfaces_that_come_and_go_between_rounds_play_again(server):
    run = await begin(server, settings(ARM, rounds=4, choice=TALKATIVE), world=WORLD)
    for capabilities, last in (((CAPABILITY_RANK,), 2), (EVERYTHING, 4)):
        async with RawClient(server.address) as client:
            await client.join(capabilities=capabilities, instance_id=f"until-{last}")
            await client.serve(until=lambda message: message.round_ended.round == last)  # noqa: B023
    await finished(run)
    rows = run.folder.round_rows()
    assert [row.surfaces["raw"] for row in rows] == [(), (), *[("search", "converse")] * 2]
    await assert_plays_again(run)


async def test_two_arms_one_with_replicas_play_again(server):
    arms = [{**ARM, "recommender": "one", "weight": 2}, {"recommender": "two", "replicas": 2}]
    run = await begin(server, settings(*arms, rounds=3, choice=TALKATIVE), world=WORLD)
    async with contextlib.AsyncExitStack() as stack:
        for name, instance, answers in (
            ("one", "a", in_turns(explained, with_violations)), ("two", "b", None),
            ("two", "c", None),
        ):  # fmt: skip
            client = await stack.enter_async_context(RawClient(server.address))
            await client.join(name, capabilities=EVERYTHING, instance_id=instance)
            stack.enter_context(serving(client, answers))
        await finished(run)
    assert len(set(run.arm_of_user.tolist())) == 2
    await assert_plays_again(run)


async def test_a_run_under_way_plays_again_as_far_as_it_is_committed(server):
    run = await begin(server, settings(ARM, rounds=4), world=WORLD)
    async with RawClient(server.address) as client:
        await client.join(capabilities=EVERYTHING)
        await client.serve(until=lambda message: message.round_ended.round == 2)
        assert run.state is RunState.RUNNING
        folder = RunFolder.open(run.folder.path)
        assert await again(folder) == [row.digest for row in run.folder.round_rows()]


async def test_forks_and_resets_play_again(server):
    await played(server, explained)
    copy = await server.house.fork("run", 2, "copy")
    assert await again(RunFolder.open(copy.folder.path)) == [
        row.digest for row in copy.folder.round_rows()
    ]
    fresh = await server.house.reset("run", 77)
    assert await again(RunFolder.open(fresh.folder.path)) == []
    fresh.start()
    async with RawClient(server.address) as client:
        await client.join(capabilities=EVERYTHING)
        await client.serve(explained)
    await finished(fresh)
    assert fresh.epoch == 2
    await assert_plays_again(fresh)


# ------------------------------------------------------------------------------ what is found
async def copied(run: Run, change: Callable[[int, EventColumns], EventColumns]) -> RunFolder:
    """A copy of a run with other events, whose digests fit them: nobody can tell but by playing."""
    path = run.folder.path.with_name(f"{run.run_id}-changed")
    with fork(RunFolder.open(run.folder.path), path, 0, run_id=run.run_id) as folder:
        rows = run.folder.round_rows()
        rounds = run.folder.rounds(1, len(rows))
        for row, (events, memories) in zip(rows, rounds, strict=True):
            surfaces = {number: row.surfaces[arm] for number, arm in enumerate(folder.arms)}
            result = RoundResult(
                row.round, row.active, change(row.round, events), memories, surfaces=surfaces
            )
            await folder.commit(result, row.sim_time)
    found = RunFolder.open(path)
    assert found.verify_digest() == found.digest
    return found


def in_round_2(change: Callable[[EventColumns], EventColumns]) -> Callable[..., EventColumns]:
    return lambda round, events: change(events) if round == 2 else events


def other_rating(events: EventColumns) -> EventColumns:
    value = events.value.copy()
    row = np.flatnonzero((events.kind == EventKind.WATCH) & (value > 0))[0]
    value[row] = 6 - value[row] if value[row] != 3 else 4
    return replace(events, value=value)


def without_last_page(events: EventColumns) -> EventColumns:
    page = np.flatnonzero(events.kind == EventKind.PAGE)[-1]
    kept = (events.user != events.user[page]) | (events.step != events.step[page])
    return events.take(kept)


def one_page_more(events: EventColumns) -> EventColumns:
    page = np.flatnonzero(events.kind == EventKind.PAGE)[-1]
    rows = np.arange(len(events))
    return events.take(np.concatenate([rows[: page + 1], rows[page:]]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_rating, "(watch of user "),
        (without_last_page, "was asked for, but the log has nothing more of this user"),
        (one_page_more, "no more was asked for, but the log has the feed from page"),
    ],
)
async def test_a_log_that_was_tampered_with_is_found_though_its_digests_fit(server, change, says):
    run = await played(server, None, ARM)
    folder = await copied(run, in_round_2(change))
    rounds = play_again(folder)
    assert (await anext(rounds)).round == 1
    with pytest.raises(LogDeparted) as error:
        await anext(rounds)
    assert "round 2" in str(error.value)
    assert says in str(error.value)


async def test_a_log_whose_digests_do_not_fit_is_told_as_changed(server):
    run = await played(server, None, ARM)
    await run.close()
    table = lancedb.connect(str(run.folder.path / "tables")).open_table("events")
    table.update(where="round = 2 AND kind = 6", values={"value": 1.5})
    with pytest.raises(InputError, match="round 2 do not give the digest in its row"):
        await again(RunFolder.open(run.folder.path))


async def test_users_with_another_mind_are_found(server):
    run = await played(server, explained)
    folder = RunFolder.open(run.folder.path)
    same = ChoiceMind(Coefficients(**TALKATIVE))
    assert await again(folder, mind=same) == [row.digest for row in folder.round_rows()]
    for other in ({"item": -1.5}, {"go_on": 1.0}, {"explanation": 0.0}, {"conversation": -3.0}):
        mind = ChoiceMind(Coefficients(**{**TALKATIVE, **other}))
        with pytest.raises(LogDeparted, match="run run, round"):
            await again(folder, mind=mind)


async def test_a_folder_of_an_older_version_says_what_it_does_not_have(server):
    run = await played(server, None, ARM)
    await run.close()
    tables = lancedb.connect(str(run.folder.path / "tables"))
    tables.open_table("rounds").drop_columns(["surfaces"])
    tables.open_table("events").drop_columns(["evidence"])
    folder = RunFolder.open(run.folder.path)
    assert folder.verify_digest() == folder.digest
    with pytest.raises(InputError) as error:
        await again(folder)
    assert "arm raw had a search box, nor the evidence of explanations" in str(error.value)
    assert "recarena digest --verify" in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda manifest: manifest.pop("settings"), "no settings to play by"),
        (lambda manifest: manifest["mind"].update(kind="human"), "a mind of the kind 'human'"),
        (lambda manifest: manifest["settings"].update(warp=9), "warp"),
    ],
)
async def test_a_manifest_that_cannot_be_played_by_is_told_so(server, change, says):
    run = await played(server, None, ARM, rounds=1)
    await run.close()
    changed(run.folder.path, change)
    with pytest.raises(InputError, match=says):
        await again(RunFolder.open(run.folder.path))


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


# ------------------------------------------------------------------------------ the program
def test_the_program_says_that_a_run_plays_again(shop, here):
    ended = here("digest", "runs/whole", "--replay", "--json", cwd=shop.folder).went_well()
    assert ended.value == {
        "run": "whole", "rounds": 6, "digest": shop.digest, "verified": False, "replayed": True,
    }  # fmt: skip
    told = here("digest", "runs/whole", "--verify", "--replay", cwd=shop.folder).went_well()
    assert told.out.strip() == shop.digest
    assert "Rounds 1 to 6 were played again: each comes out as it was." in told.err


def test_the_program_names_the_round_that_comes_out_otherwise(shop, here):
    here("fork", "runs/whole", "runs/otherwise", "--round", 3, cwd=shop.folder).went_well()
    path = shop.folder / "runs" / "otherwise"
    here("digest", path, "--replay", cwd=shop.folder).went_well()
    changed(path, lambda manifest: manifest["settings"]["choice"].update(item=0.0))
    changed(path, lambda manifest: manifest.update(code_version="0.0.1"))
    line = here("digest", path, "--replay", cwd=shop.folder).failed()
    assert line.startswith("recarena: run otherwise, round 1")
    assert "(the run was made by version 0.0.1; this is " in line
    ended: Ended = here("digest", path, "--replay", "--json", cwd=shop.folder)
    assert ended.code == 1
    assert ended.value["replayed"] is False
    assert f"recarena: {ended.value['differs']}" == ended.err.strip()


def test_a_run_without_rounds_has_nothing_to_play_again(shop, here):
    here("fork", "runs/whole", "runs/nothing", "--round", 0, cwd=shop.folder).went_well()
    ended = here("digest", "runs/nothing", "--replay", cwd=shop.folder).went_well()
    assert ended.out.strip() == "no round is committed yet"
