"""Runs whose users have LLM minds, played in this process against a stub of their provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recarena.recommenders.popular import Popular
from recarena.server.config import Settings, parse_settings
from recarena.server.datasets.specs import open_world
from recarena.server.datasets.world_data import WorldData
from recarena.server.door import Assignment
from recarena.server.founding import create_run
from recarena.server.llm.recorder import FILE, Recorder
from recarena.server.minds.llm.mind import LlmMind
from recarena.server.minds.llm.views import Views
from recarena.server.ports import Lists, PageView, RankRequest
from recarena.server.runs import Run
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventColumns, Surface
from support.llm_stub import LlmStub
from support.twin import Twin, TwinDoor

SPEC = "new:users=20,seed=1"
FORTY = "new:users=40,seed=1"
HUNDRED = "new:users=100,seed=1"


def settings(stub: LlmStub, *, rounds: int = 2, llm: Any = None, **more: Any) -> Settings:
    """Of a run whose users all ask the stub."""
    minds = {"provider": "anthropic", "model": "stub", "base_url": stub.url, "probe": False}
    tree = {
        "seed": 5,
        "rounds": rounds,
        "arms": [{"recommender": "popular"}],
        "llm": minds | dict(llm or {}),
        "store": {"fsync": False},
    }
    return parse_settings(tree | more, "test")


class ExplainingDoor(TwinDoor):
    """A door whose recommender explains every item in the same words."""

    def __init__(self, words: str) -> None:
        super().__init__({"popular": Popular})
        self._words = words

    def open(self, assignment: Assignment) -> Twin:
        twin = super().open(assignment)
        plain = twin.rank

        async def rank(request: RankRequest) -> Lists:
            found = await plain(request)
            rows, places = np.nonzero(found.items >= 0)
            said = dict.fromkeys(zip(rows.tolist(), places.tolist(), strict=True), self._words)
            return replace(found, explanations=said)

        twin.rank = rank  # type: ignore[method-assign]
        return twin


@asynccontextmanager
async def played(
    path: Path, made: Settings, data: WorldData | None = None, door: TwinDoor | None = None
) -> AsyncIterator[Run]:
    """The run after it has settled; the environment holds its key."""
    folder = create_run(path, made, data or open_world(SPEC))
    run = Run(folder, door or TwinDoor({"popular": Popular}))
    run.start()
    await run.settled()
    try:
        yield run
    finally:
        await run.close()


def mind_of(run: Run) -> LlmMind:
    assert isinstance(run.mind.inner, LlmMind)
    return run.mind.inner


def views_of(run: Run) -> Views:
    views: Views = mind_of(run).strategy._views  # type: ignore[attr-defined]
    return views


def page_of(
    user: int, items: list[int], round: int = 1, explanations: dict[int, str] | None = None
) -> PageView:
    """A page that one user sees."""
    return PageView(
        round=round,
        step=0,
        users=np.array([user], np.int32),
        items=np.array([items], np.int32),
        page=np.zeros(1, np.int16),
        surface=np.full(1, Surface.FEED, np.int8),
        sought=np.full(1, -1, np.int32),
        can_search=True,
        watched_now=np.empty((1, 0), np.int32),
        explanations={(0, at): words for at, words in (explanations or {}).items()},
    )


def asking(stub: LlmStub, provider: str = "anthropic", rounds: int = 3, **llm: Any) -> Settings:
    url = stub.url + ("" if provider == "anthropic" else "/v1")
    return settings(stub, rounds=rounds, llm={"provider": provider, "base_url": url, **llm})


def events_of(folder: RunFolder) -> EventColumns:
    return EventColumns.concat([events for events, _ in folder.rounds(1, folder.last_round)])


def recorded_hashes(path: Path) -> set[str]:
    with Recorder(path / FILE, read_only=True) as recorder:
        return {one for (one,) in recorder.rows("SELECT hash FROM calls")}
