"""What explanations claim: by evidence that was sent, and by their words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server import evidence
from recarena.server.catalog import Catalog
from recarena.server.evidence import FALSE, MAX_PIECES, MAX_REFERENCE_CHARS, PRAISE
from recarena.server.rpc import answers
from recarena.v1.types_pb2 import Evidence, Explanation
from support.worlds import tiny_world

PLAIN = tiny_world().catalog
DRAMA, COMEDY, SCI_FI, NOIR = range(4)
KINDS = {"item": Evidence.KIND_ITEM, "feature": Evidence.KIND_FEATURE,
         "popularity": Evidence.KIND_POPULARITY, "social": Evidence.KIND_SOCIAL}  # fmt: skip


def catalog(*titles: str) -> Catalog:
    return replace(PLAIN, titles=[*titles, *PLAIN.titles[len(titles) :]])


def explained(text: str, *sent: tuple[str, str], method: str = "", locale: str = "") -> Explanation:
    pieces = [Evidence(kind=KINDS[kind], reference=reference) for kind, reference in sent]
    return Explanation(text=text, evidence=pieces, method=method, locale=locale)


def claimed(text: str, *sent: tuple[str, str]) -> tuple[int, ...]:
    return answers.told(explained(text, *sent), PLAIN)[2]


# ------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("text", "genres"),
    [
        ("A comedy, and a DRAMA.", (COMEDY, DRAMA)),
        ("Sci-Fi", (SCI_FI,)),
        ("sci fi for you", (SCI_FI,)),
        ("good sci\u2011fi", (SCI_FI,)),
        ("A film-noir, a film noir.", (NOIR,)),
        ("a film\nnoir", (NOIR,)),
        ("Comedy comedy comedy", (COMEDY,)),
        ("A melodrama with comedians and tragicomedy", ()),
        ("Noir film, sci, fi", ()),
        ("", ()),
    ],
)
def test_genres_are_claimed_by_whole_words(text: str, genres: tuple[int, ...]):
    assert claimed(text) == genres


def test_a_genre_with_an_apostrophe_is_found_with_any():
    names = ("Children's", "Drama", "(no genres listed)", "Noir", "Film-Noir")
    for apostrophe in ("'", "\u2019", "\u02bc"):
        assert evidence.genres_in(f"CHILDREN{apostrophe}S hour", names) == ["Children's"]
    assert evidence.genres_in("For children. Listed: no genres.", names) == []
    # The longer name is meant.
    assert evidence.genres_in("film noir", names) == ["Film-Noir"]


@pytest.mark.parametrize(
    "text",
    ["A masterpiece.", "MUST-SEE", "a must see", "The best film ever made",
     "best movie of all time", "You will love it!", "you\u2019ll absolutely love this",
     "Unforgettable", "Five stars!", "5-star fun", "10/10", "Superb.", "Wow!"],
)  # fmt: skip
def test_words_of_praise_are_one_claim(text: str):
    assert claimed(text) == (PRAISE,)
    assert claimed(f"{text} And again: {text}") == (PRAISE,)


@pytest.mark.parametrize(
    "text",
    ["This film is in the catalogue.", "Because you watched X.", "Watched 57 times so far.",
     "You must seek it out.", "Rated 3.8 by 15 stars of the stage.", "The best films of 1990."],
)  # fmt: skip
def test_what_does_not_praise_claims_nothing(text: str):
    assert claimed(text) == ()


def test_words_are_read_where_no_genre_was_sent():
    assert claimed("A drama.", ("item", "film-1")) == (DRAMA,)
    assert claimed("A drama.", ("feature", "year=1999")) == (DRAMA,)
    assert claimed("A drama.", ("feature", "genre=Comedy")) == (COMEDY,)
    assert claimed("A drama.", ("feature", "Genre = nonsense")) == (FALSE,)


def test_praise_is_not_hidden_by_a_genre_that_is_sent():
    assert claimed("A masterpiece.", ("feature", "genre=Comedy")) == (COMEDY, PRAISE)
    assert claimed("Watch it.", ("feature", "Praise")) == (PRAISE,)


def test_titles_claim_nothing():
    made = catalog("Comedy of Errors, The (1990)", "A Space Drama")
    text = "“The Comedy of Errors”, because you watched A Space Drama."
    sent = ("item", "film-1")
    assert answers.told(explained(text, sent), made, 0)[2] == ()
    assert answers.told(explained(text, sent), made)[2] == (COMEDY,)
    assert answers.told(explained(text), made, 0)[2] == (DRAMA,)
    assert answers.told(explained(f"{text} A comedy!", sent), made, 0)[2] == (COMEDY,)


# ------------------------------------------------------------------------------ the log


def test_method_and_locale_are_kept_and_claim_nothing():
    made = explained("Like X.", ("item", "film-1"), method="item\nknn\u202e", locale="en")
    text, pieces, claims = answers.told(made, PLAIN)
    assert text == "Like X."
    assert evidence.read(pieces) == [("item", "film-1"), ("method", "item knn"), ("locale", "en")]
    assert claims == ()
    genre = explained("Like X.", method="genre=Comedy", locale="praise")
    assert answers.told(genre, PLAIN)[2] == ()


def test_an_explanation_without_any_of_it_has_no_evidence():
    assert answers.told(explained("Like X."), PLAIN) == ("Like X.", "", ())


def test_logs_of_before_words_were_read_claim_what_they_claimed():
    old = '[["feature","genre=Comedy"],["item","film-1"],["feature","genre=None"]]'
    assert evidence.claims(old, PLAIN) == (COMEDY, FALSE)
    assert evidence.claims("", PLAIN) == ()


WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40) | st.sampled_from(
    ["genre=Comedy", "genre=Nonsense", "praise", "film-1", "A drama.", "Masterpiece"]
)


@given(
    text=st.lists(WORDS, max_size=4).map(" ".join),
    sent=st.lists(st.tuples(st.sampled_from(sorted(KINDS)), WORDS), max_size=30),
    method=WORDS,
    locale=WORDS,
)
def test_what_was_told_is_bounded_and_read_as_it_was_written(text, sent, method, locale):
    made = explained(text, *sent, method=method * 20, locale=locale)
    shown, pieces, claims = answers.told(made, PLAIN, 3)
    read = evidence.read(pieces)
    assert len(read) <= MAX_PIECES
    assert all(len(reference) <= MAX_REFERENCE_CHARS for _, reference in read)
    assert evidence.written(read) == pieces
    assert evidence.claims(pieces, PLAIN) == claims
    assert {kind for kind, _ in read} <= {*KINDS, "parsed", "method", "locale"}
    assert read.count(("parsed", "praise")) <= 1
    # What was cleaned already comes out as it is.
    assert answers.told(explained(shown, *sent, method=method * 20, locale=locale), PLAIN, 3) == (
        shown, pieces, claims,
    )  # fmt: skip
