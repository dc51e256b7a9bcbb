"""Every claim of an explanation is held against the run as it stood before it was shown."""

from __future__ import annotations

import pytest

from recarena.evaluation.runs.events import EventKind
from recarena.evaluation.stimuli.catalogue import Catalogue, spellings
from recarena.evaluation.stimuli.claiming import Claim, Kind, claims_of
from recarena.evaluation.stimuli.faithfulness import Checked, Verdict, check, counted
from recarena.evaluation.stimuli.past import Past
from recarena.evaluation.stimuli.triples import Words
from support.explained_logs import TITLES, explained_log
from support.run_logs import event, page

YES, NO, OPEN = Verdict.SUPPORTED, Verdict.CONTRADICTED, Verdict.UNVERIFIABLE
ALPHA, BETA, GAMMA, WAR_GAMES, EPSILON = range(5)


def a_log(**more):
    """u0 watched Alpha before the run and Beta Blues in round 1; u1 the latter in rounds 1 and 2.
    u1 praised War Games in round 1, and ran Epsilon down."""
    rows = [
        *page(0, [BETA], {BETA: 4.0}, round=1),
        *page(1, [BETA], {BETA: 4.0}, round=1),
        event(1, EventKind.POST, item=WAR_GAMES, value=1.0, round=1),
        event(1, EventKind.POST, item=EPSILON, value=-1.0, round=1),
        *page(1, [BETA], {BETA: 4.0}, round=2),
    ]
    values = {"rounds": 2, "history": [(0, ALPHA, 4.0)], "years": [1994, 0, 1987, 1983, 0],
              "popularity": [30.0, 20.0, 10.0, 10.0, 0.0], "ties": [(0, 1)], **more}  # fmt: skip
    return explained_log(rows, **values)


def checked(text="", *evidence, item=BETA, user=0, round=2, **more):
    """(kind, value, verdict) of each claim."""
    found = check(Words(text, evidence), item, user, round, Past.of(a_log(**more)))
    return [(one.kind, one.value, one.verdict) for one in found]


def verdict(*evidence, text="", **more):
    ((_, _, found),) = checked(text, *evidence, **more)
    return found


# ------------------------------------------------------------------------------------- of the item
def test_genres_are_the_catalogues():
    assert verdict(("feature", "genre=Comedy")) == YES
    assert verdict(("feature", "genre = comedy")) == YES
    assert verdict(("feature", "genre=War")) == NO
    assert verdict(("feature", "genre=Opera")) == NO
    assert verdict(("parsed", "genre=Drama")) == YES
    assert verdict(("feature", "genre=Comedy"), genres=[()] * 5) == OPEN


def test_genres_are_found_with_a_hyphen_or_a_blank_and_the_longer_name_is_meant():
    genres = [(), ("Sci-Fi", "War Drama"), ("War", "Drama"), (), ()]
    assert checked("A sci fi film.", genres=genres) == [("genre", "Sci-Fi", YES)]
    assert checked("A war-drama.", genres=genres) == [("genre", "War Drama", YES)]
    assert checked("Not wars, nor dramatic.", genres=genres) == []


def test_years_and_decades_are_the_catalogues_where_it_tells_them():
    assert verdict(("feature", "year=1994"), item=ALPHA) == YES
    assert verdict(("feature", "year=1995"), item=ALPHA) == NO
    assert verdict(("feature", "decade=1990"), item=ALPHA) == YES
    assert verdict(("feature", "decade=1980s"), item=ALPHA) == NO
    assert verdict(("feature", "year=1994"), item=BETA) == OPEN
    assert verdict(("feature", "year=1994"), item=ALPHA, years=()) == OPEN
    assert checked("Made in 1994.", item=ALPHA) == [("year", "1994", YES)]
    assert checked("A film of the 1980s.", item=ALPHA) == [("year", "1980s", NO)]


def test_what_the_catalogue_does_not_tell_cannot_be_verified():
    assert verdict(("feature", "budget=huge")) == OPEN
    assert verdict(("feature", "director=Mann")) == OPEN
    assert checked("Directed by Michael Mann.") == [("attribute", "director=Michael Mann", OPEN)]


# -------------------------------------------------------------------------------------- of the user
def test_what_was_watched_counts_from_the_round_after():
    assert verdict(("item", "i0"), item=BETA, round=1) == YES  # before the run
    assert verdict(("item", "i1"), item=ALPHA, round=1) == NO  # in this very round
    assert verdict(("item", "i1"), item=ALPHA, round=2) == YES
    assert verdict(("item", "i0"), user=1) == NO
    assert verdict(("item", "nowhere")) == NO


@pytest.mark.parametrize(
    "text",
    [
        "Because you watched Alpha (1994).",
        "Because you watched Alpha.",
        "because you've seen Alpha",
        "You recently liked “Alpha”!",
        "Similar to Alpha, which you watched.",
        "Like 'Alpha' (1994), that you have enjoyed.",
    ],
)
def test_titles_in_the_words_are_what_the_user_has_watched(text):
    assert [(kind, found) for kind, _, found in checked(text)] == [("watched", YES)]
    assert [found for _, _, found in checked(text, user=1)] == [NO]
    with_evidence = checked(text, ("item", "i0"))
    assert with_evidence == [("watched", "i0", YES)]  # the same claim


