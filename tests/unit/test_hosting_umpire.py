"""What becomes of a submission: budgets, recommenders that are not there, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recarena.evaluation.hosting import umpire as under_test
from recarena.evaluation.hosting.config import Entrants, Worlds
from recarena.evaluation.hosting.ledger import Ledger, Status, Submission
from recarena.evaluation.hosting.umpire import Umpire
from recarena.evaluation.playing.arena import Watch
from recarena.evaluation.playing.mirrored import Bout, Played

Play = Callable[[Sequence[Bout], Watch, "asyncio.Future[str]"], Any]
"""What happens to the bouts of a submission."""


class Stage:
    """An umpire over a ledger in a folder, whose arena does as it is told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, play: Play, **limits: Any):
        self.ledger = Ledger(folder / "submissions.jsonl")
        self.bouts: list[list[str]] = []
        stage = self

        class Arena:
            def __init__(self, **how: Any) -> None:
                (self.lost,) = how["lost"].values()

            async def play(self, bouts: Sequence[Bout], rounds: int, watch: Watch) -> list[Played]:
                stage.bouts.append([bout.run_id for bout in bouts])
                await play(bouts, watch, self.lost)
                error = self.lost.result() if self.lost.done() else ""
                return [Played(bout, Path(), rounds, error) for bout in bouts]

        monkeypatch.setattr(under_test, "Arena", Arena)
        monkeypatch.setattr(under_test, "_judged", lambda *_: {"scores": {"x": 1.0}, "report": {}})
        world = SimpleNamespace(folder=folder, recipe=SimpleNamespace(run_seed=1))
        competition = SimpleNamespace(
            entrants=Entrants(**limits), worlds=Worlds(hidden=2), run_settings={}
        )
        season: Any = SimpleNamespace(
            competition=competition, ledger=self.ledger, worlds=lambda _: (world, world)
        )
        self.said: list[str] = []
        self.umpire = Umpire(season, None, self.said.append)  # type: ignore[arg-type]

    async def ended(self, *ids: str) -> Submission:
        """The last of these, when all of them have ended."""
        running = asyncio.create_task(self.umpire.run())
        try:
            async with asyncio.timeout(10):
                for id in ids:
                    while (one := self.ledger.get(id)) and one.status.is_open:
                        await self.umpire.another_end()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        last = self.ledger.get(ids[-1])
        assert last is not None
        return last


async def all_well(bouts: Sequence[Bout], watch: Watch, lost: asyncio.Future[str]) -> None:
    for bout in bouts:
        watch.waiting(bout)
        watch.playing(bout)
        watch.round(bout, 1)
        watch.ended(Played(bout, Path(), 1, ""))


async def never_there(bouts: Sequence[Bout], watch: Watch, lost: asyncio.Future[str]) -> None:
    watch.waiting(bouts[0])
    await lost


async def never_done(bouts: Sequence[Bout], watch: Watch, lost: asyncio.Future[str]) -> None:
    watch.waiting(bouts[0])
    watch.playing(bouts[0])
    watch.round(bouts[0], 1)
    await lost


async def goes_away(bouts: Sequence[Bout], watch: Watch, lost: asyncio.Future[str]) -> None:
    await all_well(bouts[:1], watch, lost)
    watch.waiting(bouts[1])
    await lost


async def test_one_that_is_played_to_its_end_is_scored(tmp_path, monkeypatch):
    stage = Stage(tmp_path, monkeypatch, all_well)
    one = await stage.ended(stage.ledger.submit("alice", "", "hidden").id)
    assert (one.status, one.counted, one.worlds_done) == (Status.FINISHED, True, 2)
    assert one.scores == {"x": 1.0}
    assert stage.bouts == [["s00001-0", "s00001-1"]]


async def test_one_that_takes_longer_than_it_may_is_over_budget_and_counts(tmp_path, monkeypatch):
    stage = Stage(tmp_path, monkeypatch, never_done, time_budget_s=0.05)
    one = await stage.ended(stage.ledger.submit("alice", "", "hidden").id)
    assert (one.status, one.counted, one.scores) == (Status.OVER_BUDGET, True, {})
    assert one.why == "it took longer than the 0.05 s it has"


