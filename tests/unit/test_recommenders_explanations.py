"""What an explanation says is true, and its evidence says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recarena.client import Catalog
from recarena.recommenders.als import CONFIDENCE, FACTORS, RIDGE, Als
from recarena.recommenders.content import Content
from recarena.recommenders.item_to_item import ItemToItem
from recarena.recommenders.roster import ROSTER, Options
from recarena.v1.types_pb2 import Evidence, ExplanationMode, Interaction, Item
from support.recommender_worlds import (
    SMALL_USERS,
    Planted,
    columns,
    info,
    rank_query,
    rich,
    small_world,
    taught,
    write_world,
)

NAMES = [name for name in ROSTER if name != "llm-rerank"]  # its words are the model's


def explained(name: str, tmp_path: Path):
    """(recommender, rounds, [(user, item)]) of a recommender asked for reasons."""
    planted, rounds = small_world()
    options = Options(world=write_world(tmp_path / "world", planted))
    recommender = taught(ROSTER[name].factory(options), planted, rounds, rich)
    mode = ExplanationMode.EXPLANATION_MODE_STRUCTURED
    queries = [rank_query(user, explanation_mode=mode) for user in range(SMALL_USERS)]
    answers = recommender.rank(queries)
    plain = recommender.rank([rank_query(user) for user in range(SMALL_USERS)])
    assert [[item.item_id for item in answer] for answer in answers] == plain
    pairs = [(user, item) for user, answer in enumerate(answers) for item in answer]
    return recommender, rounds, pairs


def watched_pairs(rounds) -> set[tuple[int, str]]:
    return {
        (user, f"i{item}")
        for rows in rounds
        for user, item, kind, _ in rows
        if kind != Interaction.TYPE_IMPRESSION
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_explanation_is_true_of_the_user_and_the_item(name: str, tmp_path: Path):
    recommender, rounds, pairs = explained(name, tmp_path)
    watched = watched_pairs(rounds)
    catalog = recommender.run.catalog
    said = 0
    for user, item in pairs:
        if not item.HasField("explanation"):
            continue
        said += 1
        told, text = item.explanation, item.explanation.text
        assert told.method == f"{name}-template"
        assert told.locale == "en"
        weights = [one.weight for one in told.evidence if one.HasField("weight")]
        assert weights == sorted(weights, reverse=True)
        assert all(0 < weight <= 1 for weight in weights)
        features = []
        for one in told.evidence:
            if one.kind == Evidence.KIND_ITEM:
                assert (user, one.reference) in watched
                title = catalog.items[catalog.number_of[one.reference]].title
                assert title in text
                text = text.replace(title, "X")
            elif one.kind == Evidence.KIND_FEATURE:
                kind, _, value = one.reference.partition("=")
                assert kind == "genre"
                assert value in catalog.items[catalog.number_of[item.item_id]].categories
                features.append(value)
            else:
                assert one.kind == Evidence.KIND_POPULARITY
                count = recommender.watches[catalog.number_of[item.item_id]]
                assert one.reference == str(count)
                assert text == f"Watched {'once' if count == 1 else f'{count} times'} so far."
                text = "popular"
        common = f" In common: {', '.join(features)}." if features else ""
        genre = f"Because of its genre: {''.join(features)}."
        assert text in {
            "Because you watched X." + common, "Similar to X, which you watched.", genre,
            "popular", "Picked at random.",
        }  # fmt: skip
        assert bool(told.evidence) == (name != "random")
    assert said > SMALL_USERS


def test_a_user_of_whom_nothing_is_known_is_not_told_what_she_watched(tmp_path: Path):
    for name in NAMES:
        options = Options(world=write_world(tmp_path / name, Planted(users=5, items=40)))
        recommender = ROSTER[name].factory(options)()
        recommender.start(Planted(users=5, items=40).run_info())
        recommender.ready(1)
        mode = ExplanationMode.EXPLANATION_MODE_TEXT
        for item in recommender.rank([rank_query(3, explanation_mode=mode)])[0]:
            kinds = {one.kind for one in item.explanation.evidence}
            assert kinds <= {Evidence.KIND_FEATURE}, name
        recommender.close()


@pytest.mark.parametrize("name", ["item-knn", "ease", "sequential", "content", "als"])
def test_the_item_that_is_named_adds_most_to_the_score(name: str, tmp_path: Path):
    recommender, _, pairs = explained(name, tmp_path)
    for user, item in pairs:
        number = recommender.run.catalog.number_of[item.item_id]
        row = recommender.users.row(f"u{user}")
        if row < 0 or not item.HasField("explanation"):
            continue
        items, adds = added(recommender, row, number)
        personal = recommender.personal(np.array([row], np.int32))[0, number]
        scale = recommender.GAIN if isinstance(recommender, Als) else 1
        assert scale * adds.sum() == pytest.approx(personal, abs=2e-3)
        named = item.explanation.evidence[0]
        most = recommender.run.catalog.item_ids[items[int(np.argmax(adds))]]
        assert named.reference == most
        assert named.weight == pytest.approx(adds.max() / adds[adds > 0].sum(), rel=1e-3)


def added(recommender, row: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """What a user watched, and what each adds to the personal part of one item's score."""
    if isinstance(recommender, ItemToItem):
        mine = recommender._affinities[[row]].tocsr()
        relations = recommender._relations
        dense = relations if isinstance(relations, np.ndarray) else relations.toarray()
        return mine.indices, mine.data * dense[mine.indices, number]
    # Hu, Koren and Volinsky (2008), section 5, word by word.
    rows, items = recommender.watched.rows, recommender.watched.items
    given = recommender._confidences.data[rows == row].astype(float)
    mine, factors = items[rows == row], recommender._items.astype(float)
    confidence = np.ones(len(factors))
    confidence[mine] = np.abs(given)
    system = factors.T @ np.diag(confidence) @ factors + RIDGE * np.eye(FACTORS)
    weights = factors @ np.linalg.inv(system) @ factors.T
    return mine, weights[number, mine] * np.abs(given) * (given > 0)


