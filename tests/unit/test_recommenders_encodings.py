"""What a recommender answers follows from the feedback alone: not from the encoding, not from how
batches were split, not from the order in which lists are asked for."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recarena.client import Catalog
from recarena.recommenders.als import Als
from recarena.recommenders.bandit import Bandit
from recarena.recommenders.bpr import Bpr
from recarena.recommenders.content import Content
from recarena.recommenders.ease import Ease
from recarena.recommenders.hybrid import Hybrid
from recarena.recommenders.item_knn import ItemKnn
from recarena.recommenders.numeric import NumericRecommender, Wanted
from recarena.recommenders.popular import Popular
from recarena.recommenders.random_order import RandomOrder
from recarena.recommenders.sequential import Sequential
from recarena.recommenders.signals import ratings_of
from recarena.v1.types_pb2 import Interaction, Item
from recarena.v1.work_pb2 import RankBatch, SearchBatch, SearchQuery
from support.recommender_worlds import (
    PAGE,
    SMALL_ITEMS,
    SMALL_USERS,
    Planted,
    columns,
    info,
    lists,
    rank_query,
    rich,
    small_world,
    taught,
)

KINDS = [RandomOrder, Popular, ItemKnn, Ease, Als, Bpr, Sequential, Bandit, Content, Hybrid]
USERS, ITEMS = SMALL_USERS, SMALL_ITEMS

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def rich_lists(recommender: NumericRecommender, offset: int = 0) -> list[list[str]]:
    return recommender.rank([rank_query(user, offset) for user in range(USERS)])


def columnar_lists(recommender: NumericRecommender, offset: int = 0) -> list[list[str]]:
    batch = RankBatch(
        user_numbers=range(USERS), offsets=[offset] * USERS if offset else [], result_count=PAGE
    )
    return as_ids(recommender.rank_columns(batch), USERS)


def as_ids(answer, users: int) -> list[list[str]]:
    items = iter(np.asarray(answer.item_numbers).tolist())
    lengths = np.asarray(answer.list_lengths).tolist() or [PAGE] * users
    return [[f"i{next(items)}" for _ in range(length)] for length in lengths]


@every_kind
def test_both_encodings_give_the_same_lists(kind):
    planted, rounds = small_world()
    in_words = taught(kind, planted, rounds, rich)
    in_numbers = taught(kind, planted, rounds, columns)
    for offset in (0, 5, 30, 38, 50):
        assert rich_lists(in_words, offset) == columnar_lists(in_numbers, offset)


@every_kind
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(split=st.integers(1, 500), form=st.sampled_from([rich, columns]))
def test_splitting_batches_changes_nothing(kind, split: int, form):
    planted, rounds = small_world()
    whole = taught(kind, planted, rounds, columns)
    split_up = taught(kind, planted, rounds, form, split)
    of = rich_lists if form is rich else columnar_lists
    assert of(split_up) == columnar_lists(whole)


@every_kind
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_order_and_company_of_requests_change_nothing(kind, data):
    planted, rounds = small_world()
    recommender = taught(kind, planted, rounds, columns)
    expected = lists(recommender, USERS)
    users = data.draw(st.lists(st.integers(0, USERS - 1), min_size=1, max_size=40))
    numbers = np.array(users, np.int32)
    offsets = np.array(data.draw(st.lists(st.sampled_from([0, 5]), min_size=len(users),
                                          max_size=len(users))), np.int32)  # fmt: skip
    wanted = Wanted(recommender.users.rows(numbers), numbers, offsets, PAGE)
    found = recommender.top(wanted)
    next_pages = lists(recommender, USERS, PAGE)
    for row, (user, offset) in enumerate(zip(users, offsets, strict=True)):
        assert found[row].tolist() == (next_pages if offset else expected)[user].tolist()


@every_kind
def test_pages_join_into_the_whole_catalogue_with_the_watched_last(kind):
    planted, rounds = small_world()
    recommender = taught(kind, planted, rounds, columns)
    pages = np.concatenate([lists(recommender, USERS, at) for at in range(0, ITEMS, PAGE)], axis=1)
    watched = {user: set() for user in range(USERS)}
    for user, item, kind_of, _ in (row for rows in rounds for row in rows):
        if kind_of != Interaction.TYPE_IMPRESSION:
            watched[user].add(item)
    for user, items in enumerate(pages.tolist()):
        assert sorted(items) == list(range(ITEMS))
        known = [item in watched[user] for item in items]
        assert known == sorted(known)


@every_kind
def test_excluded_items_and_others_than_the_candidates_never_appear(kind):
    planted, rounds = small_world()
    recommender = taught(kind, planted, rounds, rich)
    whole = recommender.rank([rank_query(3, count=ITEMS)])[0]
    without = rank_query(3, offset=2)
    without.candidates.excluded_item_ids.extend([*whole[:4], "unheard of"])
    only = rank_query(3, offset=1)
    only.candidates.items.item_ids.extend(["i7", "i2", "i9", "unheard of"])
    plain = rank_query(4, count=3)
    answers = recommender.rank([without, only, plain])
    assert answers[0] == whole[6:11]
    assert answers[1] == [item for item in whole if item in ("i7", "i2", "i9")][1:]
    assert answers[2] == recommender.rank([rank_query(4)])[0][:3]


@every_kind
def test_a_user_nobody_has_heard_of_gets_a_list_all_the_same(kind):
    recommender = kind()
    recommender.start(Planted(users=5, items=ITEMS).run_info())
    answers = recommender.rank([rank_query(4)])
    assert len(set(answers[0])) == PAGE
    assert as_ids(recommender.rank_columns(RankBatch(user_numbers=[4], result_count=PAGE)), 1) == (
        answers
    )


@every_kind
def test_what_was_learned_follows_the_items_into_another_catalogue(kind):
    planted, rounds = small_world()
    recommender = taught(kind, planted, rounds[:2], rich)
    seen = {f"i{item}" for user, item, _, value in rounds[0] if user == 3 and value == value}
    items = list(planted.catalog().items)
    changed = Catalog.of("v2", [Item(item_id="new", title="New"), *items[:0:-1]])
    recommender.catalog_changed(info(changed, USERS))
    recommender.ready(3)
    whole = recommender.rank([rank_query(3, count=ITEMS)])[0]
    assert sorted(whole) == sorted(changed.item_ids)
    assert seen & set(whole[: -len(seen)]) <= {"i0"}
    recommender.feedback(rich(2, rounds[2]))
    recommender.ready(4)
    assert len(recommender.rank([rank_query(3)])[0]) == PAGE


@every_kind
def test_a_recommender_that_never_started_can_be_closed(kind):
    kind().close()


def test_random_orders_differ_by_user_round_and_seed():
    def pages(seed: int, round: int) -> np.ndarray:
        recommender = RandomOrder(seed)
        recommender.start(Planted(users=50, items=200).run_info())
        recommender.ready(round)
        return lists(recommender, 50)

    first = pages(1, 1)
    assert len({tuple(page) for page in first.tolist()}) == 50
    assert (first == pages(1, 1)).all()
    for other in (pages(1, 2), pages(2, 1)):
        assert (first == other).mean() < 0.05


def test_popular_goes_by_watches_and_then_by_the_catalogue():
    recommender = Popular()
    recommender.start(Planted(users=3, items=6).run_info())
    rate, nan = Interaction.TYPE_RATE, math.nan
    rows = [(0, 4, rate, 1.0), (1, 4, rate, 2.0), (1, 2, Interaction.TYPE_VIEW_ITEM, nan)]
    recommender.feedback_columns(columns(1, [*rows, (2, 5, Interaction.TYPE_IMPRESSION, nan)]))
    recommender.ready(2)
    assert lists(recommender, 3).tolist() == [[2, 0, 1, 3, 5], [0, 1, 3, 5, 4], [4, 2, 0, 1, 3]]


def test_types_become_ratings():
    kinds = [Interaction.TYPE_IMPRESSION, Interaction.TYPE_VIEW_ITEM, Interaction.TYPE_LIKE,
             Interaction.TYPE_DISLIKE, Interaction.TYPE_RATE, Interaction.TYPE_SHARE,
             Interaction.TYPE_SHARE, Interaction.TYPE_SKIP]  # fmt: skip
    nan = math.nan
    values = np.array([nan, nan, nan, nan, 3.0, nan, 2.0, nan], np.float32)
    found = ratings_of(np.array(kinds), values)
    assert str(found.tolist()) == str([nan, 0.0, 5.0, 1.0, 3.0, 0.0, 2.0, nan])


def test_feedback_about_unknown_items_is_left_out():
    planted = Planted(users=3, items=6)
    in_words, in_numbers = Popular(), Popular()
    for recommender in (in_words, in_numbers):
        recommender.start(planted.run_info())
    rows = [(0, 99, Interaction.TYPE_RATE, 5.0), (0, 3, Interaction.TYPE_RATE, 5.0)]
    in_words.feedback(rich(1, rows))
    in_numbers.feedback_columns(columns(1, rows))
    in_words.ready(2)
    in_numbers.ready(2)
    assert in_words.watches.tolist() == in_numbers.watches.tolist() == [0, 0, 0, 1, 0, 0]


def test_both_encodings_find_the_same():
    planted, rounds = small_world()
    in_words = taught(Popular, planted, rounds, rich)
    in_numbers = taught(Popular, planted, rounds, columns)
    texts = ["Genre 1", "film 7", "nothing of the kind", "Film 11"]
    queries = []
    for user in range(USERS):
        query = SearchQuery(text=texts[user % 4], result_count=PAGE, offset=user % 2)
        query.user.user_id = f"u{user}"
        queries.append(query)
    batch = SearchBatch(
        result_count=PAGE, user_numbers=range(USERS), texts=texts,
        text_numbers=[user % 4 for user in range(USERS)],
        offsets=[user % 2 for user in range(USERS)],
    )  # fmt: skip
    found = in_words.search(queries)
    assert found == as_ids(in_numbers.search_columns(batch), USERS)
    assert found[2] == []
    in_words.close()
    in_numbers.close()


def test_the_recommender_of_the_readme_ranks_by_mean_rating():
    readme = Path(__file__).resolve().parents[2] / "clients/recommenders/README.md"
    (program,) = re.findall(r"```python\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    names: dict = {"__name__": "readme"}
    exec(program, names)
    rate = Interaction.TYPE_RATE
    rows = [(0, 2, rate, 5.0), (1, 2, rate, 4.0), (0, 1, rate, 5.0), (1, 0, rate, 1.0)]
    recommender = taught(names["BestRated"], Planted(users=3, items=6), [rows], columns)
    assert lists(recommender, 3)[2].tolist() == [2, 1, 3, 4, 5]
    assert lists(recommender, 3)[0].tolist() == [3, 4, 5, 0, 2]
