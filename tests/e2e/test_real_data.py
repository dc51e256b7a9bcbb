"""Runs on data sets that people use, served by real recommender programs."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from recarena.server.datasets.importing import import_world
from recarena.server.datasets.world_folder import save_world, titles_inside_others
from recarena.server.narration import Narrator
from recarena.server.ports import SearchRequest
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventKind, Outcome, Surface
from recarena.server.wording import spoken_title
from support.arena import finished, log_of, recommender, settings, settled
from support.data import movielens_100k, recagent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ARMS = ("content", "popular")
ROUNDS = 3


@pytest.fixture(scope="module")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(movielens_100k(), tmp_path_factory.mktemp("ml-100k") / "world")


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(recagent(), tmp_path_factory.mktemp("recagent") / "world")


def imported(source: Path, folder: Path) -> Path:
    save_world(import_world(source, "auto", 1), folder)
    return folder


@contextlib.asynccontextmanager
async def served(world: Path, folder: Path) -> AsyncIterator[Run]:
    """A run of that world, not started yet, with a program for each of its two arms."""
    async with (
        Server(folder / "runs") as server,
        recommender(server, "content", log=folder / "content.log"),
        recommender(server, "popular", log=folder / "popular.log"),
    ):
        yield await server.house.create("run", str(world), settings(*ARMS, rounds=ROUNDS))


def assert_played_well(run: Run) -> None:
    """All lists came as they should, users did this and that, and the log is sound."""
    log = log_of(run)
    pages = log.of(EventKind.PAGE)
    assert set(pages.outcome.tolist()) == {Outcome.ACCEPTED}
    assert {Surface.FEED, Surface.SEARCH} <= set(pages.surface.tolist())
    for kind in (EventKind.WATCH, EventKind.SEARCH, EventKind.CHAT, EventKind.POST):
        assert (kind in log.kind) == (kind is not EventKind.POST or len(run.data.network) > 0)
    shown = len(log.of(EventKind.SHOWN))
    assert 0.02 < len(log.of(EventKind.WATCH)) / shown < 0.5
    assert run.folder.verify_digest() == run.folder.digest


async def find(run: Run, texts: list[str]) -> np.ndarray:
    """[texts, 5]: what the content recommender of a paused run finds in the next round."""
    arm = run.recommenders[ARMS.index("content")]
    round = run.round + 1
    await arm.round_started(round, run.settings.time.of_round(round), len(texts))
    users = np.flatnonzero(run.arm_of_user == 0)[: len(texts)].astype(np.int32)
    nothing = np.zeros(len(texts), np.int32)
    request = SearchRequest(round, users, nothing, 5, texts, np.arange(len(texts), dtype=np.int32))
    found = await arm.search(request)
    assert set(found.outcome.tolist()) == {Outcome.ACCEPTED}
    return found.items


async def test_a_run_of_movielens_100k_is_played_by_two_programs(movielens: Path, tmp_path: Path):
    async with served(movielens, tmp_path) as run:
        run.start()
        await finished(run)
        assert (run.world.users, run.world.items) == (943, 1682)
        assert len(run.data.history) == 100_000
        assert_played_well(run)
        catalog = run.data.catalog
        narrator = Narrator(catalog, run.data.population)
        log = log_of(run)
        searches = np.flatnonzero((log.kind == EventKind.SEARCH) & (log.item >= 0))
        assert len(searches)
        for row in searches.tolist():
            assert narrator.words(log, row) == spoken_title(catalog.titles[log.item[row]])


async def test_the_film_that_is_meant_is_found_first(movielens: Path, tmp_path: Path):
    films = {
        "The Lion King": "Lion King, The (1994)",
        "Toy Story": "Toy Story (1995)",
        "A Fish Called Wanda": "Fish Called Wanda, A (1988)",
        "the good the bad and the ugly": "Good, The Bad and The Ugly, The (1966)",
        "Star Wars": "Star Wars (1977)",
        "Seven": "Seven (Se7en) (1995)",
    }
    async with served(movielens, tmp_path) as run:
        run.start(rounds=1)
        await settled(run)
        found = await find(run, list(films))
        titles = [run.data.catalog.titles[item] for item in found[:, 0]]
    assert titles == list(films.values())


async def test_a_run_of_recagents_users_keeps_everybody_and_every_tie(agents: Path, tmp_path: Path):
    async with served(agents, tmp_path) as run:
        run.start()
        await finished(run)
        assert (run.world.users, run.world.items) == (1000, 3883)
        assert len(run.data.network) == 20_846
        assert_played_well(run)
        log = log_of(run)

        people = run.data.population
        names = Counter(people.names)
        shared = [user for user, name in enumerate(people.names) if names[name] > 1]
        assert len(shared) > 100
        assert len(set(people.user_ids)) == 1000
        watched_by = Counter(log.of(EventKind.WATCH).user.tolist())
        for user in shared:
            assert run.world.watches[user] == watched_by[user]
            assert len(run.world.watched.of(user)) <= watched_by[user]
        talk = log.of(EventKind.CHAT)
        network = run.data.network
        for user, other in zip(talk.user.tolist(), talk.other.tolist(), strict=True):
            known = user in network.other[network.ties_of(other)]
            assert known or other in network.other[network.ties_of(user)]


async def test_titles_that_hold_one_another_are_told_apart(agents: Path, tmp_path: Path):
    async with served(agents, tmp_path) as run:
        run.start(rounds=1)
        await settled(run)
        catalog = run.data.catalog
        times = Counter(map(spoken_title, catalog.titles))
        pairs = [
            (short, long)
            for short, long in titles_inside_others(catalog.titles)
            if times[spoken_title(short)] == times[spoken_title(long)] == 1
        ]
        assert ("Toy Story", "Toy Story 2") in pairs
        asked = [title for pair in pairs[:40] for title in pair]
        found = await find(run, [spoken_title(title) for title in asked])
        meant = np.array([catalog.titles.index(title) for title in asked])
    # Search does not look at articles: "Fear" finds "The Fear" just as well.
    assert (found[:, :2] == meant[:, None]).any(axis=1).all()
    assert (found[:, 0] == meant).mean() > 0.95
