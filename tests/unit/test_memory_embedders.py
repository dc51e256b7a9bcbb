"""Embedders: how near two texts are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.datasets.specs import open_world
from recarena.server.errors import InputError
from recarena.server.memory.embedders import CachedEmbedder, HashEmbedder, MiniLmEmbedder
from support import figures

HASH = HashEmbedder()
TALK = (
    "The ending of Heat stayed with me for days.",
    "Bob says the new Korean thriller is too violent for him.",
    "I am tired of superhero sequels this year.",
    "We laughed all evening at that silent comedy.",
    "My sister recommended a documentary about whales.",
    "The soundtrack of that western is wonderful.",
    "I fell asleep halfway through the space opera.",
    "Old black and white films are my favourite for rainy Sundays.",
    "Eve warned me that the horror film is not for children.",
    "I want to look for something with Ingrid Bergman.",
    "The acting was wooden but the costumes were lovely.",
    "A colleague keeps quoting lines from a gangster picture.",
    "That musical made my grandmother cry.",
    "I do not trust critics who hate animation.",
    "The twist came too early and ruined the mystery.",
    "Nobody at work had heard of Kurosawa.",
    "I might see the trilogy again over Christmas.",
    "The subtitles were badly translated.",
    "Car chases bore me to death.",
    "It reminded me of summers at my uncle's farm.",
    "I prefer slow dramas about families.",
    "The cinema was freezing and half empty.",
    "Her performance deserves an award.",
    "Too many jump scares and no story at all.",
    "I was surprised how tender the robot was.",
    "The dialogue sounded like a lecture.",
    "A perfect heist, cleverly told.",
    "My neighbour thinks war movies glorify violence.",
    "I recommended Amarcord to Ann and she liked it.",
    "The page was full of things I have already seen.",
)
AGAIN = (
    ("Eve told me that Heat is brilliant", "Eve said Heat was brilliant"),
    ("The soundtrack of Rio Bravo is lovely, a great western",
     "I loved the soundtrack of the western Rio Bravo"),
    ("Bob finds horror films too violent", "Horror films are too violent for Bob"),
    ("I am tired of superhero sequels", "Superhero sequels make me tired"),
    ("My sister recommended a documentary about whales",
     "A whale documentary was recommended by my sister"),
    ("The acting was wooden but the costumes were lovely", "Lovely costumes, wooden acting"),
    ("Ann wants to see old Japanese samurai films",
     "Old samurai films from Japan are what Ann wants to see"),
    ("The twist ruined the mystery", "That mystery was ruined by its twist"),
    ("I fell asleep during the space opera", "That space opera made me fall asleep"),
    ("I prefer slow family dramas", "Slow dramas about families are what I prefer"),
    ("Kurosawa is my favourite director", "My favourite director is Kurosawa"),
    ("I found Heat far too long", "Heat was too long for me"),
    ("Something to cheer me up after work", "A film that makes one happy in the evening"),
)  # fmt: skip
"""The last says the same in other words, which a lexical embedder cannot know."""


def cosine(one: str, other: str) -> float:
    vectors = HASH.embed_now([one, other])
    return float(vectors[0] @ vectors[1])


def share_similar(texts: Sequence[str]) -> float:
    """Of the pairs of texts that are about different things."""
    vectors = HASH.embed_now(texts)
    pairs = [float(vectors[a] @ vectors[b]) for a, b in combinations(range(len(texts)), 2)]
    return float(np.mean(np.array(pairs) >= HASH.similar_above))


@given(st.text(max_size=80))
def test_a_vector_has_length_one_or_zero(text: str):
    length = float(np.linalg.norm(HASH.embed_now([text])[0]))
    assert length == pytest.approx(1, abs=1e-5) or length == 0


async def test_a_text_has_the_same_vector_always_and_in_any_company():
    alone = HASH.embed_now(["The Lion King"])[0]
    assert np.array_equal(HashEmbedder().embed_now(["x", "The Lion King"])[1], alone)
    assert np.array_equal((await HASH.embed(["The Lion King"]))[0], alone)
    assert HASH.embed_now([]).shape == (0, HASH.dimension)
    assert np.flatnonzero(HASH.embed_now(["heat"])[0])[:4].tolist() == [65, 96, 114, 177]


def test_texts_are_near_where_they_share_words():
    assert cosine("old westerns", "Old WESTERNS!") == pytest.approx(1, abs=1e-5)
    assert cosine("I love old westerns", "old western tales") > 0.4
    assert abs(cosine("I love old westerns", "Quantum computers need cooling")) < 0.1
    assert cosine("it was so very much", "and that is all") == 0
    assert HASH.is_lexical


def test_at_most_one_unrelated_pair_in_a_hundred_is_taken_for_similar_but_most_paraphrases_are():
    catalog = open_world("new:users=20,seed=1").catalog
    titles = [catalog.label(item) for item in range(300)]
    watches = [f"I watched {t} and gave it {n % 5 + 1} of 5 stars." for n, t in enumerate(titles)]
    felt = [f"{one} {TALK[n % len(TALK)]}" for n, one in enumerate(watches)][: len(TALK)]
    shares = {"talk": share_similar(TALK), "watches": share_similar(watches),
              "watches with feelings": share_similar(felt)}  # fmt: skip
    again = float(np.mean([cosine(*pair) >= HASH.similar_above for pair in AGAIN]))
    figures.report("similar to the hash embedder", **shares, paraphrases=again)
    assert max(shares.values()) <= 0.01
    assert again > 0.7


class Counting(HashEmbedder):
    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def embed_now(self, texts: Sequence[str]):
        self.asked.append(list(texts))
        return super().embed_now(texts)


async def test_a_cached_text_is_embedded_once():
    inner = Counting()
    cached = CachedEmbedder(inner)
    first = await cached.embed(["heat", "", "heat", "alien"])
    again = cached.embed_now(["alien", "heat", ""])
    assert inner.asked == [["heat", "alien"]]
    assert np.array_equal(first[[3, 0, 1]], again)
    assert not first[1].any()
    assert np.array_equal(first, HASH.embed_now(["heat", "", "heat", "alien"]))
    assert (cached.id, cached.dimension, cached.similar_above, cached.is_lexical) == (
        HASH.id, HASH.dimension, HASH.similar_above, True,
    )  # fmt: skip


async def test_a_full_cache_still_answers_right():
    cached = CachedEmbedder(Counting(), size=3)
    for texts in (["a1", "b2"], ["c3", "a1", "d4"], ["e5", "e6", "e7", "e8"], ["a1", "e5"]):
        assert np.array_equal(await cached.embed(texts), HASH.embed_now(texts))
        assert len(cached._known) <= 4


def test_minilm_without_its_files_says_which_one_is_missing(tmp_path: Path):
    with pytest.raises(InputError, match=r"model\.onnx") as caught:
        MiniLmEmbedder(tmp_path)
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        MiniLmEmbedder(tmp_path)


def test_minilm_without_its_packages_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime"):
        MiniLmEmbedder(tmp_path)