def test_several_titles_are_several_claims_and_unknown_ones_are_contradicted():
    assert checked("Because you watched Alpha, The Gamma and War Games.") == [
        ("watched", "Alpha", YES), ("watched", "The Gamma", NO), ("watched", "War Games", NO),
    ]  # fmt: skip
    assert checked('Because you watched "No Such Film".') == [("watched", "No Such Film", NO)]
    assert checked("Because you watched three of them.") == []


def test_nothing_is_claimed_inside_titles():
    text = "Because you watched War Games (1983): a drama."
    assert checked(text) == [("watched", "War Games", NO), ("genre", "Drama", YES)]
    assert checked("War Games: a drama.", item=WAR_GAMES) == [("genre", "Drama", YES)]
    assert checked("Near War Games.", ("item", "i3")) == [("watched", "i3", NO)]
    assert checked("A war of games.") == [("genre", "War", NO)]


def test_numbers_of_watches_may_be_off_by_a_tenth():
    assert verdict(("popularity", "20"), round=1) == YES
    assert verdict(("popularity", "22"), round=1) == YES
    assert verdict(("popularity", "23"), round=1) == NO
    assert verdict(("popularity", "18"), round=1) == YES
    assert verdict(("popularity", "17"), round=1) == NO
    assert verdict(("popularity", "24"), round=3) == YES  # 23 by then
    assert verdict(("popularity", "1"), item=EPSILON) == YES
    assert verdict(("popularity", "2"), item=EPSILON) == NO
    assert verdict(("popularity", "many")) == OPEN


def test_numbers_in_the_words_are_those_of_the_evidence():
    assert checked("Watched 20 times so far.", ("popularity", "20")) == [("popularity", "20", YES)]
    assert checked("Watched 1,000 times so far.") == [("popularity", "1000", NO)]
    assert checked("Watched once so far.", item=EPSILON) == [("popularity", "1", YES)]
    assert checked("Seen by 20 people.") == [("popularity", "20", YES)]


def test_places_and_popularity_without_a_number_are_held_against_all_items():
    assert verdict(("popularity", "#1"), item=ALPHA) == YES
    assert verdict(("popularity", "#3"), item=GAMMA) == YES
    assert verdict(("popularity", "#1"), item=EPSILON) == NO
    assert verdict(("popularity", ""), item=ALPHA) == YES
    assert verdict(("popularity", ""), item=GAMMA) == NO
    assert checked("It is popular.", item=ALPHA) == [("popularity", "", YES)]


def test_friends_are_those_of_the_network_and_have_watched_or_praised_it():
    assert verdict(("social", "u1"), item=BETA, round=2) == YES
    assert verdict(("social", "u1"), item=BETA, round=1) == NO  # not yet
    assert verdict(("social", "u1"), item=WAR_GAMES, round=2) == YES
    assert verdict(("social", "u1"), item=WAR_GAMES, round=1) == NO
    assert verdict(("social", "u1"), item=EPSILON, round=2) == NO  # ran it down
    assert verdict(("social", "u0"), item=BETA, user=1) == NO  # the tie has one direction
    assert verdict(("social", "nobody")) == NO
    assert verdict(("social", "u1"), ties=None) == OPEN


# ------------------------------------------------------------------------------------------ in sum
def test_each_claim_counts_once_wherever_it_stands():
    evidence = (("feature", "genre=Comedy"), ("parsed", "genre=comedy"))
    found = claims_of(Words("A comedy, a real Comedy.", evidence), BETA, Catalogue.of(a_log()))
    assert found == [Claim(Kind.GENRE, "Comedy", in_words=False)]


def test_praise_method_and_locale_claim_nothing():
    assert checked("A masterpiece, you will love it!", ("parsed", "praise"), ("feature", "praise"),
                   ("method", "m"), ("locale", "en")) == []  # fmt: skip


def test_counts_tell_the_catalogues_from_the_histories_and_open_claims_are_not_borne_out():
    words = Words("Because you watched Alpha. A comedy, a war.", (("feature", "budget=huge"),))
    found = counted(check(words, BETA, 0, 2, Past.of(a_log())))
    assert (found.made, found.supported, found.by_catalogue) == (4, 2, 1)
    assert found.share == 0.5
    assert counted([]).share is None


def test_a_checked_claim_says_why():
    (one,) = check(Words("A war."), BETA, 0, 2, Past.of(a_log()))
    assert one == Checked("genre", "War", NO, "its genres: Comedy, Drama", in_words=True)
    assert one.by_catalogue


def test_titles_are_found_as_people_write_them():
    assert spellings("Matrix, The (1999)") == ("Matrix, The (1999)", "Matrix, The", "The Matrix")
    assert spellings("Heat") == ("Heat",)
    assert Catalogue.of(a_log()).titled["The Gamma"] == [TITLES.index("Gamma, The (1987)")]
