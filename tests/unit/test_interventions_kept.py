"""What was accepted is kept and done once, whatever comes between: rounds given up, calls repeated,
users whom nobody plays, journals that are not what they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recarena.server.errors import Conflict, InputError, RecArenaError, RunFailed, RunPaused
from recarena.server.founding import RunState
from recarena.server.house import fork_run
from recarena.server.minds.person.turns import Choice, Doing, Turn
from recarena.server.network import MOST_KINDS
from recarena.server.replaying import play_again
from recarena.server.runs import Run
from recarena.server.steering.checking import check
from recarena.server.store.journal import FILE
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind
from recarena.server.world import World
from support.steered import K, ShelfDoor, added, change, plays
from support.worlds import tiny_world
from unit.test_interventions_runs import DATA, GENRE, IDS, ROUNDS, opened

TOLD = change(K.TELL_USER, user_id=IDS[0], said="Hello")
LEAVE_OUT = change(K.WITHDRAW_ITEM, item_id="new")


# ------------------------------------------------------------------------------ rounds given up
async def smooth(path: Path) -> str:
    """The digest of a run whose rounds are played once each."""
    async with opened(path) as run:
        await plays(run)
        run.intervene(added("new", GENRE))
        await plays(run)
        run.intervene(LEAVE_OUT)
        run.intervene(TOLD)
        await plays(run, ROUNDS)
        return run.folder.digest


@pytest.mark.parametrize("error", [RunPaused("out of money"), RunFailed("out of luck")])
async def test_a_round_that_failed_begins_again_with_what_it_began_with(
    tmp_path: Path, error: RecArenaError, monkeypatch: pytest.MonkeyPatch
):
    door = ShelfDoor()
    async with opened(tmp_path / "run", door) as run:
        await plays(run)
        run.intervene(added("new", GENRE))
        inner = run.mind.choose_activity

        async def fails(*_: Any) -> Any:
            run.intervene(LEAVE_OUT)
            raise error

        monkeypatch.setattr(run.mind, "choose_activity", fails)
        run.start()
        await run.settled()
        assert (run.round, run.error) == (1, str(error))
        run.intervene(TOLD)
        assert [one.round for one in run.interventions()] == [2, 3, 3]
        monkeypatch.setattr(run.mind, "choose_activity", inner)
        await plays(run, ROUNDS)
        assert run.world.round_of == {1: 2, 2: 3, 3: 3}
        assert run.folder.digest == await smooth(tmp_path / "smooth")
    new = len(DATA.catalog)
    assert door.shelves[0].told == [[new], [new]], "added, then withdrawn"
    folder = RunFolder.open(tmp_path / "run")
    assert len([row async for row in play_again(folder)]) == ROUNDS


async def test_items_are_told_though_the_round_was_given_up_before_anybody_knew_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    door = ShelfDoor()
    async with opened(tmp_path / "run", door) as run:
        await plays(run)
        run.intervene(added("new", GENRE))

        async def fails(_: Any) -> None:
            raise RunPaused("nobody listens")

        with monkeypatch.context() as patch:
            patch.setattr(door.shelves[0], "catalog_changed", fails)
            run.start()
            await run.settled()
        run.intervene(added("more", GENRE))
        await plays(run)
    new = len(DATA.catalog)
    assert door.shelves[0].told == [[new, new + 1]]


async def test_what_took_effect_after_a_round_does_not_wait_in_a_fork_at_it(tmp_path: Path):
    async with opened(tmp_path / "run") as run:
        run.intervene(added("new", GENRE))
        await plays(run)
        run.intervene(LEAVE_OUT)
        await plays(run)
        run.intervene(TOLD)
        fork_run(run.folder, tmp_path / "fork", 1).close()
    async with opened(tmp_path / "fork") as fork:
        await plays(fork)
        assert fork.world.round_of == {1: 1}
        assert fork.data.catalog.available.all()


# ------------------------------------------------------------------------------ calls repeated
async def test_a_call_that_is_repeated_too_late_for_another_gets_its_answer(tmp_path: Path):
    async with opened(tmp_path / "run") as run:
        first = run.intervene(TOLD, "olga", "call-1")
        await plays(run, ROUNDS)
        assert run.state is RunState.SUCCEEDED
    async with opened(tmp_path / "run") as run:
        again = run.intervene(TOLD, "olga", "call-1")
        assert (again.number, again.round, again.applied) == (first.number, 1, True)
        with pytest.raises(Conflict, match="fork"):
            run.intervene(TOLD, "olga", "call-2")


# ------------------------------------------------------------------------------ empty chairs
def nobody(run: Any, monkeypatch: pytest.MonkeyPatch, *meanwhile: Any) -> None:
    """Nobody sits before the desk; with the first turn come some interventions."""
    coming = list(meanwhile)

    async def ask(turn: Any) -> None:
        while coming:
            run.intervene(coming.pop(0), by="olga")

    monkeypatch.setattr(run.desk, "ask", ask)


async def test_an_empty_chair_is_handed_back_however_many_interventions_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("recarena.server.agenda.MOST_WAITING", 2)
    async with opened(tmp_path / "run") as run:
        run.intervene(change(K.TAKE_OVER, user_id=IDS[3]))
        nobody(run, monkeypatch, TOLD, TOLD)
        await plays(run, 2)
        assert [one.by for one in run.interventions()] == ["", "olga", "olga", "deadline"]
        assert not run.world.by_person.any()


async def test_who_is_to_be_handed_back_already_is_handed_back_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with opened(tmp_path / "run") as run:
        run.intervene(change(K.TAKE_OVER, user_id=IDS[3]))
        nobody(run, monkeypatch, change(K.HAND_BACK, user_id=IDS[3]),
               change(K.TAKE_OVER, user_id=IDS[3]))  # fmt: skip
        await plays(run)
        assert [one.by for one in run.interventions()] == ["", "olga", "olga"]
        await plays(run)
        assert run.world.by_person[3]


async def test_a_chair_that_somebody_left_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with opened(tmp_path / "run") as run:
        run.intervene(change(K.TAKE_OVER, user_id=IDS[3]))

        async def only_in_round_1(turn: Turn) -> Choice | None:
            return Doing(EventKind.IDLE) if turn.round == 1 else None

        monkeypatch.setattr(run.desk, "ask", only_in_round_1)
        await plays(run, 3)
        back = run.interventions()[1]
        assert (back.by, back.round, len(run.interventions())) == ("deadline", 3, 2)


async def test_an_empty_chair_in_the_last_round_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with opened(tmp_path / "run") as run:
        await plays(run, ROUNDS - 1)
        run.intervene(change(K.TAKE_OVER, user_id=IDS[3]))
        nobody(run, monkeypatch)
        await plays(run)
        assert (run.state, run.error) == (RunState.SUCCEEDED, "")
        assert len(run.interventions()) == 1


# ------------------------------------------------------------------------------ broken journals
@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda lines: lines[1:], "intervention 2 is missing"),
        (lambda lines: [lines[0], lines[2]], "intervention 3 is missing"),
        (lambda lines: [lines[0], lines[2], lines[1]], "line 3 has number 3 after a higher one"),
        (lambda lines: [lines[0], lines[1], lines[1]], "line 3 has number 3 after a higher one"),
        (lambda lines: [lines[0], {**lines[1], "user": 1}], "intervention 3 is one of another run"),
        (lambda lines: [lines[0], {**lines[1], "user": 99}], "intervention 3 is one of another"),
        (lambda lines: [lines[0], {**lines[1], "user": -1}], "intervention 3 is one of another"),
        (lambda lines: [{**lines[0], "item": 999}], "intervention 2 is one of another run"),
        (lambda lines: [{**lines[0], "user": float("inf")}], "line 1 is no intervention"),
        (lambda lines: [{**lines[0], "time": 5}], "line 1 is no intervention"),
        (lambda _: [None], "line 1 is no intervention"),
    ],
)
async def test_a_journal_of_another_run_or_with_gaps_is_named(
    tmp_path: Path, broken: Any, says: str
):
    """Interventions that wait are not guessed at; those that took effect are in the log."""
    async with opened(tmp_path / "run") as run:
        run.intervene(TOLD)
        await plays(run)
        run.intervene(added("new", GENRE))
        run.intervene(TOLD)
        run.intervene(change(K.WITHDRAW_ITEM, item_id="new"))
    file = tmp_path / "run" / FILE
    whole = [json.loads(line) for line in file.read_bytes().splitlines()]
    file.write_text("".join(json.dumps(one) + "\n" for one in whole[1:]))
    async with opened(tmp_path / "run") as run:
        assert [one.number for one in run.interventions()] == [2, 3, 4]
    file.unlink()
    async with opened(tmp_path / "run") as run:
        assert run.intervene(TOLD).number == 2, "after the last that took effect"
    lines = broken(whole[1:])
    file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    folder = RunFolder.open(tmp_path / "run")
    with pytest.raises(InputError, match=says) as error:
        Run(folder, ShelfDoor())
    assert str(file) in str(error.value)


# ------------------------------------------------------------------------------ kinds of ties
def test_kinds_of_ties_are_counted_also_where_none_is_named():
    world = World(tiny_world(6, 8), 1)
    network = world.network
    kinds = [f"kind {at}" for at in range(MOST_KINDS - 1)]
    network.kinds = (*[one for one in kinds if one not in network.kinds],)
    ids = world.population.user_ids
    network.kind[:] = 0
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b and network.find(a, b) is None]
    (user, other), (also, another) = pairs[0], pairs[-1]
    last = change(K.SET_RELATION, user_id=ids[user], other_user_id=ids[other], kind="the last")
    none = change(K.SET_RELATION, user_id=ids[also], other_user_id=ids[another])
    first, _ = check(last, 1, world)
    with pytest.raises(InputError, match="127 kinds of ties are all there can be"):
        check(none, 2, world, [first])
    second, _ = check(none, 1, world)
    with pytest.raises(InputError, match="127 kinds of ties are all there can be"):
        check(last, 2, world, [second])
    world.take_up([first])
    assert len(network.kinds) == MOST_KINDS
    with pytest.raises(InputError, match="kinds of ties"):
        check(none, 2, world)
    check(change(K.SET_RELATION, user_id=ids[user], other_user_id=ids[other]), 2, world)
