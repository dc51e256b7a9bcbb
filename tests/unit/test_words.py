"""The choice mind's words: a code for each, and words for each code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.datasets.generate import generate_world
from recarena.server.minds.choice import words
from recarena.server.minds.choice.feeling import (
    Feeling,
    Talk,
    decode,
    decode_talk,
    encode,
    encode_talk,
    mood,
    valence,
)
from recarena.server.minds.choice.utility import REASONS
from recarena.server.narration import Narrator
from recarena.server.types import EventKind, MemoryKind
from support.pages import played

GENRES = tuple(f"Genre{number}" for number in range(70))
reasons, valences, variants = (st.integers(0, most) for most in (len(REASONS) - 1, 3, 3))


def packed(reason: int, valence: int, variant: int, genre: int) -> int:
    one = (np.array([value], np.int16) for value in (reason, valence, variant, genre))
    (code,) = encode(*one)
    assert code.dtype == np.int16
    return int(code)


def packed_talk(answers: bool, own: bool, mood: int, partner_saw: bool, variant: int) -> int:
    (code,) = encode_talk(
        np.array([answers]), np.array([own]), np.array([mood], np.int16),
        np.array([partner_saw]), np.array([variant], np.int16),
    )  # fmt: skip
    assert code.dtype == np.int16
    return int(code)


@given(reasons, valences, variants, st.integers(-1, 62))
def test_a_feeling_comes_out_as_it_went_in(reason, valence, variant, genre):
    code = packed(reason, valence, variant, genre)
    assert code > 0
    assert decode(code) == Feeling(reason, valence, variant, genre)


@given(reasons, valences, variants, st.integers(63, 5000))
def test_a_genre_beyond_what_fits_is_packed_as_none(reason, valence, variant, genre):
    assert decode(packed(reason, valence, variant, genre)).genre == -1


@given(st.booleans(), st.booleans(), st.integers(0, 2), st.booleans(), variants)
def test_talk_comes_out_as_it_went_in(answers, own, mood, partner_saw, variant):
    code = packed_talk(answers, own, mood, partner_saw, variant)
    assert code > 0
    assert decode_talk(code) == Talk(answers, own, mood, partner_saw, variant)
    assert words.is_answer(code) == answers


def test_the_reasons_are_named_in_the_order_of_the_equation():
    assert words._ORDER == REASONS
    assert set(words._REASONS) == set(REASONS)


def is_sentence(text: str) -> bool:
    return text == text.strip() and "{" not in text and text[-1] in ".!?" and text[0].isupper()


def test_every_feeling_has_words():
    found = set()
    for reason in range(len(REASONS)):
        for liked in range(4):
            for variant in range(4):
                for genre in (-1, 0, 18, 62):
                    said = words.feeling(packed(reason, liked, variant, genre), GENRES)
                    assert is_sentence(said), said
                    found.add(said)
    assert len(found) > 100


def test_a_feeling_names_the_genre_that_it_is_about():
    about = packed(REASONS.index("taste"), 3, 0, 5)
    assert "genre5" in words.feeling(about, GENRES)
    assert "genre" not in words.feeling(packed(REASONS.index("taste"), 3, 0, -1), GENRES)


def test_all_talk_has_words_about_the_title():
    for answers in (False, True):
        for own in (False, True):
            for spirits in range(3):
                for saw in (False, True):
                    for variant in range(4):
                        code = packed_talk(answers, own, spirits, saw, variant)
                        posted = words.post(code, "Film {1}")
                        said, reply = words.chat(code, "Film {1}")
                        assert "Film {1}" in posted
                        assert "Film {1}" in said
                        assert is_sentence(reply)
                        assert all(is_sentence(one) for one in words.chat(code, None))


def test_stars_and_sentiments_have_their_tone():
    assert valence(np.arange(1, 6, dtype=np.int8)).tolist() == [0, 0, 1, 2, 3]
    found = mood(np.array([-2, -0.6, -0.5, 0, 0.5, 0.6, 2], np.float32))
    assert found.tolist() == [0, 0, 1, 1, 1, 2, 2]


@pytest.fixture(scope="module")
def told():
    return played(generate_world(120, 4, history_per_user=4), 8)


def test_every_event_of_a_run_is_a_sentence(told):
    world, results = told
    narrator = Narrator(world.catalog, world.population)
    seen: set[EventKind] = set()
    for result in results:
        for row in range(len(result.events)):
            kind = EventKind(int(result.events.kind[row]))
            seen.add(kind)
            sentence = narrator.sentence(result.events, row)
            assert sentence.startswith(narrator.name(int(result.events.user[row])))
            assert "{" not in sentence
            assert "“”" not in sentence, sentence
            spoken = kind in (EventKind.WATCH, EventKind.SEARCH, EventKind.CHAT, EventKind.POST)
            assert bool(narrator.words(result.events, row)) == spoken
    assert seen == set(EventKind) - {EventKind.CONVERSE, EventKind.INTERVENTION}


def test_every_memory_of_a_run_is_a_sentence(told):
    world, results = told
    narrator = Narrator(world.catalog, world.population)
    seen: set[MemoryKind] = set()
    for result in results:
        memories = result.memories
        for row in range(len(memories)):
            seen.add(MemoryKind(int(memories.kind[row])))
            text = narrator.memory(memories, row)
            source = int(memories.source[row])
            assert text.startswith("I " if source < 0 else narrator.name(source))
            assert "None" not in text
            assert "{" not in text
    of_minds = {MemoryKind.OBSERVED, MemoryKind.INSIGHT, MemoryKind.RECALL}
    assert seen == set(MemoryKind) - of_minds - {MemoryKind.TOLD}