def test_content_names_what_the_two_have_in_common():
    items = [
        Item(item_id="a", title="A", categories=["Comedy", "War"]),
        Item(item_id="b", title="B", categories=["Comedy", "War"]),
        Item(item_id="c", title="C", categories=["Comedy"]),
        Item(item_id="d", title="D", categories=["Drama"]),
        Item(item_id="e", title="E", categories=["Drama", "War"]),
    ]
    for item in (items[0], items[2]):
        item.attributes["director"] = "Sidney Pollack"
    recommender = Content()
    recommender.start(info(Catalog.of("v", items), 1))
    recommender.feedback_columns(columns(0, [(0, 0, Interaction.TYPE_RATE, 5.0)]))
    recommender.ready(1)
    said = recommender.reasons(0, np.array([1, 2, 3], np.int32))
    assert said[0].text == "Because you watched A. In common: Comedy, War."
    assert [one.reference for one in said[0].evidence] == ["a", "genre=Comedy", "genre=War"]
    assert [one.weight for one in said[0].evidence] == pytest.approx([1, 0.5, 0.5])
    assert said[1].text == "Because you watched A. In common: Comedy, Sidney Pollack."
    product = 1 / np.sqrt(2) + 0.25
    assert [one.weight for one in said[1].evidence] == pytest.approx(
        [1, 1 / np.sqrt(2) / product, 0.25 / product]
    )
    assert said[2] is None


def test_confidence_grows_with_how_much_better_than_usual_an_item_was_found():
    planted, rounds = small_world()
    recommender = taught(Als, planted, rounds, columns)
    given = recommender._confidences.data
    assert (np.abs(given) >= 1).all()
    assert (given < 0).any()
    five = given[recommender.watched.ratings == 5].mean()
    assert five > given[recommender.watched.ratings == 3].mean() + 0.5 * CONFIDENCE
