"""Who is asked about the past of a steered run stands in the world as it was changed by then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recarena.server.datasets.generate import generate_world
from recarena.server.errors import InputError
from recarena.server.inquiring.moments import Past, Walk
from recarena.server.inquiring.questions import Choose, Impression, Inquiry
from recarena.server.inquiring.sittings import Judge, Sitting, open_respondent
from recarena.server.runs import Run
from recarena.server.types import EventKind
from support.steered import K, ShelfDoor, added, change, founded, lives, plays

DATA = generate_world(40, 3, history_per_user=3)
IDS, GENRE, NEW = DATA.population.user_ids, DATA.catalog.genre_names[0], len(DATA.catalog)
SCRIPT = [
    [],
    [added("new", GENRE, quality=3), change(K.EDIT_PROFILE, user_id=IDS[3], name="Zoë",
                                            tastes={GENRE: 3})],
    [change(K.EDIT_PROFILE, user_id=IDS[3], name="Zora", traits={"trust": 2})],
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("steered") / "run"

    async def play() -> None:
        run = Run(founded(path, DATA, 4), ShelfDoor())
        await lives(run, SCRIPT)
        await plays(run, 4)
        await run.close()

    asyncio.run(play())
    return path


@pytest.fixture
def past(folder: Path) -> Iterator[Past]:
    opened = Past(folder)
    yield opened
    opened.close()


async def test_the_world_at_a_moment_has_what_changed_by_then_and_no_more(past: Past):
    judge = Judge("choice")
    walk = Walk(past, open_respondent(judge, past.settings, past))
    first = (await walk.to(1)).world
    assert (first.items, first.population.names[3]) == (NEW, DATA.population.names[3])
    second = (await walk.to(2)).world
    assert (second.items, second.population.names[3]) == (NEW + 1, "Zoë")
    assert second.taste[3, 0] == 3
    trust = second.population.trust[3]
    third = (await walk.to(3)).world
    assert (third.population.names[3], third.population.trust[3]) == ("Zora", 2)
    assert trust != 2
    assert (await walk.to(5)).world.round == 4
    again = (await Walk(past, walk.respondent).to(1)).world
    assert (again.items, again.population.names[3]) == (NEW, DATA.population.names[3])


async def test_users_are_asked_about_items_that_came_later_than_the_run(past: Past):
    sitting = Sitting(past, Judge("choice"), past.settings)
    events, _ = next(past.folder.rounds(2, 2))
    shown = np.flatnonzero((events.kind == EventKind.SHOWN) & (events.item == NEW))
    row = int(shown[0])
    user, place = (
        int(events.user[row]),
        Impression(int(events.step[row]), int(events.position[row])),
    )
    assert await past.item_at(user, 2, place, "inquiries[0]") == NEW
    asked = Inquiry("one", user, 2, Choose(), NEW, place)
    answers, _ = await sitting.ask([asked], 1)
    assert len(answers.said) == 1
    early = Inquiry("two", user, 1, Choose(), NEW)
    with pytest.raises(InputError, match="before round 1 there was no such item yet"):
        await sitting.ask([early], 1)
    await sitting.close()


async def test_a_past_that_goes_on_learns_of_new_items(tmp_path: Path):
    run = Run(founded(tmp_path / "run", DATA, 4), ShelfDoor())
    await plays(run)
    past = Past(tmp_path / "run")
    assert past.data.catalog.item_ids == DATA.catalog.item_ids
    await lives(run, SCRIPT[1:2])
    events, _ = next(past.folder.rounds(2, 2))
    row = int(np.flatnonzero((events.kind == EventKind.SHOWN) & (events.item == NEW))[0])
    place = Impression(int(events.step[row]), int(events.position[row]))
    assert await past.item_at(int(events.user[row]), 2, place, "") == NEW
    assert past.data.catalog.item_ids[-1] == "new"
    past.close()
    await run.close()
