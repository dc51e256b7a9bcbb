"""Interventions in runs of users with LLM minds: they know of them, and the log is all it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recarena.server.datasets.specs import open_world
from recarena.server.founding import RunState, create_run
from recarena.server.interventions import Change
from recarena.server.replaying import play_again
from recarena.server.runs import Run
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import MemoryKind
from support.llm_runs import SPEC, mind_of, settings
from support.llm_stub import Asked, LlmStub, random_mind
from support.steered import K, ShelfDoor, added, change

DATA = open_world(SPEC)
USER = 4
IDS, GENRE = DATA.population.user_ids, DATA.catalog.genre_names[0]
FRIEND = int(DATA.network.other[DATA.network.ties_of(USER)][0])


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")


async def steered(path: Path, *wanted: Change, rounds: int = 3) -> tuple[Run, list[str]]:
    """A run in which these take effect in round 2, and what the model was sent from then on."""
    seen: list[str] = []
    mind = random_mind(2)

    def reads(asked: Asked) -> str:
        seen.append(json.dumps(asked.data, ensure_ascii=False))
        return mind(asked)

    async with LlmStub(reads) as stub:
        made = settings(stub, rounds=rounds)
        run = Run(create_run(path, made, open_world(SPEC)), ShelfDoor())
        run.start(1)
        await run.settled()
        seen.clear()
        for one in wanted:
            run.intervene(one)
        run.start()
        await run.settled()
    assert run.state is RunState.SUCCEEDED, run.error
    return run, seen


async def test_users_know_who_they_are_made_and_what_they_were_told(tmp_path: Path):
    talk = change(K.TELL_USER, user_id=IDS[USER], said="Do you like whales?", answer="Very much.")
    edit = change(K.EDIT_PROFILE, user_id=IDS[USER], name="Zoë", profile={"interests": "whales"})
    run, sent = await steered(tmp_path / "run", talk, edit)
    mind = mind_of(run)
    rows = mind.bank.of_kinds(USER, (MemoryKind.OBSERVED,), 100)
    told = [mind.bank.texts[row] for row in rows]
    assert "Somebody asked me: “Do you like whales?” I answered: “Very much.”" in told
    assert any("Zoë" in one and "whales" in one for one in sent)
    assert any("Do you like whales?" in one for one in sent)
    await run.close()


async def test_a_post_in_a_users_name_stays_in_its_words(tmp_path: Path):
    post = change(K.INJECT_POST, user_id=IDS[USER], text="Whales are best.", sentiment=2)
    run, _ = await steered(tmp_path / "run", post)
    mind = mind_of(run)

    def words(user: int, kind: MemoryKind) -> list[str]:
        return [mind.bank.texts[row] for row in mind.bank.of_kinds(user, (kind,), 100)]

    assert "I posted: Whales are best." in words(USER, MemoryKind.POSTED)
    assert any("Whales are best." in one for one in words(FRIEND, MemoryKind.READ))
    await run.close()


async def test_a_steered_run_comes_out_the_same_from_log_and_recording(tmp_path: Path):
    wanted = [
        added("new", GENRE, quality=2, title="Whale, The (1998)"),
        change(K.INJECT_POST, user_id=IDS[USER], text="See it!", item_id="new", sentiment=2),
        change(K.TELL_USER, user_id=IDS[FRIEND], said="Why?"),
        change(K.EDIT_PROFILE, user_id=IDS[USER], name="Zoë", traits={"activity": 3}),
    ]
    run, sent = await steered(tmp_path / "run", *wanted, rounds=4)
    digest = run.folder.digest
    await run.close()
    assert any("Whale" in one for one in sent)
    rows = [row async for row in play_again(RunFolder.open(tmp_path / "run"))]
    assert (len(rows), rows[-1].digest) == (4, digest)
    # Opened again, the minds stand where they stood.
    again = Run(RunFolder.open(tmp_path / "run", writable=True), ShelfDoor())
    assert again.data.catalog.item_ids[-1] == "new"
    assert mind_of(again).bank.texts == mind_of(run).bank.texts
    await again.close()
