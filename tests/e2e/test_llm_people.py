"""People who play users that have LLM minds: whose words are remembered, and what a log needs to be
played again where a mind went on for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recarena.recommenders.popular import Popular
from recarena.server.datasets.specs import open_world
from recarena.server.founding import RunState, create_run
from recarena.server.minds.person.mind import PersonMind
from recarena.server.minds.person.turns import ActivityTurn, Choice, Doing, PageTurn, Turn
from recarena.server.replaying import play_again
from recarena.server.runs import Run
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind, MemoryKind
from support.llm_runs import SPEC, events_of, mind_of, settings
from support.llm_stub import LlmStub, random_mind
from support.people import Scripted, take_over, whim
from support.twin import TwinDoor

ANN, BOB = 4, 17
MORE: dict[str, Any] = {"memory": {"reflect_above": 0.5, "reflect_every": 2}}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")


async def lived(path: Path, desk: Scripted, strategy: str = "merged") -> Run:
    """A run of six rounds in which people at the desk play two users."""
    async with LlmStub(random_mind(2)) as stub:
        made = settings(stub, rounds=6, llm={"strategy": strategy}, **MORE)
        run = Run(create_run(path, made, open_world(SPEC)), TwinDoor({"popular": Popular}))
        run.mind = PersonMind(run.mind.inner, desk)
        take_over(run, ANN, BOB)
        run.start()
        await run.settled()
    assert run.state is RunState.SUCCEEDED, run.error
    return run


async def digests(path: Path) -> list[str]:
    """Of the rounds that come out as they were, from log and recording alone."""
    return [row.digest async for row in play_again(RunFolder.open(path))]


async def test_feelings_and_talk_are_remembered_in_the_persons_words(tmp_path: Path):
    run = await lived(tmp_path / "run", Scripted())
    mind = mind_of(run)
    assert mind.mine.all()
    events = events_of(run.folder)
    mine = events.take(np.isin(events.user, (ANN, BOB)))
    felt = sorted(mine.of(EventKind.WATCH).text.values())
    assert felt
    assert all(words.endswith("my own words") for words in felt)
    bank = mind.bank
    for user in (ANN, BOB):
        kept = [bank.texts[row] for row in bank.of_kinds(user, (MemoryKind.WATCHED,), 1000)]
        for words in mine.take(mine.user == user).of(EventKind.WATCH).text.values():
            assert any(words in one for one in kept), words
    chats = mine.of(EventKind.CHAT)
    assert len(chats) > 0
    for partner in set(chats.other.tolist()):
        heard = [bank.texts[row] for row in bank.of_kinds(partner, (MemoryKind.HEARD,), 1000)]
        assert any("you have to hear of this" in one for one in heard)
    assert await digests(tmp_path / "run") == [row.digest for row in run.folder.round_rows()]
    await run.close()


@pytest.mark.parametrize("strategy", ["merged", "faithful"])
async def test_a_round_that_a_mind_finished_for_a_person_comes_out_as_it_was(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def rise(turn: Turn) -> Choice | None:
        """Stays to the end of odd rounds, and goes after a page in round 4, else at once."""
        if turn.round % 2:
            return whim(turn)
        if isinstance(turn, ActivityTurn):
            kind = EventKind.ENTER_RECOMMENDER if turn.user == ANN else EventKind.ENTER_SOCIAL
            return Doing(kind)
        first = isinstance(turn, PageTurn) and turn.view.step == 0
        return whim(turn) if first and turn.round == 4 else None

    gone: set[tuple[int, int]] = set()

    def once(turn: Turn) -> Choice | None:
        """Whoever has gone stays away for the round, as a desk has it."""
        choice = None if (turn.user, turn.round) in gone else rise(turn)
        if choice is None:
            gone.add((turn.user, turn.round))
        return choice

    run = await lived(tmp_path / "run", Scripted(once), strategy)
    asked = run.folder.path
    events, found = events_of(run.folder), [row.digest for row in run.folder.round_rows()]
    own = [
        "my own words" in text
        for text in events.take(events.user == ANN).of(EventKind.WATCH).text.values()
    ]
    await run.close()
    assert gone
    assert True in own
    assert False in own, "the model felt something, too"
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert await digests(asked) == found
