"""Six ways to tell a user of the same item: as long, each with what it should have and no more."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.explaining.asking import Written
from recarena.evaluation.explaining.generated import briefs, text_id, with_generated
from recarena.evaluation.stimuli.catalogue import Catalogue
from recarena.evaluation.stimuli.claiming import genres_in
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.faithfulness import Verdict, check
from recarena.evaluation.stimuli.falsehoods import FORMS, INVENTED, false_fact
from recarena.evaluation.stimuli.fillers import EMPTY, PRAISE, composed, near, neutral
from recarena.evaluation.stimuli.past import Past
from recarena.evaluation.stimuli.sampling import sample
from recarena.evaluation.stimuli.triples import Words
from recarena.evaluation.stimuli.wordings import wordings
from recarena.server import evidence as server_evidence
from support.explained_logs import explained_log, explained_page, many_users
from support.worlds import tiny_world

NAMES = ("Action", "Comedy", "Drama", "Film-Noir", "Science Fiction", "War", "Western")


def catalogue(*genres: str, title: str = "Alpha", year: int = 1994) -> Catalogue:
    """Of one item with these genres, and one with all others."""
    log = explained_log(
        [], titles=[title, "Beta"], years=[year, 0],
        genres=[genres, [one for one in NAMES if one not in genres]],
    )  # fmt: skip
    return Catalogue.of(log)


def told(real: Words, *genres: str, key: str = "k", **more) -> Words:
    return false_fact(real, 0, catalogue(*genres, **more), EMPTY, key)


# ------------------------------------------------------------------------------------ empty, praise
@given(st.integers(1, 500), st.integers(0, 9))
def test_empty_words_and_praise_are_as_long_as_the_real_ones_to_within_a_tenth(length, key):
    for pool in (EMPTY, PRAISE):
        text = composed(pool, length, key)
        assert near(text, length) or (pool is PRAISE and length < 3), (text, length)
        assert text == composed(pool, length, key)
    if length >= 20:
        assert abs(len(composed(EMPTY, length, key)) - length) <= length / 10


def test_other_keys_have_other_words():
    assert len({composed(EMPTY, 60, key) for key in range(20)}) > 10


def test_no_sentence_of_a_text_comes_twice_before_all_have_come():
    parts = re.split(r"(?<=[.!]) ", composed(EMPTY, 500, 1))
    assert len(parts) == len(set(parts)) > 5


def test_the_server_reads_praise_from_every_praise_and_nothing_from_empty_words():
    catalog = tiny_world().catalog

    def said(sentence):
        return server_evidence.told(sentence, (), "", "", catalog, ["Alpha"])

    for sentence in PRAISE:
        pieces = server_evidence.read(said(sentence))
        assert pieces == [("parsed", "praise")], sentence
    for sentence in EMPTY:
        assert not said(sentence), sentence


def test_sentences_without_facts_have_no_digits_and_no_words_of_praise():
    praise = re.compile(r"\b(?:good|best|great|love|enjoy\w*|must|perfect|you|your)\b", re.I)
    for sentence in EMPTY:
        assert not praise.search(sentence), sentence
        assert not re.search(r"\d", sentence), sentence
    assert not any(re.search(r"\d", sentence) for sentence in PRAISE)


def test_sentences_that_name_a_genre_or_a_title_of_the_catalogue_are_left_out():
    log = explained_log([], titles=["This Note (1999)", "Here", "Appears", "Remark, The"],
                        genres=[["Wording"], ["Text"], [], []])  # fmt: skip
    kept = neutral(EMPTY, Catalogue.of(log))
    assert 20 <= len(kept) < len(EMPTY)
    for sentence in kept:
        assert not re.search(r"\b(?:wording|text|this note|appears)\b", sentence, re.I), sentence
    assert any("here" in sentence for sentence in kept)  # too short to be told from any word


# -------------------------------------------------------------------------------------- false facts
def test_genres_in_the_words_become_ones_that_the_item_does_not_have():
    real = Words(
        "Because you liked Heat. In common: Comedy, drama.",
        (("item", "i1"), ("feature", "genre=Comedy"), ("feature", "genre=Drama")),
        "m",
        "en",
    )
    lie = told(real, "Comedy", "Drama")
    assert re.fullmatch(r"Because you liked Heat\. In common: \w[\w -]*, [a-z -]+\.", lie.text)
    named = [name for _, _, name in genres_in(lie.text, NAMES)]
    assert len(set(named)) == 2
    assert not {"Comedy", "Drama"} & set(named)
    assert lie.evidence == (("item", "i1"), *(("feature", f"genre={one}") for one in named))
    assert (lie.method, lie.locale) == ("m", "en")


def test_a_genre_that_only_the_words_name_is_sent_as_evidence_too():
    lie = told(Words("A western.", (("parsed", "genre=Western"), ("popularity", "3"))), "Western")
    (name,) = [name for _, _, name in genres_in(lie.text, NAMES)]
    assert lie.evidence == (("popularity", "3"), ("feature", f"genre={name}"))


def test_genres_in_titles_stay_as_they_are():
    real = Words("Similar to War Games (1983), which you watched: a comedy.", (("item", "i1"),))
    log = explained_log(
        [], titles=["Alpha", "War Games (1983)"], genres=[["Comedy"], ["War", "Drama"]]
    )
    lie = false_fact(real, 0, Catalogue.of(log), EMPTY, "k")
    assert lie.text.startswith("Similar to War Games (1983), which you watched: a ")
    assert "comedy" not in lie.text


@pytest.mark.parametrize("said", ["1994", "1990s", "2024"])
def test_years_beside_genres_become_wrong_ones(said):
    lie = told(Words(f"A comedy of {said}.", (("feature", "year=1994"),)), "Comedy")
    (found,) = re.findall(r"\b\d{4}s?\b", lie.text)
    assert found.endswith("s") == said.endswith("s")
    assert int(found[:4]) // 10 not in (199, int(said[:4]) // 10)
    (year,) = [value for kind, value in lie.evidence if value.startswith("year=")]
    assert year[5:8] != "199"


@given(st.integers(1900, 2029), st.booleans(), st.integers(1900, 2029), st.integers(0, 99))
def test_a_false_year_is_of_another_decade_than_the_named_and_the_true_one(said, decade, true, key):
    named = f"{said // 10 * 10}s" if decade else str(said)
    lie = told(Words(f"A comedy of {named}."), "Comedy", key=key, year=true)
    (found,) = re.findall(r"\b\d{4}s?\b", lie.text)
    assert found.endswith("s") == decade
    assert int(found[:4]) // 10 not in (said // 10, true // 10)
    assert 1850 <= int(found[:4]) <= 2029


@given(st.integers(8, 300), st.integers(0, 99))
def test_false_facts_in_the_place_of_words_without_a_genre_are_as_long(length, key):
    lie = told(Words("x" * length), "War", key=key)
    assert near(lie.text, length), (length, lie.text)
    assert genres_in(lie.text, NAMES)


def test_words_without_a_genre_become_a_sentence_that_claims_false_ones():
    lie = told(Words("Watched 57 times so far, by people who are like you.",
                     (("popularity", "57"),)), "War")  # fmt: skip
    named = [name for _, _, name in genres_in(lie.text, NAMES)]
    assert named
    assert "War" not in named
    assert lie.evidence == tuple(("feature", f"genre={one}") for one in named)


def test_an_item_of_every_genre_gets_an_invented_one():
    log = explained_log([], titles=["Alpha"], genres=[["Comedy", "War"]])
    lie = false_fact(Words("A comedy."), 0, Catalogue.of(log), EMPTY, "k")
    ((_, reference),) = lie.evidence
    assert reference.removeprefix("genre=") in INVENTED
    assert reference.removeprefix("genre=").lower() in lie.text.lower()


texts = st.lists(
    st.sampled_from(
        [*NAMES, *map(str.lower, NAMES), "a", "film", "of", "1994", "1980s", "Beta", ","]
    ),
    min_size=4, max_size=60,
).map(" ".join)  # fmt: skip


@given(texts, st.sets(st.sampled_from(NAMES), min_size=1, max_size=6), st.integers(0, 9))
def test_whatever_is_claimed_falsely_the_catalogue_contradicts(text, genres, key):
    log = explained_log(
        [],
        titles=["Alpha", "Beta"],
        years=[1994, 0],
        genres=[sorted(genres), [one for one in NAMES if one not in genres]],
    )
    catalogue, past = Catalogue.of(log), Past.of(log)
    lie = false_fact(Words(text), 0, catalogue, EMPTY, key)
    assert lie == false_fact(Words(text), 0, catalogue, EMPTY, key)
    checked = [one for one in check(lie, 0, 0, 1, past) if one.by_catalogue]
    assert any(one.kind == "genre" for one in checked)
    assert {one.verdict for one in checked} == {Verdict.CONTRADICTED}
    if not genres_in(text, NAMES):
        assert near(lie.text, len(text)), (text, lie.text)


# ----------------------------------------------------------------------------------------- of a run
def made(log, count=12, seed=1):
    triples = sample([log], count, seed, least=1, extra=0).triples
    return triples, wordings(triples, [log], seed)


def test_every_condition_of_a_run_is_as_long_as_the_real_words_and_keeps_method_and_locale():
    rows = [row for user in range(6) for row in explained_page(
        user, {0: f"Because you watched Beta Blues, user {user}.", 2: "A war film of 1987."},
        evidence={0: [("item", "i1"), ("method", "m"), ("locale", "en")]},
    )]  # fmt: skip
    log = explained_log(rows, users="abcdef", years=[1994, 0, 1987, 0, 0])
    triples, told = made(log)
    for one in triples:
        words = told[one.id]
        assert set(words) == set(Condition)
        assert words[Condition.NONE] is None
        assert words[Condition.REAL] == one.explanation
        for condition in (Condition.PLACEBO, Condition.HYPE):
            found = words[condition]
            assert found is not None
            assert found.evidence == ()
            assert near(found.text, len(one.explanation.text))
            assert (found.method, found.locale) == (one.explanation.method, one.explanation.locale)
    assert told == made(log)[1]
    assert told != made(log, seed=2)[1]


def test_another_users_words_are_of_the_same_item_where_another_user_got_others():
    triples, told = made(many_users(4, items=3), count=9)
    for one in triples:
        words = told[one.id][Condition.SHUFFLED]
        assert words is not None
        _, run, user, item = words.text.rstrip(".").split()
        assert (run, item) == ("r", one.item_id[1:])
        assert user != one.user_id[1:]


def test_words_that_everybody_gets_for_the_item_give_way_to_those_for_another():
    rows = [row for user in range(3) for row in explained_page(user, {0: "All.", 1: "Other."})]
    triples, told = made(explained_log(rows, users="abc"))
    for one in triples:
        words = told[one.id][Condition.SHUFFLED]
        assert words is not None
        assert words.text != one.explanation.text


def test_where_all_words_are_the_same_they_are_another_users_all_the_same():
    rows = [row for user in range(2) for row in explained_page(user, {0: "All."})]
    triples, told = made(explained_log(rows))
    assert [told[one.id][Condition.SHUFFLED] for one in triples] == [Words("All.")] * 2


def test_a_user_alone_has_nobody_elses_words():
    triples, told = made(explained_log(explained_page(0, {0: "Mine.", 1: "Mine, too."})))
    assert [told[one.id][Condition.SHUFFLED] for one in triples] == [None, None]


def test_words_of_another_recommender_are_never_shuffled_in():
    rows = [row for user in range(4) for row in explained_page(user, {0: f"From {user % 2}."})]
    triples, told = made(explained_log(rows, users="abcd", recommenders=("x", "y")))
    for one in triples:
        assert told[one.id][Condition.SHUFFLED] == one.explanation


# ---------------------------------------------------------------------------------- language models
def generated(texts: dict[Condition, str], missing: dict[str, str] | None = None):
    rows = [
        row for user in range(2) for row in explained_page(user, {0: "It is a comedy, really."})
    ]
    log = explained_log(rows)
    triples, templates = made(log, count=1)
    (one,) = triples
    written = Written({text_id(one, name): text for name, text in texts.items()}, missing or {})
    found = with_generated(triples, [log], templates, written, 1)
    return found, found.wordings[one.id], templates[one.id], briefs(triples, [log], templates, 1)


def test_texts_of_a_model_that_are_what_was_asked_for_take_the_templates_places():
    texts = {
        Condition.PLACEBO: "These are a few words ..",
        Condition.HYPE: "You have to see this ..",
        Condition.FALSE_FACT: "It is a western, a war..",
    }
    found, words, _, _ = generated(texts)
    assert {name: words[name] and words[name].text for name in texts} == texts
    assert found.kept == dict.fromkeys(texts, 1)
    assert not found.fallbacks
    lie = words[Condition.FALSE_FACT]
    assert lie
    assert lie.evidence == (("feature", "genre=War"), ("feature", "genre=Western"))
    assert words[Condition.HYPE].evidence == ()


@pytest.mark.parametrize(
    ("condition", "text", "why"),
    [
        (Condition.PLACEBO, "Some words.", "length"),
        (Condition.PLACEBO, "This drama is words only.", "genre"),
        (Condition.PLACEBO, "You will enjoy these word", "praise"),
        (Condition.PLACEBO, "There are 3 words in here", "number"),
        (Condition.HYPE, "Best since Beta Blues, oh", "title"),
        (Condition.HYPE, "The best drama there is!!", "genre"),
        (Condition.FALSE_FACT, "A comedy and a western ..", "true fact"),
        (Condition.FALSE_FACT, "It is of some other kind.", "no false fact"),
    ],
)
def test_texts_of_a_model_that_are_something_else_give_way_to_templates(condition, text, why):
    found, words, templates, _ = generated({condition: text})
    assert words[condition] == templates[condition]
    assert found.fallbacks[condition] == {why: 1}
    assert condition not in found.kept


def test_why_a_model_wrote_nothing_is_counted():
    found, words, templates, wanted = generated({}, {"t0001/hype": "REFUSED"})
    assert found.fallbacks["hype"] == {"REFUSED": 1}
    assert found.fallbacks["placebo"] == {"UNREADABLE": 1}
    assert words == templates
    assert [one.text_id for one in wanted] == ["t0001/placebo", "t0001/hype", "t0001/false-fact"]
    for one in wanted:
        assert len(one.brief) <= 1000
        assert "between 21 and 25 characters" in one.brief
        assert one.max_chars == 25
    assert wanted[0].material == ""
    assert wanted[2].material == "It is a comedy, really."
    assert re.search(r"only these genres.*: \w+", wanted[2].brief)


def test_no_false_facts_are_written_where_they_are_not_asked_about():
    rows = [row for user in range(9) for row in explained_page(user, {0: "A.", 1: "B.", 2: "C."})]
    log = explained_log(rows, users="u" * 9, quality=[-1.0, 0.5, 0.4, 0.3, 0.2])
    triples = sample([log], 6, 1, least=1, extra=0.5).triples
    asked = [one.text_id for one in briefs(triples, [log], wordings(triples, [log], 1), 1)]
    assert [name for name in asked if name[0] == "b"]
    assert not [name for name in asked if name[0] == "b" and name.endswith("false-fact")]
    found = with_generated(triples, [log], wordings(triples, [log], 1), Written({}, {}), 1)
    assert found.fallbacks["false-fact"] == {"UNREADABLE": 6}


def test_a_sentence_of_false_genres_has_a_place_for_each():
    assert all(form.count("{}") == genres for form, genres in FORMS)
    assert {genres for _, genres in FORMS} == {1, 2, 3}
