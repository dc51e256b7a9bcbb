"""Interventions in a run: accepted on the disk, in effect from the next round on, in its log."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from recarena.server.datasets.generate import generate_world
from recarena.server.errors import Conflict, InputError
from recarena.server.founding import RunState
from recarena.server.house import House, fork_run
from recarena.server.interventions import Change, as_events, of_events
from recarena.server.replaying import play_again
from recarena.server.runs import Run
from recarena.server.store.export import export_run
from recarena.server.store.journal import FILE, Journal
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.steered import interventions_of, world_after
from recarena.server.types import EventKind
from support.steered import K, ShelfDoor, added, change, founded, lives, plays

DATA = generate_world(40, 3, history_per_user=3)
IDS, GENRE = DATA.population.user_ids, DATA.catalog.genre_names[0]
ROUNDS = 6
SCRIPT: list[list[Change]] = [
    [],
    [added("new", GENRE, quality=2), change(K.TELL_USER, user_id=IDS[1], said="Hello")],
    [change(K.INJECT_POST, user_id=IDS[2], text="Hm", item_id="new", sentiment=2)],
    [],
    [change(K.WITHDRAW_ITEM, item_id=DATA.catalog.item_ids[0]),
     change(K.EDIT_PROFILE, user_id=IDS[3], name="Zoë", tastes={GENRE: 3})],
]  # fmt: skip
TESTS = Path(__file__).parents[1]


@asynccontextmanager
async def opened(path: Path, door: ShelfDoor | None = None) -> AsyncIterator[Run]:
    """The run of a folder, founded where there is none."""
    run = Run(_folder(path), door or ShelfDoor())
    try:
        yield run
    finally:
        await run.close()


def _folder(path: Path) -> RunFolder:
    return RunFolder.open(path, writable=True) if path.exists() else founded(path, DATA, ROUNDS)


async def uninterrupted(path: Path) -> str:
    async with opened(path) as run:
        await lives(run, SCRIPT)
        await plays(run, ROUNDS)
        assert run.state is RunState.SUCCEEDED
        return run.folder.digest


async def test_an_intervention_takes_effect_in_the_next_round_and_is_on_the_disk_before(tmp_path):
    async with opened(tmp_path / "run") as run:
        await plays(run)
        changes = run.changes
        planned = run.intervene(added("new", GENRE), by="olga")
        assert (planned.number, planned.round, planned.applied) == (1, 2, False)
        assert planned.text == f"An item is added: Solaris ({GENRE})."
        assert planned.change.values["item"]["attributes"] == {"year": 0, "director": ""}
        assert run.changes > changes
        line = json.loads((run.folder.path / FILE).read_text())
        assert (line["number"], line["by"], line["kind"]) == (1, "olga", "add_item")
        assert "new" not in run.data.catalog.item_ids
        await plays(run)
        assert run.data.catalog.item_ids[-1] == "new"
        (found,) = run.interventions()
        assert (found.round, found.applied, found.by, found.time) == (
            2, True, "olga", planned.time,
        )  # fmt: skip
        events, _ = next(run.folder.rounds(2, 2))
        assert of_events(events)[0].values["item"]["item_id"] == "new"
        assert run.world.round_of == {1: 2}


async def test_while_a_round_is_played_an_intervention_is_for_the_one_after_it(tmp_path):
    gate = asyncio.Event()
    door = ShelfDoor(gate)
    async with opened(tmp_path / "run", door) as run:
        run.start(2)
        while not door.shelves:
            await run.changed(run.changes)
        await door.shelves[0].is_asked.wait()
        planned = run.intervene(change(K.TELL_USER, user_id=IDS[0], said="Hello"))
        assert planned.round == 2
        gate.set()
        await run.settled()
        assert run.world.round_of == {1: 2}
        assert run.round == 2


async def test_what_was_meant_for_the_round_after_is_not_in_one_that_was_given_up(tmp_path):
    """A round that is played again begins with what it began with."""
    for name, gives_up in (("once", False), ("twice", True)):
        gate = asyncio.Event()
        door = ShelfDoor(gate)
        async with opened(tmp_path / name, door) as run:
            run.intervene(added("new", GENRE))
            run.start(3)
            while not door.shelves:
                await run.changed(run.changes)
            await door.shelves[0].is_asked.wait()
            planned = run.intervene(change(K.WITHDRAW_ITEM, item_id="new"))
            assert planned.round == 2
            if not gives_up:
                gate.set()
                await run.settled()
        async with opened(tmp_path / name) as run:
            assert run.round == (0 if gives_up else 3)
            await plays(run, 3 - run.round) if gives_up else None
            assert run.world.round_of == {1: 1, 2: 2}
    digests = {RunFolder.open(tmp_path / name).digest for name in ("once", "twice")}
    assert len(digests) == 1


async def test_what_waits_survives_and_a_run_goes_on_as_if_it_had_never_stopped(tmp_path):
    async with opened(tmp_path / "run") as run:
        await lives(run, SCRIPT[:2])
        for one in SCRIPT[2]:
            run.intervene(one, by="olga")
    async with opened(tmp_path / "run") as run:
        assert [one.applied for one in run.interventions()] == [True, True, False]
        await plays(run)
        await lives(run, SCRIPT[3:])
        await plays(run, ROUNDS)
        assert run.folder.digest == await uninterrupted(tmp_path / "other")


KILLED = f"""
import asyncio, sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from unit.test_interventions_runs import SCRIPT, ShelfDoor, lives, opened

