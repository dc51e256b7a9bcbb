"""Runs with people in them: killed and gone on with, left alone, played again from their log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rich.console import Console

from recarena.evaluation.runs.run_log import RunLog
from recarena.recommenders.ease import Ease
from recarena.recommenders.popular import Popular
from recarena.server.cli.summary import summary, summary_table
from recarena.server.config import Settings, parse_settings
from recarena.server.datasets.specs import open_world
from recarena.server.datasets.world_data import WorldData
from recarena.server.founding import RunState, create_run
from recarena.server.interventions import Change, of_events
from recarena.server.minds.person.desk import TurnOutcome
from recarena.server.minds.person.turns import ActivityTurn, Choice, Doing, Said, Turn
from recarena.server.replaying import play_again
from recarena.server.runs import Run
from recarena.server.store.export import export_run
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventColumns, EventKind, InterventionKind
from support.clock import VirtualLoop, now, on_a_virtual_clock
from support.llm_runs import events_of
from support.people import hand_back, sit_down, take_over, whim
from support.twin import TwinDoor

ANN, BOB = 4, 17
BOTH = (ANN, BOB)


def world() -> WorldData:
    return open_world("new:users=30,seed=3,history=3")


def settings(rounds: int = 4) -> Settings:
    return parse_settings(
        {
            "seed": 7, "rounds": rounds, "store": {"fsync": False},
            "arms": [{"recommender": "popular"}, {"recommender": "ease"}],
        },
        "test",
    )  # fmt: skip


def opened(path: Path, rounds: int = 4) -> Run:
    """A new run, or the one that is there."""
    there = path.exists()
    made = settings(rounds)
    folder = RunFolder.open(path, writable=True) if there else create_run(path, made, world())
    return Run(folder, TwinDoor({"popular": Popular, "ease": Ease}))


async def play(run: Run, script: Callable[[Turn], Choice | None] = whim, **more: Any) -> None:
    """Plays on to the end with two people at the desk."""
    people = asyncio.create_task(sit_down(run, BOTH, script, **more))
    run.start()
    await run.settled()
    people.cancel()
    with suppress(asyncio.CancelledError):
        await people
    assert run.state is RunState.SUCCEEDED, run.error


async def again(path: Path) -> int:
    """Rounds that come out as they were from the log."""
    folder = RunFolder.open(path)
    try:
        return len([row async for row in play_again(folder)])
    finally:
        folder.close()


def of_user(events: EventColumns, user: int, round: int) -> EventColumns:
    return events.take((events.user == user) & (events.round == round))


@on_a_virtual_clock
async def test_people_decide_in_a_run_from_taking_over_to_handing_back(tmp_path: Path):
    path = tmp_path / "run"
    run = opened(path)
    take_over(run, *BOTH)
    run.start(2)
    people = asyncio.create_task(sit_down(run, BOTH))
    await run.settled()
    people.cancel()
    hand_back(run, ANN)
    await play(run)
    events = events_of(run.folder)
    await run.close()
    for user, rounds in ((ANN, (1, 2)), (BOB, (1, 2, 3, 4))):
        for round in range(1, 5):
            watches = of_user(events, user, round).of(EventKind.WATCH)
            if round in rounds:
                assert (watches.code == 0).all()
            assert not len(watches) or bool(watches.text) == (round in rounds)
    changes = events.of(EventKind.INTERVENTION)
    assert changes.round.tolist() == [1, 1, 3]
    assert await again(path) == 4
    steering = RunLog.open(path).steering
    assert list(zip(steering.round.tolist(), steering.user.tolist(), strict=True)) == [
        (1, ANN), (1, BOB), (2, ANN), (2, BOB), (3, BOB), (4, BOB),
    ]  # fmt: skip
    export_run(RunFolder.open(path), tmp_path / "out", "parquet")
    told = summary(RunFolder.open(path))
    assert (told["by_people"], told["interventions"]) == (6, 3)
    lines = Console(width=200)
    with lines.capture() as shown:
        lines.print(summary_table(told))
    assert "people played 6 rounds of users" in shown.get()
    assert "no people" not in shown.get()
    rows = pq.read_table(tmp_path / "out" / "people.parquet").to_pylist()
    names = world().population.user_ids
    assert [(row["round"], names.index(row["user_id"])) for row in rows] == list(
        zip(steering.round.tolist(), steering.user.tolist(), strict=True)
    )


@on_a_virtual_clock
async def test_who_hands_back_in_the_middle_of_a_turn_holds_nobody_up(tmp_path: Path):
    path = tmp_path / "run"
    run = opened(path)
    take_over(run, ANN)
    began = now()
    run.start()
    state = run.desk.state(ANN)
    while state.open is None or isinstance(state.open.turn, ActivityTurn):
        if state.open:
            run.desk.decide(ANN, state.open.id, Doing(EventKind.ENTER_RECOMMENDER))
        state = await run.desk.watch(ANN, state.version)
    hand_back(run, ANN)
    await run.settled()
    assert run.state is RunState.SUCCEEDED, run.error
    assert now() == began
    changes = of_events(events_of(run.folder))
    assert [(one.kind, one.number) for one in changes] == [
        (InterventionKind.TAKE_OVER, 1), (InterventionKind.HAND_BACK, 2),
    ]  # fmt: skip
    await run.close()
    assert await again(path) == 4


@on_a_virtual_clock
async def test_a_user_whom_nobody_plays_is_handed_back_after_the_deadline(tmp_path: Path):
    run = opened(tmp_path / "run")
    take_over(run, ANN, turn_time_s=9.0)
    began = now()
    run.start()
    await run.settled()
    assert run.state is RunState.SUCCEEDED, run.error
    assert now() == began + 9.0, "one turn is waited for, and no more"
    state = run.desk.state(ANN)
    assert (state.last_outcome, state.missed_rounds) == (TurnOutcome.TIMED_OUT, 1)
    changes = of_events(events_of(run.folder))
    assert [(one.kind, one.user) for one in changes] == [
        (InterventionKind.TAKE_OVER, ANN), (InterventionKind.HAND_BACK, ANN),
    ]  # fmt: skip
    assert [one.by for one in run.interventions()] == ["test", "deadline"]
    await run.close()
    assert await again(tmp_path / "run") == 4


@on_a_virtual_clock
async def test_who_decides_something_in_each_round_stays_though_turns_are_missed(tmp_path: Path):
    def only_the_first(turn: Turn) -> Choice | None:
        return whim(turn) if isinstance(turn, ActivityTurn) else None

    run = opened(tmp_path / "run")
    take_over(run, *BOTH, turn_time_s=9.0)
    began = now()
    await play(run, only_the_first)
    assert now() == began + 4 * 9.0
    assert len(run.interventions()) == 2
    await run.close()
    assert await again(tmp_path / "run") == 4


@on_a_virtual_clock
async def test_a_run_killed_in_the_middle_of_a_turn_goes_on_to_the_same_log(tmp_path: Path):
    whole = opened(tmp_path / "whole")
    take_over(whole, *BOTH)
    await play(whole)
    digest = whole.folder.digest
    await whole.close()

    run = opened(tmp_path / "cut")
    take_over(run, *BOTH)
    for turns in (3, 9, 9):
        left, risen = [turns], asyncio.Event()

        def then_rise(
            turn: Turn, left: list[int] = left, risen: asyncio.Event = risen
        ) -> Choice | None:
            left[0] -= 1
            if left[0] >= 0:
                return whim(turn)
            risen.set()
            return None

        people = asyncio.create_task(sit_down(run, BOTH, then_rise))
        run.start()
        async with asyncio.timeout(40.0):
            await risen.wait()
        people.cancel()
        assert run.desk.state(ANN).open or run.desk.state(BOB).open
        await run.close()
        assert run.desk.state(ANN).open is None
        run = opened(tmp_path / "cut")
    await play(run)
    assert run.folder.digest == digest
    await run.close()
    assert await again(tmp_path / "cut") == 4


@on_a_virtual_clock
async def test_a_pause_waits_for_the_round_and_a_stop_withdraws_the_turn(tmp_path: Path):
    run = opened(tmp_path / "run")
    take_over(run, ANN)
    run.start()
    state = await run.desk.watch(ANN, 0)
    assert state.open is not None
    run.pause()
    await run.stop()
    assert run.desk.state(ANN).open is None
    assert run.round == 0
    await run.close()


@on_a_virtual_clock
async def test_a_post_put_into_the_mouth_of_a_silent_person_is_not_the_persons_own(tmp_path: Path):
    def silent(turn: Turn) -> Choice:
        return Doing(EventKind.ENTER_SOCIAL) if isinstance(turn, ActivityTurn) else Said()

    run = opened(tmp_path / "run")
    take_over(run, ANN)
    values = {"user_id": run.world.population.user_ids[ANN], "text": "Hm", "sentiment": 1.0}
    run.intervene(Change(InterventionKind.INJECT_POST, values))
    await play(run, silent)
    mine = of_user(events_of(run.folder), ANN, 1)
    assert mine.kind.tolist() == [EventKind.ENTER_SOCIAL, EventKind.POST]
    await run.close()
    assert await again(tmp_path / "run") == 4


@hypothesis_settings(max_examples=4, deadline=None)
@given(slow=st.floats(0.0, 50.0), quick=st.floats(0.0, 50.0))
def test_how_long_people_take_is_not_in_the_log(slow: float, quick: float):
    assert digest_of(slow, quick) == digest_of(0.0, 0.0)


@cache
def digest_of(ann: float, bob: float) -> str:
    """Of a run in which people take so long for each turn."""

    async def lived(path: Path) -> str:
        run = opened(path, 2)
        take_over(run, *BOTH)
        others = asyncio.create_task(sit_down(run, [ANN], after_s=ann))
        people = asyncio.create_task(sit_down(run, [BOB], after_s=bob))
        run.start()
        await run.settled()
        for one in (others, people):
            one.cancel()
        assert run.state is RunState.SUCCEEDED, run.error
        digest = run.folder.digest
        await run.close()
        return digest

    with TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(lived(Path(folder) / "run"))
