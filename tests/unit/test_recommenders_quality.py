"""In a world with planted tastes the better method wins, and the oracle is above them all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recarena.recommenders import ease
from recarena.recommenders.als import Als
from recarena.recommenders.bandit import Bandit
from recarena.recommenders.bpr import Bpr
from recarena.recommenders.content import Content, item_vectors
from recarena.recommenders.ease import Ease
from recarena.recommenders.item_knn import ItemKnn
from recarena.recommenders.item_to_item import gram
from recarena.recommenders.oracle import Oracle
from recarena.recommenders.popular import Popular
from recarena.recommenders.random_order import RandomOrder
from recarena.recommenders.sequential import Sequential
from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.world_folder import save_world
from recarena.v1.types_pb2 import Interaction, Item
from support.recommender_worlds import Planted, columns, info, lists, play, write_world


@pytest.mark.slow
def test_oracle_beats_learners_beat_popular_beats_random(tmp_path: Path):
    seeds, worth = (1, 2), {}
    for kind in (RandomOrder, Popular, Content, ItemKnn, Ease, Als, Bpr, Sequential, Bandit):
        runs = [play(Planted(600, 300, seed), kind(), 5) for seed in seeds]
        worth[kind.__name__] = float(np.mean(runs))
    runs = []
    for seed in seeds:
        planted = Planted(600, 300, seed)
        runs.append(play(planted, Oracle(write_world(tmp_path / str(seed), planted)), 5))
    worth["Oracle"] = float(np.mean(runs))
    print(worth)
    assert worth["Oracle"] > worth["Ease"] + 0.3
    assert worth["Oracle"] > worth["ItemKnn"] + 0.3
    assert min(worth["Ease"], worth["ItemKnn"]) > worth["Content"] > worth["Popular"] + 0.2
    assert worth["Popular"] > worth["RandomOrder"] + 0.1
    assert min(worth["Als"], worth["Sequential"], worth["Bpr"]) > worth["Popular"] + 0.3
    assert worth["Bandit"] > worth["Popular"] + 0.2  # it begins by chance, see the bandit's tests


def test_the_oracle_ranks_by_the_truth_whatever_the_order_of_the_world(tmp_path: Path):
    planted = Planted(users=20, items=30, genres=4)
    oracle = Oracle(write_world(tmp_path / "world", planted, backwards=True))
    oracle.start(planted.run_info())
    assert (lists(oracle, 20) == np.argsort(-planted.truth, axis=1)[:, :5]).all()


def test_the_oracle_reads_worlds_as_the_server_writes_them(tmp_path: Path):
    world = planted_world(20, 30, 1)
    save_world(world, tmp_path / "world")
    oracle = Oracle(tmp_path / "world")
    catalog = Planted(users=1, items=30).run_info().catalog
    items = [Item(item_id=item_id) for item_id in world.catalog.item_ids]
    oracle.start(info(type(catalog).of("v1", items), 20))
    truth = world.population.taste @ world.catalog.attributes.T + world.catalog.quality
    assert (lists(oracle, 20) == np.argsort(-truth, axis=1, kind="stable")[:, :5]).all()


def test_the_oracle_refuses_another_world(tmp_path: Path):
    planted = Planted(users=20, items=30)
    folder = write_world(tmp_path / "world", planted)
    catalog = planted.catalog()
    others = [*catalog.items[:29], Item(item_id="other")]
    with pytest.raises(ValueError, match="no item 'other'"):
        Oracle(folder).start(info(type(catalog).of("v1", others), 20))
    with pytest.raises(ValueError, match="has 20 users, the run 21"):
        Oracle(folder).start(Planted(users=21, items=30).run_info())
    with pytest.raises(ValueError, match=r"no world folder, it has no items\.parquet"):
        Oracle(tmp_path).start(planted.run_info())


def trained(kind, rows: list[tuple[int, int, float]], users: int, items: list[Item]):
    catalog = Planted(users=1, items=3).run_info().catalog
    recommender = kind()
    recommender.start(info(type(catalog).of("v1", items), users))
    kinds = [(user, item, Interaction.TYPE_RATE, rating) for user, item, rating in rows]
    recommender.feedback_columns(columns(0, kinds))
    recommender.ready(1)
    return recommender


def checkerboard(users: int = 40, items: int = 20) -> list[tuple[int, int, float]]:
    """Even users love even items and hate odd ones, and the other way round; a sixth is unseen."""
    return [
        (user, item, 5.0 if (user + item) % 2 == 0 else 1.0)
        for user in range(users)
        for item in range(items)
        if (user * 7 + item // 2) % 6
    ]


@pytest.mark.parametrize("kind", [ItemKnn, Ease, Als, Bpr, Sequential])
def test_on_a_checkerboard_every_unseen_item_of_the_users_colour_comes_first(kind):
    rows = checkerboard()
    recommender = trained(kind, rows, 40, [Item(item_id=f"i{n}") for n in range(20)])
    seen = {(user, item) for user, item, _ in rows}
    pages = lists(recommender, 40)
    for user in range(40):
        open_items = [item for item in range(20) if (user, item) not in seen]
        liked = [item for item in open_items if (user + item) % 2 == 0]
        assert sorted(pages[user, : min(len(liked), 5)].tolist()) == liked[:5]


def test_content_goes_by_genres_liked_and_disliked():
    items = [Item(item_id=f"i{n}", categories=["Comedy" if n % 2 else "Horror"]) for n in range(12)]
    recommender = trained(Content, [(0, 0, 5), (0, 1, 1), (1, 2, 1), (1, 3, 5)], 2, items)
    assert {n % 2 for n in lists(recommender, 2)[0].tolist()} == {0}
    assert {n % 2 for n in lists(recommender, 2)[1].tolist()} == {1}


def test_vectors_of_items_have_parts_of_their_weight():
    items = [
        Item(item_id="a", categories=["X", "Y"], description="a tale of two dogs"),
        Item(item_id="b", categories=["X"], description="two dogs in a tale"),
        Item(item_id="c", description="..."),
        Item(item_id="d", categories=["Y"]),
    ]
    products = (item_vectors(items) @ item_vectors(items).T).toarray()
    assert np.allclose(np.diag(products), [1.25, 1.25, 0, 1])
    assert products[0, 1] == pytest.approx(1 / np.sqrt(2) + 0.25)


def test_ease_keeps_the_most_watched_of_a_large_catalogue(monkeypatch, caplog):
    monkeypatch.setattr(ease, "MOST_ITEMS", 18)
    rows = checkerboard()
    recommender = trained(Ease, rows, 40, [Item(item_id=f"i{n}") for n in range(30)])
    assert recommender.kept is not None
    assert len(recommender.kept) == 18
    assert "18 most watched of 30 items" in caplog.text
    whole = np.concatenate([lists(recommender, 40, at) for at in range(0, 30, 5)], axis=1)
    assert (np.sort(whole, axis=1) == np.arange(30)).all()
    assert recommender.reasons(0, np.arange(30, dtype=np.int32))[29] is None


@pytest.mark.parametrize("filled", [0.05, 0.9])
def test_a_gram_matrix_is_the_same_both_ways(filled: float):
    from scipy.sparse import csr_array

    rng = np.random.default_rng(1)
    dense = np.where(rng.random((300, 40)) < filled, rng.normal(size=(300, 40)), 0)
    assert np.allclose(gram(csr_array(dense.astype(np.float32))), dense.T @ dense, atol=1e-3)


def test_a_page_passed_over_makes_room_for_others():
    planted = Planted(users=30, items=60)
    recommender = trained(
        Ease, [row[:2] + row[3:] for row in planted.past()], 30, list(planted.catalog().items)
    )
    first = lists(recommender, 30)
    for round in range(1, 4):
        shown = [(user, item, Interaction.TYPE_IMPRESSION, float("nan"))
                 for user in range(30) for item in first[user].tolist()]  # fmt: skip
        recommender.feedback_columns(columns(round, shown))
        recommender.ready(round + 1)
    kept = [len(set(a) & set(b)) for a, b in zip(first.tolist(), lists(recommender, 30).tolist(),
                                                 strict=True)]  # fmt: skip
    assert np.mean(kept) < 4