async def main(path):
    gate = asyncio.Event()
    gate.set()
    door = ShelfDoor(gate)
    async with opened(Path(path), door) as run:
        await lives(run, SCRIPT[:2])
        for one in SCRIPT[2]:
            run.intervene(one, by="olga")
        gate.clear()
        door.shelves[0].is_asked.clear()
        run.start(1)
        await door.shelves[0].is_asked.wait()
        print("in the middle of round", run.round + 1, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


async def test_killed_in_the_middle_of_a_round_it_comes_out_the_same(tmp_path):
    path = tmp_path / "run"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while (said := await process.stdout.readline()) != b"in the middle of round 3\n":
            assert said, "it ended before it could be killed"
    process.kill()
    await process.wait()
    async with opened(path) as run:
        assert run.round == 2
        assert [one.applied for one in run.interventions()] == [True, True, False]
        await plays(run)
        await lives(run, SCRIPT[3:])
        await plays(run, ROUNDS)
        assert run.folder.digest == await uninterrupted(tmp_path / "other")


async def test_the_log_can_be_played_again(tmp_path):
    digest = await uninterrupted(tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    rows = [row async for row in play_again(folder)]
    assert [row.round for row in rows] == list(range(1, ROUNDS + 1))
    assert rows[-1].digest == digest == folder.verify_digest()


async def test_recommenders_are_told_of_items_before_the_round_begins(tmp_path):
    door = ShelfDoor()
    async with opened(tmp_path / "run", door) as run:
        await lives(run, SCRIPT)
    new = len(DATA.catalog)
    assert door.shelves[0].told == [[new], [0]]


async def test_a_call_that_is_repeated_changes_nothing(tmp_path):
    one = added("new", GENRE)
    async with opened(tmp_path / "run") as run:
        first = run.intervene(one, "olga", "call-1")
        assert run.intervene(one, "olga", "call-1") == first
    async with opened(tmp_path / "run") as run:
        again = run.intervene(one, "olga", "call-1")
        assert (again.number, len(run.interventions())) == (1, 1)
        with pytest.raises(InputError, match="already"):
            run.intervene(one, "olga", "call-2")
        assert len(run.interventions()) == 1


async def test_a_run_that_has_ended_is_changed_no_more(tmp_path):
    told = change(K.TELL_USER, user_id=IDS[0], said="Hello")
    async with opened(tmp_path / "run") as run:
        await plays(run, ROUNDS)
        with pytest.raises(Conflict, match="fork"):
            run.intervene(told)
    async with opened(tmp_path / "other") as run:
        await run.stop()
        with pytest.raises(Conflict, match="fork"):
            run.intervene(told)
        assert not (run.folder.path / FILE).exists()


async def test_no_more_wait_than_a_round_can_begin_with(tmp_path, monkeypatch):
    monkeypatch.setattr("recarena.server.agenda.MOST_WAITING", 2)
    told = change(K.TELL_USER, user_id=IDS[0], said="Hello")
    async with opened(tmp_path / "run") as run:
        run.intervene(told)
        run.intervene(told)
        with pytest.raises(Conflict, match="2 interventions wait already"):
            run.intervene(told)
        await plays(run)
        assert run.intervene(told).number == 3


async def test_a_torn_last_line_is_passed_over_and_a_broken_one_is_named(tmp_path):
    async with opened(tmp_path / "run") as run:
        run.intervene(change(K.TELL_USER, user_id=IDS[0], said="Hello"))
    file = tmp_path / "run" / FILE
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:30])
    async with opened(tmp_path / "run") as run:
        assert len(run.interventions()) == 1
        run.intervene(change(K.TELL_USER, user_id=IDS[1], said="Hello"))
    assert [one.number for one in Journal(tmp_path / "run").entries] == [1, 2]
    file.write_bytes(whole[:30] + b"\n" + whole)
    with pytest.raises(InputError, match="line 1 is no intervention"):
        Journal(tmp_path / "run")