async def test_what_was_spent_before_a_restart_is_spent(tmp_path, monkeypatch):
    stage = Stage(tmp_path, monkeypatch, never_done, time_budget_s=1000)
    id = stage.ledger.submit("alice", "", "hidden").id
    stage.ledger.note("interrupted", id, spent_s=1000.0)
    assert (await stage.ended(id)).status is Status.OVER_BUDGET


async def test_the_time_of_one_that_is_waited_for_does_not_run(tmp_path, monkeypatch):
    stage = Stage(tmp_path, monkeypatch, never_there, time_budget_s=0.001, connect_timeout_s=0.05)
    one = await stage.ended(stage.ledger.submit("alice", "", "hidden").id)
    assert (one.status, one.counted) == (Status.NOT_CONNECTED, False)


async def test_one_that_goes_away_between_worlds_has_failed_and_counts(tmp_path, monkeypatch):
    stage = Stage(tmp_path, monkeypatch, goes_away, connect_timeout_s=0.05)
    one = await stage.ended(stage.ledger.submit("alice", "", "hidden").id)
    assert (one.status, one.counted, one.worlds_done) == (Status.FAILED, True, 1)
    assert one.why.startswith("your recommender went away after 1 worlds")


async def test_who_is_not_back_after_a_restart_loses_nothing(tmp_path, monkeypatch):
    stage = Stage(tmp_path, monkeypatch, never_there, connect_timeout_s=0.05)
    id = stage.ledger.submit("alice", "", "hidden").id
    stage.ledger.note("counted", id)
    stage.ledger.note("interrupted", id, spent_s=1.0)
    one = await stage.ended(id)
    assert (one.status, one.counted) == (Status.INTERRUPTED, False)


async def test_stopping_leaves_a_submission_to_be_gone_on_with(tmp_path, monkeypatch):
    playing = asyncio.Event()

    async def play(bouts: Sequence[Bout], watch: Watch, lost: asyncio.Future[str]) -> None:
        watch.playing(bouts[0])
        playing.set()
        await lost

    stage = Stage(tmp_path, monkeypatch, play)
    id = stage.ledger.submit("alice", "", "hidden").id
    running = asyncio.create_task(stage.umpire.run())
    await playing.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    one = Ledger(tmp_path / "submissions.jsonl").get(id)
    assert one is not None
    assert (one.status, one.interruptions) == (Status.QUEUED, 1)


async def test_entrants_are_played_one_submission_each_and_so_many_at_once(tmp_path, monkeypatch):
    now: set[str] = set()
    most = 0

    async def play(bouts: Sequence[Bout], watch: Watch, lost: asyncio.Future[str]) -> None:
        nonlocal most
        name = bouts[0].recommender
        assert name not in now
        now.add(name)
        most = max(most, len(now))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        now.discard(name)

    stage = Stage(tmp_path, monkeypatch, play, at_once=2)
    names = ("a", "a", "b", "c", "b", "d")
    ids = [stage.ledger.submit(name, "", "hidden").id for name in names]
    await stage.ended(*ids)
    assert {one.status for one in stage.ledger} == {Status.FINISHED}
    assert most == 2


async def test_a_submission_that_waits_may_be_cancelled(tmp_path, monkeypatch):
    stage = Stage(tmp_path, monkeypatch, all_well)
    id = stage.ledger.submit("alice", "", "hidden").id
    stage.umpire.cancel(id, "cancelled by its entrant")
    one = await stage.ended(id)
    assert (one.status, one.counted, stage.bouts) == (Status.CANCELLED, False, [])
    with pytest.raises(KeyError):
        stage.umpire.cancel(id, "again")


async def test_the_organiser_is_told_of_an_own_recommender_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(under_test, "BASELINE_PATIENCE_S", 0.01)
    stage = Stage(tmp_path, monkeypatch, never_there)
    one = stage.ledger.submit("baseline-nosuch", "", "hidden", baseline=True)
    await stage.ended(one.id)
    assert stage.said == [
        "baseline-nosuch is not on the leaderboard: not connected; logs/baseline-nosuch.log says "
        "more"
    ]


async def test_a_full_disk_ends_the_playing_with_one_error(tmp_path, monkeypatch):
    stage = Stage(tmp_path, monkeypatch, all_well)
    stage.ledger.submit("alice", "", "hidden")
    stage.ledger._path = tmp_path / "gone" / "submissions.jsonl"
    with pytest.raises(FileNotFoundError):
        await stage.umpire.run()
