from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.server.datasets.disguise import Disguise, Ids, Titles, disguised
from recarena.server.datasets.generate import generate_world
from recarena.server.datasets.nudge import nudged
from recarena.server.datasets.planted import merits, planted_world
from recarena.server.datasets.planting import Planting, truth_of, world_settings
from recarena.server.datasets.world_data import History, WorldData
from recarena.server.datasets.world_folder import load_world, save_world
from recarena.server.errors import InputError
from recarena.server.population import TRAITS


def split(world: WorldData) -> WorldData:
    """A world whose later half of the ratings is held out, with times of their own."""
    count = len(world.history)
    times = np.arange(1, count + 1, dtype=np.int64)
    whole = dataclasses.replace(world.history, time=times)

    def part(rows: slice) -> History:
        return History(*(getattr(whole, one.name)[rows] for one in dataclasses.fields(History)))

    return dataclasses.replace(
        world, history=part(slice(count // 2)), later=part(slice(count // 2, None))
    )


PLANTED = split(planted_world(30, 40, 3))
FILMS = split(generate_world(25, 4))


def same_rows(plain: WorldData, other: WorldData) -> tuple[list[int], list[int]]:
    """The plain rows of the other world's users and items, told by what they are, not by ids."""
    user = {row.tobytes(): number for number, row in enumerate(plain.population.taste)}
    item = {one.tobytes(): number for number, one in enumerate(plain.catalog.factors)}
    assert len(user) == len(plain.population)
    assert len(item) == len(plain.catalog)
    return (
        [user[row.tobytes()] for row in other.population.taste],
        [item[row.tobytes()] for row in other.catalog.factors],
    )


@pytest.mark.parametrize("part", ["history", "later"])
@given(seed=st.integers(0, 2**62))
@settings(max_examples=15, deadline=None)
def test_under_the_permutation_nothing_but_the_names_has_changed(part: str, seed: int) -> None:
    other = disguised(PLANTED, Disguise(seed))
    users, items = same_rows(PLANTED, other)
    assert sorted(users) == list(range(30))
    assert sorted(items) == list(range(40))
    for name in TRAITS:
        plain = getattr(PLANTED.population, name)
        assert np.array_equal(getattr(other.population, name), plain[users])
    for name in ("quality", "popularity", "genres"):
        assert np.array_equal(getattr(other.catalog, name), getattr(PLANTED.catalog, name)[items])

    def rows(history: History, user: list[int], item: list[int]) -> list[tuple[float, ...]]:
        return sorted(
            (user[u], item[i], float(r), int(t))
            for u, i, r, t in zip(*dataclasses.astuple(history), strict=True)
        )

    assert rows(getattr(other, part), users, items) == rows(
        getattr(PLANTED, part), list(range(30)), list(range(40))
    )


def test_ties_hold_between_the_same_people() -> None:
    other = disguised(PLANTED, Disguise(9))
    users, _ = same_rows(PLANTED, other)

    def ties(world: WorldData, user: list[int]) -> set[tuple[int, int, float, int]]:
        network = world.network
        source = np.repeat(np.arange(network.users), network.degrees()).tolist()
        columns = (network.other.tolist(), network.closeness.tolist(), network.kind.tolist())
        rows = zip(source, *columns, strict=True)
        return {(user[u], user[v], close, kind) for u, v, close, kind in rows}

    assert ties(other, users) == ties(PLANTED, list(range(30)))


def test_the_same_seed_gives_the_same_world_to_the_byte(tmp_path: Path) -> None:
    for name in "ab":
        save_world(disguised(FILMS, Disguise(5, titles=Titles.NUMBERS)), tmp_path / name)
    save_world(disguised(FILMS, Disguise(6, titles=Titles.NUMBERS)), tmp_path / "c")
    about = [json.loads((tmp_path / one / "world.json").read_text()) for one in "abc"]
    assert about[0] == about[1]
    assert about[0]["files"] != about[2]["files"]


def test_opaque_ids_and_places_share_nothing_with_the_source_or_another_seed() -> None:
    one, two = (disguised(PLANTED, Disguise(seed)) for seed in (1, 2))
    assert not set(one.catalog.item_ids) & set(two.catalog.item_ids)
    assert not set(one.population.user_ids) & set(PLANTED.population.user_ids)
    assert one.population.names != PLANTED.population.names
    places = [same_rows(PLANTED, world)[1] for world in (one, two)]
    assert places[0] != places[1] != sorted(places[1])


def test_order_says_nothing_about_the_order_of_the_source() -> None:
    """Over many seeds, ranks before and after are uncorrelated: the mean of 200 correlations of 40
    items has a standard error of .011."""
    correlations = [
        np.corrcoef(np.arange(40), same_rows(PLANTED, disguised(PLANTED, Disguise(seed)))[1])[0, 1]
        for seed in range(200)
    ]
    assert abs(np.mean(correlations)) < 0.045


def test_numbered_titles_hide_the_words_and_do_not_follow_the_source_even_where_ids_are_kept() -> (
    None
):
    other = disguised(FILMS, Disguise(7, Ids.KEEP, Titles.NUMBERS))
    assert other.catalog.item_ids == FILMS.catalog.item_ids
    assert sorted(other.catalog.titles) == [
        f"Item {one:04d}" for one in range(1, len(FILMS.catalog) + 1)
    ]
    assert other.catalog.titles != sorted(other.catalog.titles)
    assert not other.catalog.years.any()
    assert not any(other.catalog.directors)
    assert not any(other.catalog.descriptions)
    assert other.population.names == FILMS.population.names


def test_ids_may_be_titles_and_then_belong_to_the_same_items() -> None:
    other = disguised(PLANTED, Disguise(7, titles=Titles.IDS))
    _, items = same_rows(PLANTED, other)
    assert other.catalog.titles == [PLANTED.catalog.item_ids[item] for item in items]


def test_fewer_users_keep_their_own_ties_and_ratings_and_no_others() -> None:
    other = disguised(PLANTED, Disguise(11, Ids.KEEP, users=12))
    number = PLANTED.population.number_of
    left = np.array([number[one] for one in other.population.user_ids])
    assert len(left) == 12
    assert np.array_equal(left, np.sort(left))
    mine = np.isin(PLANTED.history.user, left)
    assert np.array_equal(left[other.history.user], PLANTED.history.user[mine])
    assert np.array_equal(other.history.item, PLANTED.history.item[mine])
    source = np.repeat(np.arange(30), PLANTED.network.degrees())
    inside = np.isin(source, left) & np.isin(PLANTED.network.other, left)
    assert len(other.network) == inside.sum()
    assert np.array_equal(other.catalog.popularity, PLANTED.catalog.popularity)
    others = disguised(PLANTED, Disguise(12, Ids.KEEP, users=12))
    assert others.population.user_ids != other.population.user_ids


def test_what_is_planted_goes_with_the_items_and_users_it_was_planted_in() -> None:
    planting = Planting(groups=2, edges=3, influence=2.0)
    plain = planted_world(40, 20, 5, planting=planting)
    other = disguised(plain, Disguise(8))
    assert world_settings(other) == world_settings(plain)
    for planted in (plain, other):  # the merit of an item is what it is to its users
        told = truth_of(planted)["groups"]["merit_of_item"]
        assert told == pytest.approx(merits(planted).tolist(), abs=1e-5)
    users = {row.tobytes(): number for number, row in enumerate(plain.population.taste)}
    old = [users[row.tobytes()] for row in other.population.taste]
    for kind in ("planted", "null"):
        found = [[old[u], old[v]] for u, v in truth_of(other)["edges"][kind]]
        assert found == truth_of(plain)["edges"][kind]
    fewer = truth_of(disguised(plain, Disguise(8, users=25)))["edges"]["planted"]
    assert len(fewer) < 3
    assert all(0 <= user < 25 for edge in fewer for user in edge)


@pytest.mark.parametrize("users", [0, 31])
def test_so_many_users_as_there_are_not_are_refused(users: int) -> None:
    with pytest.raises(InputError, match=f"{users} users of 30"):
        disguised(PLANTED, Disguise(1, users=users))


def test_the_origin_says_that_it_is_disguised_and_not_from_what_or_by_which_seed() -> None:
    other = disguised(FILMS, Disguise(620448401733239439, titles=Titles.NUMBERS, users=20))
    assert set(other.origin) == {"source", "of", "ids", "titles", "notes"}
    assert other.origin["source"] == "disguised"
    assert other.origin["of"] == {"source": FILMS.origin["source"]}
    assert other.origin["titles"] == "numbers"
    assert "620448401733239439" not in json.dumps(other.origin)


def test_a_disguised_world_is_kept_in_a_folder_with_what_is_held_out(tmp_path: Path) -> None:
    other = disguised(PLANTED, Disguise(3))
    save_world(other, tmp_path / "hidden")
    again = load_world(tmp_path / "hidden")
    assert again.catalog.item_ids == other.catalog.item_ids
    assert np.array_equal(again.later.item, other.later.item)
    assert len(again.later) == len(PLANTED.later)


# ------------------------------------------------------------------ nudges


def test_a_nudge_moves_displayed_means_of_all_items_and_nothing_else() -> None:
    up, down = nudged(PLANTED, 1, 0.5), nudged(PLANTED, 1, -0.5)
    apart = up.history.rating - down.history.rating
    raised = {item for item, by in zip(up.history.item, apart, strict=True) if by > 0}
    lowered = {item for item, by in zip(up.history.item, apart, strict=True) if by < 0}
    assert not raised & lowered
    assert abs(len(raised) - len(lowered)) <= 4
    assert up.history.rating.min() >= 1
    assert up.history.rating.max() <= 5
    inside = (PLANTED.history.rating >= 1.5) & (PLANTED.history.rating <= 4.5)
    assert np.allclose(abs(apart[inside]), 1)
    for name in ("catalog", "population", "network", "later"):
        assert getattr(up, name) is getattr(PLANTED, name)
    assert up.origin["nudged"] == {"seed": 1, "by": 0.5}


@pytest.mark.parametrize("by", [-4.5, 5, float("nan")])
def test_a_nudge_out_of_range_is_refused(by: float) -> None:
    with pytest.raises(InputError, match="rating points"):
        nudged(PLANTED, 1, by)
