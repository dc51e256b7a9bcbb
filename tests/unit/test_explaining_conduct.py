"""Playing the runs of a study: who is waited for, and what is said where one does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from recarena.evaluation.explaining import conduct
from recarena.evaluation.explaining.conduct import BadOrder, Order
from recarena.evaluation.explaining.output import Terminal
from recarena.evaluation.playing.contenders import Contender
from recarena.evaluation.playing.hall import Hall
from recarena.evaluation.playing.mirrored import Played
from recarena.evaluation.playing.processes import ProgramDied

OWN, FAR = Contender("mine", "python mine.py {server}"), Contender("far", "")


@dataclass(frozen=True)
class Arena:
    """Has everybody waited for, some come, and everything played."""

    come: tuple[str, ...] = ()
    dies: Exception | None = None
    lost: dict[str, Any] = field(default_factory=dict[str, Any])

    async def play(self, bouts, rounds, watch):
        for bout in bouts:
            watch.waiting(bout)
            if bout.recommender in self.come:
                watch.playing(bout)
        if self.dies:
            raise self.dies
        for _ in range(5):  # what is due at once is called meanwhile
            await asyncio.sleep(0)
        return [Played(bout, Path(bout.run_id), rounds, "", {}) for bout in bouts]


class Programs:
    async def while_alive(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await work


@dataclass(frozen=True)
class Stage:
    arena: Arena
    address: str = "127.0.0.1:7788"
    programs: Programs = field(default_factory=Programs)


def played(arena: Arena, *recommenders: Contender) -> list[Path]:
    order = Order(Path("study"), (), "new:users=9", recommenders, 2, {}, (), None, 5, 1)
    return asyncio.run(conduct._played(order, cast("Hall", Stage(arena)), Terminal()))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(conduct, "HINT_AFTER_S", 0.0)
    return lambda: capsys.readouterr().err


def test_who_does_not_come_is_looked_for_in_its_log(said) -> None:
    assert played(Arena(), OWN) == [Path("mine")]
    text = " ".join(said().split())
    assert "Still waiting for mine. Does its program register by that name?" in text
    assert "study/logs/recommender-mine.log" in text


def test_nothing_is_said_of_who_has_come(said) -> None:
    played(Arena(come=("mine",)), OWN)
    assert said() == ""


def test_who_dials_in_is_told_where_and_has_no_log_to_look_at(said) -> None:
    played(Arena(), FAR)
    text = said()
    assert "Waiting for far to dial in at 127.0.0.1:7788" in text
    assert "Still waiting" not in text


def test_where_a_program_ends_it_is_told_how_to_go_on(said) -> None:
    class Dead:
        name, log = "recommender-mine", Path("mine.log")

        def last_lines(self) -> list[str]:
            return ["KeyError: 3"]

    with pytest.raises(BadOrder, match=r"KeyError: 3\nOnce that is mended, .* --out study goes on"):
        played(Arena(dies=ProgramDied(cast("Any", Dead()), "ended with exit code 1")), OWN)
