"""RecAgent's users of one name, and its films of one title: who is who goes by ids alone."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from recarena.server.datasets.importing import import_world
from recarena.server.datasets.world_folder import load_world, save_world
from recarena.server.rpc.server import Server
from recarena.server.types import EventKind, Outcome
from support.arena import begin, finished, log_of, recommender, settings
from support.data import recagent
from support.raw_client import RawClient


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_world(import_world(recagent(), seed=1), tmp_path / "world")
    return tmp_path / "world"


def test_relations_are_between_the_users_that_the_file_names(folder):
    world = load_world(folder)
    people, network = world.population, world.network
    assert sum(count > 1 for count in Counter(people.names).values()) == 100
    (path,) = recagent().glob("relationship*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    written = {(a, b): (kind.strip(), float(close)) for a, b, kind, close in rows}
    assert len(written) == len(network) == 20_846
    source = np.repeat(np.arange(network.users), network.degrees())
    kinds, close = network.kind.tolist(), network.closeness.tolist()
    ties = zip(source.tolist(), network.other.tolist(), kinds, close, strict=True)
    for user, other, kind, closeness in ties:
        expected_kind, expected = written[people.user_ids[user], people.user_ids[other]]
        assert network.kinds[kind] == expected_kind
        assert closeness == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
async def test_users_of_one_name_stay_apart_in_what_they_do_and_remember(folder, tmp_path):
    async with (
        Server(tmp_path / "runs") as server,
        recommender(server, "popular", log=tmp_path / "popular.log"),
    ):
        run = await begin(server, settings("popular", rounds=2), world=str(folder))
        await finished(run)
        log, people = log_of(run), run.data.population
        namesakes = [user for user, name in enumerate(people.names) if name == "David Smith"]
        assert len(namesakes) == 13
        doings = Counter(log.of(EventKind.WATCH).user.tolist())
        assert len({doings[user] for user in namesakes}) > 1
        for user in namesakes:
            mine = run.folder.events_of(user)
            assert set(mine.user.tolist()) <= {user}
            assert int((mine.kind == EventKind.WATCH).sum()) == doings[user]
            assert set(run.folder.memories_of(user).user.tolist()) <= {user}
            assert run.world.watches[user] == doings[user]


async def test_films_of_one_title_or_within_another_stay_apart(folder, tmp_path):
    """A page of nothing but such films: each is shown, watched and told of as itself."""
    titles = load_world(folder).catalog.titles
    wanted = ("Othello", "Toy Story", "Toy Story 2")
    page = [number for number, title in enumerate(titles) if title in wanted]
    assert sorted(titles[number] for number in page) == ["Othello", *wanted]

    class Lookalikes(RawClient):
        def ranks(self, user: int, offset: int, count: int, text: str = "") -> list[int]:
            return page[:count]

    async with Server(tmp_path / "runs") as server:
        chosen = settings("raw", rounds=2, visits={"page_size": 4, "step_cap": 1})
        run = await begin(server, chosen, world=str(folder))
        async with Lookalikes(server.address) as client:
            await client.join(max_outstanding_work=32)
            assert [client.items[number].title for number in page] == [titles[n] for n in page]
            await client.serve()
        await finished(run)
        log = log_of(run)
        assert set(log.of(EventKind.PAGE).outcome.tolist()) == {Outcome.ACCEPTED}
        watches = log.of(EventKind.WATCH)
        assert set(watches.item.tolist()) == set(page)
        user_ids, item_ids = run.data.population.user_ids, run.data.catalog.item_ids
        pairs = list(zip(watches.user.tolist(), watches.item.tolist(), strict=True))
        told = Counter(
            (one.user_id, one.item_id) for batch in client.feedback() for one in batch.interactions
        )
        assert told == Counter((user_ids[user], item_ids[item]) for user, item in pairs)
        for user, count in Counter(watches.user.tolist()).items():
            mine = {item for other, item in pairs if other == user}
            assert set(run.world.watched.of(user).tolist()) == mine
            assert count >= len(mine)