async def test_a_fork_shares_the_rounds_before_it_and_hands_everybody_back(tmp_path):
    async with opened(tmp_path / "run") as run:
        await lives(run, [[*SCRIPT[1]], [change(K.HAND_BACK, user_id=IDS[0])]])
        for one in SCRIPT[4]:
            run.intervene(one)
        source = run.folder
        fork_run(source, tmp_path / "fork", 1).close()
    async with opened(tmp_path / "fork") as fork:
        assert fork.folder.round_rows()[0].digest == source.round_rows()[0].digest
        assert [one.number for one in fork.interventions()] == [1, 2]
        assert all(one.applied for one in fork.interventions())
        assert fork.data.catalog.item_ids[-1] == "new"
        assert (fork.intervene(added("more")).number, fork.round) == (3, 1)
        await plays(fork)
        assert fork.data.catalog.item_ids[-2:] == ["new", "more"]


async def test_users_played_by_people_are_handed_back_in_the_first_round_of_a_fork(tmp_path):
    async with opened(tmp_path / "run") as run:
        await plays(run)
        played = [change(K.TAKE_OVER, user_id=IDS[n], turn_time_s=5) for n in (3, 7, 9)]
        for one in [*played, change(K.HAND_BACK, user_id=IDS[7])]:
            run.intervene(one)
        folder, interventions = run.folder, run._agenda.due(2)
        run.world.take_up(interventions)
        events = as_events(2, interventions)
        await folder.commit(quiet(2, events), run.settings.time.of_round(2))
        fork_run(folder, tmp_path / "fork", 2).close()
    async with opened(tmp_path / "fork") as fork:
        assert np.flatnonzero(fork.world.by_person).tolist() == [3, 9]
        back = [one for one in fork.interventions() if not one.applied]
        assert [(one.change.kind, one.change.values, one.by, one.round) for one in back] == [
            (K.HAND_BACK, {"user_id": IDS[3]}, "fork", 3),
            (K.HAND_BACK, {"user_id": IDS[9]}, "fork", 3),
        ]
        await plays(fork)
        assert not fork.world.by_person.any()


def quiet(round, events):
    from recarena.server.types import MemoryColumns, RoundResult

    return RoundResult(round, 0, events, MemoryColumns.empty())


async def test_a_user_for_whom_nobody_decides_is_handed_back_by_the_deadline(tmp_path, monkeypatch):
    async with opened(tmp_path / "run") as run:
        run.intervene(change(K.TAKE_OVER, user_id=IDS[3]), by="olga")

        async def nobody(turn):
            return None

        monkeypatch.setattr(run.desk, "ask", nobody)
        await plays(run, 2)
        assert not run.world.by_person.any()
        back = run.interventions()[1]
        assert (back.change.kind, back.by, back.round) == (K.HAND_BACK, "deadline", 2)
        assert len(run.interventions()) == 2


async def test_a_reset_gives_the_world_that_the_run_began_with(tmp_path):
    house = House(tmp_path, ShelfDoor())
    founded(tmp_path / "run", DATA, ROUNDS).close()
    try:
        await lives(house.run("run"), SCRIPT)
        fresh = await house.reset("run", None)
        assert fresh.epoch == 2
        assert fresh.interventions() == []
        assert fresh.data.catalog.item_ids == DATA.catalog.item_ids
        assert fresh.data.population.names == DATA.population.names
        assert fresh.data.catalog.available.all()
        assert fresh.intervene(added("new")).number == 1
    finally:
        await house.close()


async def test_readers_see_the_world_as_it_was_after_a_round(tmp_path):
    await uninterrupted(tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    assert len(interventions_of(folder)) == 5
    assert len(interventions_of(folder, 2)) == 2
    assert len(world_after(folder, 1).catalog) == len(DATA.catalog)
    assert len(world_after(folder, 2).catalog) == len(DATA.catalog) + 1
    assert world_after(folder, 4).population.names[3] != "Zoë"
    assert world_after(folder).population.names[3] == "Zoë"
    events, _ = next(folder.rounds(5, 5))
    assert (events.kind == EventKind.INTERVENTION).sum() == 2


@pytest.mark.parametrize("format", ["csv", "parquet"])
async def test_an_export_says_what_changed_but_for_what_recommenders_may_not_know(tmp_path, format):
    await uninterrupted(tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    export_run(folder, tmp_path / "out", format)
    read = pyarrow.csv.read_csv if format == "csv" else pyarrow.parquet.read_table
    rows = read(str(tmp_path / "out" / f"interventions.{format}")).to_pylist()
    assert [row["kind"] for row in rows] == [
        "add_item", "tell_user", "inject_post", "withdraw_item", "edit_profile",
    ]  # fmt: skip
    assert [row["round"] for row in rows] == [2, 2, 3, 5, 5]
    changes = [json.loads(row["change"]) for row in rows]
    assert changes[0]["item"]["item_id"] == "new"
    assert changes[4]["name"] == "Zoë"
    assert not any({"quality", "tastes", "traits"} & set(one) for one in changes)
    assert not any("olga" in str(row) for row in rows)
