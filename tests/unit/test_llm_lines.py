"""Answers in lines of text are read tolerantly, and never as something that was not said."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.llm.calls import Failure, Unreadable
from recarena.server.minds.llm import lines

PAGE = [
    "Heat (1995)", "Lion King, The (1994)", "Amarcord; or, I Remember", "King Kong (1933)",
    "King Kong (2005)", None, "11: The Movie", "The Movie",
]  # fmt: skip
ALL = ("WATCH", "NEXT", "SEARCH", "LEAVE")


def watched(rest: str) -> list[str | None]:
    return [PAGE[at] for at in lines.positions_of(rest, PAGE)]


def failure(read: object, *args: object, **named: object) -> Failure:
    assert callable(read)
    with pytest.raises(Unreadable) as caught:
        read(*args, **named)
    return caught.value.kind


@pytest.mark.parametrize(
    "text",
    [
        "[WATCH]:: Heat (1995)", "[watch]:: heat (1995)", "[ Watch ] :: Heat (1995)",
        "1. [WATCH]:: Heat (1995)", "(1) [WATCH]:: Heat (1995)", "- [WATCH]:: Heat (1995)",
        "> 1) [watch]:: Heat", '[WATCH]:: "Heat (1995)"', "[WATCH]:: “Heat”", "[WATCH]: Heat",
        "[WATCH] Heat", "[WATCH]： Heat", "[WATCH]：：Heat", "[WATCH]::Heat", "**[WATCH]:: Heat**",
        "**[WATCH]**:: Heat", "**[WATCH]::** Heat", "__[WATCH]:: Heat__", "`[WATCH]:: Heat`",
        "[[WATCH]]:: Heat", "I like crime.\n[WATCH]:: Heat\nThat is all.",
        "[WATCH]:: Heat;", "[WATCH]:: 1. Heat (1995)",
        "[WATCH]:: Ｈｅａｔ (1995)", "[WATCH]:: Heat\n[WATCH]:: Heat", "\r\n[WATCH]:: Heat\r\n",
    ],
)  # fmt: skip
def test_how_a_line_is_dressed_does_not_matter(text: str):
    assert lines.page(text, PAGE, ALL) == lines.PageLine("WATCH", (0,))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("The Lion King", "Lion King, The (1994)"), ("Lion King", "Lion King, The (1994)"),
        ("lion king, the", "Lion King, The (1994)"),
        ("The Lion King (1994)", "Lion King, The (1994)"),
        ("King Kong (2005)", "King Kong (2005)"), ("11: The Movie", "11: The Movie"),
        ("The Movie", "The Movie"), ("2. The Movie", "The Movie"),
        ("Amarcord; or, I Remember", "Amarcord; or, I Remember"),
        ("amarcord ;or, I remember", "Amarcord; or, I Remember"),
    ],
)  # fmt: skip
def test_a_title_is_known_without_its_year_its_article_or_their_order(said: str, meant: str):
    assert watched(said) == [meant]


def test_several_titles_are_read_in_their_order_and_each_once():
    said = "The Lion King; Amarcord; or, I Remember; Heat; Lion King, The (1994)"
    assert watched(said) == ["Lion King, The (1994)", "Amarcord; or, I Remember", "Heat (1995)"]


def test_the_longest_run_of_pieces_that_is_a_title_counts():
    page = ["Amarcord", "Amarcord; or, I Remember", "or, I Remember", '"Foo"; "Bar"', "Foo"]
    assert lines.positions_of("Amarcord; or, I Remember", page) == (1,)
    assert lines.positions_of("Amarcord", page) == (0,)
    assert lines.positions_of('"Foo"; "Bar"', page) == (3,)


@pytest.mark.parametrize(
    "said",
    [
        "Heat 2", "Hea", "Heat (1986)", "Casablanca", "Heat and Casablanca", "Heat; Casablanca",
        "Heat (1995) [LEAVE]::", "item 1", "1", "12. The Movie 2", "None", "(1995)", "The",
        "19: The Movie",
    ],
)  # fmt: skip
def test_a_title_that_is_not_on_the_page_is_no_film(said: str):
    assert failure(lines.positions_of, said, PAGE) is Failure.UNKNOWN_TITLE


def test_a_title_that_fits_two_is_neither():
    assert failure(lines.positions_of, "King Kong", PAGE) is Failure.AMBIGUOUS_TITLE
    same = ["Solaris", "Solaris"]
    assert failure(lines.positions_of, "Solaris", same) is Failure.AMBIGUOUS_TITLE


def test_a_watch_without_a_title_says_nothing():
    assert failure(lines.page, "[WATCH]::", PAGE, ALL) is Failure.EMPTY
    assert failure(lines.page, "[WATCH]:: ; ;", PAGE, ALL) is Failure.EMPTY
    assert failure(lines.page, "[SEARCH]::", PAGE, ALL) is Failure.EMPTY


@pytest.mark.parametrize("text", ["", "Heat", "I watch [WATCH]:: Heat", "[SLEEP]:: Heat", "[]::"])
def test_an_answer_without_a_line_is_not_in_form(text: str):
    assert failure(lines.page, text, PAGE, ALL) is Failure.NOT_IN_FORM


@pytest.mark.parametrize(
    "text", ["[WATCH]:: Heat\n[LEAVE]::", "[WATCH]:: Heat\n[WATCH]:: The Movie", "[NEXT]\n[LEAVE]"]
)
def test_two_different_choices_are_none(text: str):
    assert failure(lines.page, text, PAGE, ALL) is Failure.NOT_IN_FORM


def test_what_is_not_offered_cannot_be_chosen():
    for text in ("[WATCH]:: Heat", "[NEXT]::", "[SEARCH]:: x"):
        assert failure(lines.page, text, PAGE, ("LEAVE",)) is Failure.OUT_OF_RANGE
    assert failure(lines.social, "[POST]:: hello", ["Ann"], ("CHAT",)) is Failure.OUT_OF_RANGE


def test_a_search_keeps_its_words():
    line = lines.page('[SEARCH]:: "old westerns; no comedies"', PAGE, ALL)
    assert line == lines.PageLine("SEARCH", words="old westerns; no comedies")


TITLE = st.one_of(
    st.sampled_from([one for one in PAGE if one]),
    st.text(st.sampled_from("AaBb ;,:'().Thé1"), min_size=1, max_size=14),
    st.builds("{} ({})".format, st.sampled_from(("A", "The B", "B, The", "Ab")),
              st.integers(1990, 1992)),
)  # fmt: skip
ANSWER = st.one_of(
    st.text(max_size=60),
    st.lists(TITLE, max_size=4).map(lambda titles: "[WATCH]:: " + ";".join(titles)),
    st.builds("{}[WATCH]{} {}".format, st.text(max_size=3), st.text(max_size=3), TITLE),
)


def core(text: str) -> str:
    """Letters and digits of a title, without its article and its year."""
    plain = re.sub(r"\s*\(\d{4}\)\s*$", "", text.casefold().strip(" \"'`*_“”‘’«»„;"))
    plain = re.sub(r"^(the|a|an)\s+|,\s*(the|a|an)$", "", plain.strip(" \"'`*_“”‘’«»„"))
    return re.sub(r"[\W_]+", "", plain)


@given(ANSWER, st.lists(st.one_of(st.none(), TITLE), max_size=5))
def test_what_is_watched_was_named_on_the_page_whatever_is_answered(answer: str, page: list):
    try:
        line = lines.page(answer, page, ALL)
    except Unreadable:
        return
    said = re.sub(r"[\W_]+", "", answer.casefold())
    assert len(set(line.positions)) == len(line.positions)
    assert bool(line.positions) == (line.action == "WATCH")
    for position in line.positions:
        title = page[position]
        assert title is not None
        assert core(title) in said


@given(st.lists(TITLE, min_size=1, max_size=5, unique_by=core), st.data())
def test_every_title_can_be_chosen_as_the_page_has_it(page: list[str], data: st.DataObject):
    at = data.draw(st.integers(0, len(page) - 1))
    if not core(page[at]) or any(";" in one for one in page):
        return
    assert lines.page(f"[WATCH]:: {page[at]}", page, ALL).positions == (at,)


def problem_of(read: Callable[[], object]) -> str:
    try:
        read()
    except Unreadable as error:
        return error.problem
    return ""


@pytest.mark.parametrize(
    "text",
    ["-" * 60_000, "[" * 60_000, "[WATCH]:: " + "Heat;" * 3_000, "[FEEL]:: " + "9" * 60_000,
     "[WATCH]:: " + "x;" * 20_000, "[IMPORTANCE]:: " + "7" * 60_000],
    ids=lambda text: f"{text[:12]}...",
)  # fmt: skip
def test_an_answer_that_repeats_itself_is_read_at_once(text: str):
    start = time.process_time()
    for read in (lambda: lines.page(text, PAGE, ALL), lambda: lines.feeling(text),
                 lambda: lines.importance(text)):  # fmt: skip
        assert len(problem_of(read)) < 400
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "stars", "words"),
    [
        ("[FEEL]:: 4;It moved me.", 4, "It moved me."), ("[feel]: 4 - good", 4, "good"),
        ("[FEEL]:: 4/5; good", 4, "good"), ("[FEEL]:: 4 stars; good", 4, "good"),
        ("[FEEL]:: 4 out of 5 good", 4, "good"), ("[FEEL]:: **4**; good", 4, "good"),
        ("[FEEL]:: 4 stars out of 5: good", 4, "good"), ("[FEEL]:: 1", 1, ""),
        ("[FEEL]:: 3, 90 minutes too long", 3, "90 minutes too long"),
    ],
)  # fmt: skip
def test_stars_and_words_are_read(text: str, stars: int, words: str):
    assert lines.feeling(text) == (stars, words)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[FEEL]:: 0;bad", Failure.OUT_OF_RANGE), ("[FEEL]:: 6;good", Failure.OUT_OF_RANGE),
        ("[FEEL]:: 45;good", Failure.OUT_OF_RANGE), ("[FEEL]:: -1;bad", Failure.OUT_OF_RANGE),
        ("[FEEL]:: 4.5;good", Failure.OUT_OF_RANGE), ("[FEEL]:: 4/10;bad", Failure.OUT_OF_RANGE),
        ("[FEEL]:: 4-5;good", Failure.NOT_IN_FORM), ("[FEEL]:: four;good", Failure.NOT_IN_FORM),
        ("4;good", Failure.NOT_IN_FORM),
    ],
)  # fmt: skip
def test_no_stars_are_guessed(text: str, kind: Failure):
    assert failure(lines.feeling, text) is kind


def test_importance_is_one_number_from_one_to_ten():
    assert [lines.importance(f"[Importance]:: {n}/10") for n in (1, 7, 10)] == [1, 7, 10]
    for text in ("0", "11", "-7"):
        assert failure(lines.importance, f"[IMPORTANCE]:: {text}") is Failure.OUT_OF_RANGE
    for text in ("", "7.5", "seven", "7 or 8"):
        assert failure(lines.importance, f"[IMPORTANCE]:: {text}") is Failure.NOT_IN_FORM


def test_friends_are_found_by_their_names_alone():
    names = ["Ann (u1)", "Ann (u2)", '"Bob"', "José"]
    for text, friend in (("Ann (u2)", 1), ("ann (U1)", 0), ('"Bob"', 2), ("Bob", 2), ("JOSÉ", 3)):
        found = lines.social(f"[CHAT]:: {text};Seen Heat; twice?", names, ("CHAT", "POST"))
        assert found == lines.SocialLine(friend, "Seen Heat; twice?")
    assert failure(lines.social, "[CHAT]:: Ann;x", names, ("CHAT",)) is Failure.UNKNOWN_TITLE
    assert failure(lines.social, "[CHAT]:: Eve;x", names, ("CHAT",)) is Failure.UNKNOWN_TITLE
    two = ["Ann", "Bob", "ANN"]
    assert failure(lines.social, "[CHAT]:: Ann;x", two, ("CHAT",)) is Failure.AMBIGUOUS_TITLE
    assert failure(lines.social, "[POST]::", two, ("POST",)) is Failure.EMPTY


def test_a_conversation_is_read_turn_by_turn():
    said = lines.dialogue(
        "[Ann]:: Hi\n[Bob Lee]: Hello\n[BOB]:: x\n(they laugh)", ("Ann", "Bob Lee")
    )
    assert said == [(0, "Hi"), (1, "Hello"), (1, "x")]
    for text in ("[Ann]:: Hi", "[Eve]:: a\n[Eve]:: b", "[Ann]::\n[Bob Lee]::"):
        assert failure(lines.dialogue, text, ("Ann", "Bob Lee")) is Failure.NOT_IN_FORM


def test_two_of_one_name_are_told_apart_in_a_conversation():
    names = ("Ann", "Ann (the other)")
    assert lines.dialogue("[Ann]:: Hi\n[Ann (the other)]:: Hello", names) == [
        (0, "Hi"),
        (1, "Hello"),
    ]


def test_at_most_three_insights_are_taken():
    assert lines.insights("\n".join(f"{n}. [INSIGHT]:: i{n}" for n in range(5))) == [
        "i0",
        "i1",
        "i2",
    ]
    assert failure(lines.insights, "[INSIGHT]::") is Failure.NOT_IN_FORM


def test_an_activity_is_one_of_three():
    assert lines.activity("[Social]:: I am bored") == "SOCIAL"
    assert failure(lines.activity, "[SLEEP]::") is Failure.NOT_IN_FORM


def test_a_speaker_whose_name_has_other_capitals_elsewhere_is_heard():
    said = "[Grace Yılmaz]:: Have you seen it?\n[grace yılmaz]:: I have.\n[İnci Şahin]:: No."
    assert lines.dialogue(said, ("Grace Yılmaz", "İnci Şahin")) == [
        (0, "Have you seen it?"), (0, "I have."), (1, "No."),
    ]  # fmt: skip
