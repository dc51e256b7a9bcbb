"""Who can only describe a film finds it by its meaning, and who knows its title as before."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.recommenders import hybrid_search as module
from recarena.recommenders.embedding import (
    DIMENSIONS,
    CompatibleEmbedder,
    LatentSemantics,
    NoVectors,
    leading_directions,
)
from recarena.recommenders.hybrid_search import HybridSearch, fused
from recarena.recommenders.model_options import EmbedderChoice
from recarena.recommenders.search import CatalogSearch
from recarena.recommenders.titles import words
from recarena.v1.types_pb2 import Item
from support.figures import report
from support.film_catalogue import DESCRIBED, films
from support.llm_stub import StubProcess


@pytest.fixture(scope="module")
def embedder() -> LatentSemantics:
    return LatentSemantics(films())


@pytest.fixture(scope="module")
def hybrid(embedder: LatentSemantics) -> Iterator[HybridSearch]:
    search = HybridSearch(films(), lambda: embedder)
    yield search
    search.close()


@pytest.fixture(scope="module")
def full_text() -> Iterator[CatalogSearch]:
    search = CatalogSearch(films())
    yield search
    search.close()


def reciprocal_rank(items: np.ndarray, item: int) -> float:
    (place,) = np.nonzero(items == item)
    return 1 / (1 + int(place[0])) if len(place) else 0.0


def mean_rank(search: CatalogSearch, texts: Sequence[str], items: Sequence[int]) -> float:
    found = search.find(texts)
    return float(
        np.mean([reciprocal_rank(one.items, item) for one, item in zip(found, items, strict=True)])
    )


def of_title(title: str) -> int:
    numbers = [n for n, item in enumerate(films()) if item.title == title]
    return numbers[-1]


def remembered(seed: int, *, typo: bool) -> tuple[list[str], list[int]]:
    """Three words of a description each, one of them without a letter if `typo`."""
    rng, texts, items = random.Random(seed), [], []
    for number, item in list(enumerate(films()))[seed::8]:
        long = [word for word in words(item.description).split() if len(word) > 3]
        if len(long) < 4:
            continue
        chosen = rng.sample(long, 3)
        if typo:
            cut = rng.randrange(1, len(chosen[1]))
            chosen[1] = chosen[1][:cut] + chosen[1][cut + 1 :]
        texts.append(" ".join(chosen))
        items.append(number)
    return texts, items


def parts_of_titles() -> tuple[list[str], list[int]]:
    long = [(n, item.title.split()) for n, item in enumerate(films())]
    chosen = [(n, title) for n, title in long if len(title) > 2][::2]
    return [" ".join(title[1:]) for _, title in chosen], [n for n, _ in chosen]


def test_what_is_described_is_found_sooner_than_by_full_text_alone(hybrid, full_text):
    kinds = {
        "described in other words": (list(DESCRIBED.values()), [of_title(t) for t in DESCRIBED]),
        "three words of the description": remembered(1, typo=False),
        "three words, one mistyped": remembered(0, typo=True),
        "part of the title": parts_of_titles(),
    }
    ranks = {}
    for kind, (texts, items) in kinds.items():
        ranks[kind] = both = mean_rank(full_text, texts, items), mean_rank(hybrid, texts, items)
        report(f"known item: {kind}", queries=len(texts), full_text=round(both[0], 3),
               hybrid=round(both[1], 3))  # fmt: skip
    described = ranks.pop("described in other words")
    assert described[1] > described[0] + 0.25
    part_of_title = ranks.pop("part of the title")
    assert part_of_title[1] > part_of_title[0] - 0.01
    assert all(by_both > by_words + 0.1 for by_words, by_both in ranks.values())


def test_exact_titles_and_genres_are_found_as_by_full_text(hybrid, full_text):
    some = films()[::6]
    texts = [item.title for item in some]
    texts += [text.lower().removeprefix("the ") for text in texts]
    texts += [f"{item.title} ({int(item.attributes['year'])})" for item in some]
    pairs = list(zip(hybrid.find(texts), full_text.find(texts), strict=True))
    for number, (one, other) in enumerate(pairs):
        assert other.pinned, texts[number]
        assert one.pinned == other.pinned
        assert one.items[: one.pinned].tolist() == other.items[: one.pinned].tolist()
    for genre in ("sci-fi", "musical comedies", "horror movies"):
        one, other = hybrid.find([genre])[0], full_text.find([genre])[0]
        assert one.items.tolist() == other.items.tolist()


def test_words_nobody_shares_can_mean_the_same():
    """A planted catalogue: `moggy` stands in one description, beside what cats stand beside."""
    rng = random.Random(1)
    about = {
        "cats": ["whiskers", "purring", "kitten", "paws", "milk", "mouse", "basket", "claws"],
        "ships": ["sailors", "harbour", "waves", "captain", "anchor", "storm", "deck", "sails"],
    }
    items = [
        Item(
            item_id=f"{kind}{n}", title=f"{kind[0]}{n}", description=" ".join(rng.sample(known, 5))
        )
        for kind, known in about.items()
        for n in range(20)
    ]
    items[7].description += " moggy"
    search, alone = HybridSearch(items, lambda: LatentSemantics(items)), CatalogSearch(items)
    assert alone.find(["moggy"])[0].items.tolist() == [7]
    found = search.find(["moggy"])[0].items.tolist()
    assert found[0] == 7
    assert len(found) > 3
    assert all(item < 20 for item in found[:4])
    search.close()
    alone.close()


def test_fusion_adds_reciprocal_ranks():
    one, other = np.array([4, 2, 0]), np.array([2, 1])
    scores = fused(one, other, 6)
    assert scores.tolist() == [1 / 63, 1 / 62, 1 / 62 + 1 / 61, 0, 1 / 61, 0]


def test_the_year_that_is_asked_for_comes_first():
    items = [
        Item(item_id="a", title="The Ape (1933)", description="A giant ape climbs a tower."),
        Item(item_id="b", title="Giant (1976)", description="An ape is brought to New York."),
        Item(item_id="c", title="Other (1990)", description="Nothing of the kind."),
    ]
    search = HybridSearch(items, lambda: LatentSemantics(items))
    assert search.find(["giant ape 1976"])[0].items[0] == 1
    assert search.find(["giant ape 1933"])[0].items[0] == 0
    search.close()


def test_many_searches_at_once_find_what_each_finds_alone(hybrid, embedder):
    texts = [*list(DESCRIBED.values())[::4], "a", "zxqv", *remembered(2, typo=True)[0][:10]]
    alone = HybridSearch(films(), lambda: embedder)
    for text, together in zip(texts, hybrid.find(texts), strict=True):
        assert alone.find([text])[0].items.tolist() == together.items.tolist(), text
    alone.close()


@pytest.mark.parametrize("text", ["", "   ", "?!", "zxqv wkkj", "🎬"])
def test_what_is_nowhere_finds_nothing(hybrid, text: str):
    assert hybrid.find([text])[0].items.tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_words_are_taken(hybrid, text: str):
    items = hybrid.find([text])[0].items.tolist()
    assert len(set(items)) == len(items)
    assert set(items) <= set(range(len(films())))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_smallest_catalogues_are_searched(count: int):
    items = [
        Item(item_id=f"i{n}", title="" if n else "Alien", description="") for n in range(count)
    ]
    search = HybridSearch(items, lambda: LatentSemantics(items))
    assert search.find(["an alien ship"])[0].items.tolist() == [0][:count]
    search.close()


def test_closing_removes_both_indexes(monkeypatch, tmp_path: Path, embedder):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    search = HybridSearch(films(), lambda: embedder)
    search.find(["cowboy"])
    assert len(list(tmp_path.iterdir())) == 2
    search.close()
    assert list(tmp_path.iterdir()) == []
    search.find(["cow boy"])
    search.close()
    assert list(tmp_path.iterdir()) == []


def test_vectors_follow_from_the_catalogue_alone(embedder):
    again = LatentSemantics(films())
    assert (again.items() == embedder.items()).all()
    assert embedder.items().shape == (len(films()), DIMENSIONS)
    assert np.allclose(np.linalg.norm(embedder.items(), axis=1), 1)
    texts = list(DESCRIBED.values())
    together = embedder.texts(texts)
    for row, text in enumerate(texts):
        assert np.allclose(embedder.texts([text])[0], together[row], atol=1e-6)


def test_the_leading_directions_are_the_singular_vectors():
    from scipy.sparse import csr_array

    rng = np.random.default_rng(3)
    dense = rng.normal(size=(40, 12)) @ np.diag(2.0 ** -np.arange(12)) @ rng.normal(size=(12, 60))
    found = leading_directions(csr_array(dense), 5)
    exact = np.linalg.svd(dense)[2][:5].T
    assert np.allclose(np.abs(found.T @ exact), np.eye(5), atol=1e-4)
    assert leading_directions(csr_array(np.zeros((3, 4))), 5).shape == (4, 0)


# ---------------------------------------------------------------------- a model behind a server


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProcess]:
    with StubProcess() as process:
        yield process


def choice(stub: StubProcess) -> EmbedderChoice:
    return EmbedderChoice("stub-embedder", f"{stub.url}/v1")


def test_a_server_of_embeddings_is_asked_in_batches(stub: StubProcess):
    server = CompatibleEmbedder(choice(stub), films())
    before = stub.counts()["total"]
    vectors = server.items()
    assert vectors.shape == (len(films()), 64)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert stub.counts()["total"] - before == -(-len(films()) // 128)
    search = HybridSearch(films(), lambda: server)
    number = of_title("RoboCop")
    (found,) = search.find([films()[number].description])
    assert found.items[0] == number
    search.close()


def test_where_the_server_fails_search_goes_on_by_full_text(stub: StubProcess, caplog, full_text):
    server = CompatibleEmbedder(choice(stub), films())
    vectors = server.items()
    server.items = lambda: vectors  # type: ignore[method-assign]
    search = HybridSearch(films(), lambda: server)
    texts = list(DESCRIBED.values())[:3]
    stub.set(server_error=1.0)
    try:
        found = search.find(texts)
        search.find(["another one, later"])
    finally:
        stub.set(server_error=0.0)
    for one, other in zip(found, full_text.find(texts), strict=True):
        assert one.items.tolist() == other.items.tolist()
    assert search.without_vectors == 4
    (line,) = [r.getMessage() for r in caplog.records if r.name == module.__name__]
    assert line.startswith("searching by full text alone: no vectors from stub-embedder at http")
    search.close()


def test_a_server_that_is_not_there_is_an_error_in_one_line(monkeypatch):
    nowhere = EmbedderChoice("m", "http://127.0.0.1:9/v1")
    server = CompatibleEmbedder(nowhere, films())
    monkeypatch.setattr(server, "_client", server._client.with_options(max_retries=0))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(NoVectors, match=r"no vectors from m at http://127\.0\.0\.1:9/v1: API"):
        server.items()
