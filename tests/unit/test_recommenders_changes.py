"""Items come and are withdrawn between rounds: no reference recommender lists what is gone, and all
list what is new."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.client import Catalog
from recarena.recommenders.als import Als
from recarena.recommenders.bandit import Bandit
from recarena.recommenders.bpr import Bpr
from recarena.recommenders.content import Content
from recarena.recommenders.ease import Ease
from recarena.recommenders.hybrid import Hybrid
from recarena.recommenders.item_knn import ItemKnn
from recarena.recommenders.offered import Offered
from recarena.recommenders.oracle import Oracle
from recarena.recommenders.popular import Popular
from recarena.recommenders.random_order import RandomOrder
from recarena.recommenders.sequential import Sequential
from recarena.v1.types_pb2 import Item
from recarena.v1.work_pb2 import RankBatch, SearchBatch, SearchQuery
from support.recommender_worlds import (
    PAGE,
    RATE,
    SMALL_ITEMS,
    SMALL_USERS,
    Planted,
    columns,
    info,
    rank_query,
    rich,
    small_world,
    write_world,
)

KINDS = [RandomOrder, Popular, ItemKnn, Ease, Als, Bpr, Sequential, Bandit, Content, Hybrid]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
GONE = (0, 3, 17)
"""Numbers of the items that are withdrawn; "new" is added at the end."""


def changed(catalog: Catalog, gone: tuple[int, ...] = GONE) -> Catalog:
    items = []
    for number, item in enumerate(catalog.items):
        items.append(Item())
        items[-1].CopyFrom(item)
        items[-1].withdrawn = number in gone
    new = Item(item_id="new", title="Brand new", categories=["Genre 1"], description="Unheard of.")
    return Catalog.of("v2", [*items, new])


def numbers_of(recommender, users: int = SMALL_USERS, count: int = SMALL_ITEMS + 5):
    """The lists of all users in the columnar form, as deep as they go."""
    batch = RankBatch(user_numbers=range(users), result_count=count)
    found = recommender.rank_columns(batch)
    numbers, lengths = np.asarray(found.item_numbers), np.asarray(found.list_lengths)
    ends = np.cumsum(lengths if len(lengths) else [count] * users)
    return [one.tolist() for one in np.split(numbers, ends[:-1])]


def ids_of(recommender, users: int = SMALL_USERS, count: int = SMALL_ITEMS + 5):
    """The same in the rich form."""
    return [
        list(one) for one in recommender.rank([rank_query(u, count=count) for u in range(users)])
    ]


def taught(kind, feed):
    """A recommender with history and a round behind it, its catalogue changed, then another."""
    planted, rounds = small_world()
    recommender = kind()
    recommender.start(planted.run_info())
    take = recommender.feedback if feed is rich else recommender.feedback_columns
    take(feed(0, rounds[0]))
    recommender.ready(1)
    take(feed(1, rounds[1]))
    recommender.catalog_changed(info(changed(planted.catalog()), SMALL_USERS))
    recommender.ready(2)
    left = [row for row in rounds[2] if row[1] not in GONE]
    take(feed(2, left))
    recommender.ready(3)
    return recommender


@every_kind
def test_what_was_withdrawn_is_in_no_list_and_what_is_new_in_all(kind):
    listed = numbers_of(taught(kind, columns))
    wanted = sorted(set(range(SMALL_ITEMS + 1)) - set(GONE))
    assert [sorted(one) for one in listed] == [wanted] * SMALL_USERS


@every_kind
def test_both_encodings_list_the_same_after_a_change(kind):
    ids = [*(f"i{n}" for n in range(SMALL_ITEMS)), "new"]
    listed = numbers_of(taught(kind, columns))
    assert [[ids[n] for n in one] for one in listed] == ids_of(taught(kind, rich))


@every_kind
def test_what_was_withdrawn_before_the_recommender_came_is_in_no_list(kind):
    planted, rounds = small_world()
    recommender = kind()
    recommender.start(info(changed(planted.catalog()), SMALL_USERS))
    recommender.feedback_columns(columns(0, rounds[0]))  # speaks of what is gone, too
    recommender.ready(1)
    listed = {item for one in numbers_of(recommender) for item in one}
    assert listed == set(range(SMALL_ITEMS + 1)) - set(GONE)


@every_kind
def test_lists_are_empty_once_everything_was_withdrawn(kind):
    planted, rounds = small_world()
    recommender = kind()
    recommender.start(planted.run_info())
    recommender.feedback_columns(columns(0, rounds[0]))
    recommender.ready(1)
    items = [Item(item_id=f"i{n}", withdrawn=True) for n in range(SMALL_ITEMS)]
    recommender.catalog_changed(info(Catalog.of("v2", items), SMALL_USERS))
    recommender.ready(2)
    assert numbers_of(recommender) == ids_of(recommender) == [[]] * SMALL_USERS


@every_kind
def test_searches_find_what_is_new_and_nothing_that_was_withdrawn(kind):
    recommender = taught(kind, columns)
    texts = ["Film 3", "brand new", "Genre 1"]
    batch = SearchBatch(
        user_numbers=[0, 0, 0], text_numbers=[0, 1, 2], texts=texts, result_count=SMALL_ITEMS
    )
    found = recommender.search_columns(batch)
    assert not set(GONE) & set(np.asarray(found.item_numbers).tolist())
    rich_found = recommender.search([
        SearchQuery(query_index=n, text=text, result_count=SMALL_ITEMS)
        for n, text in enumerate(texts)
    ])  # fmt: skip
    assert rich_found[1][0] == "new"
    assert "new" in rich_found[2]
    assert not {f"i{n}" for n in GONE} & {item for one in rich_found for item in one}


def test_what_is_new_rises_as_it_is_watched():
    planted, rounds = small_world()
    recommender = Popular()
    recommender.start(planted.run_info())
    recommender.feedback_columns(columns(0, rounds[0]))
    recommender.ready(1)
    recommender.catalog_changed(info(changed(planted.catalog()), SMALL_USERS))
    recommender.ready(2)
    assert numbers_of(recommender)[-1][0] != SMALL_ITEMS
    row = [(user, SMALL_ITEMS, RATE, 5.0) for user in range(SMALL_USERS - 1)]
    recommender.feedback_columns(columns(2, row))
    recommender.ready(3)
    assert numbers_of(recommender)[-1][0] == SMALL_ITEMS


def test_a_content_profile_reaches_items_that_nobody_has_watched():
    planted, _ = small_world()
    recommender = Content()
    recommender.start(planted.run_info())
    like = [n for n in range(SMALL_ITEMS) if planted.genre[n, 1]]
    other = [n for n in range(SMALL_ITEMS) if not planted.genre[n, 1]]
    rows = [(0, item, RATE, 5.0) for item in like[:3]] + [
        (0, item, RATE, 1.0) for item in other[:3]
    ]
    recommender.feedback_columns(columns(0, rows))
    recommender.ready(1)
    recommender.catalog_changed(info(changed(planted.catalog(), ()), SMALL_USERS))
    recommender.ready(2)
    page = numbers_of(recommender, users=1, count=PAGE)[0]
    assert SMALL_ITEMS in page


# ------------------------------------------------------------------------------ the oracle
def test_the_oracle_takes_what_was_added_for_an_average_item_of_its_genres(tmp_path):
    world = Planted(users=SMALL_USERS, items=SMALL_ITEMS)
    oracle = Oracle(write_world(tmp_path / "world", world))
    oracle.start(world.run_info())
    oracle.catalog_changed(info(changed(world.catalog()), SMALL_USERS))
    oracle.ready(1)
    scores = world.taste @ world.attributes.T + world.quality
    scores[:, list(GONE)] = -np.inf
    of_new = world.taste[:, 1:2]
    order = np.argsort(-np.concatenate([scores, of_new], axis=1), axis=1, kind="stable")
    kept = SMALL_ITEMS + 1 - len(GONE)
    assert numbers_of(oracle) == order[:, :kept].tolist()


def test_the_oracle_still_finds_out_that_a_folder_is_of_another_world(tmp_path):
    world = Planted(users=SMALL_USERS, items=SMALL_ITEMS)
    folder = write_world(tmp_path / "world", world)
    items = [Item(item_id=f"x{n}") for n in range(SMALL_ITEMS)]
    with pytest.raises(ValueError, match="has no item 'x0'"):
        Oracle(folder).start(info(Catalog.of("v", items), SMALL_USERS))


# ------------------------------------------------------------------------------ places
@given(st.lists(st.booleans(), max_size=30))
def test_places_and_numbers_are_each_others_inverse(withdrawn):
    items = [Item(item_id=f"i{n}", withdrawn=gone) for n, gone in enumerate(withdrawn)]
    offered = Offered(info(Catalog.of("v", items), 1))
    left = [n for n, gone in enumerate(withdrawn) if not gone]
    assert offered.run.catalog.item_ids == [f"i{n}" for n in left]
    places = offered.places(np.arange(len(withdrawn) + 3, dtype=np.int64))
    assert [p for p in places.tolist() if p >= 0] == list(range(len(left)))
    assert (places[len(withdrawn) :] == -1).all()
    every = np.append(np.arange(len(left), dtype=np.int32), np.int32(-1))
    assert offered.numbered(every).tolist() == [*left, -1]
