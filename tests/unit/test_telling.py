"""What users did in a round, in a sentence or two that a person would say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recarena.server.catalog import Catalog
from recarena.server.datasets.specs import open_world
from recarena.server.narration import Narrator
from recarena.server.telling import MAX_QUOTE, Teller, Told, joined, number, shortened
from recarena.server.types import EventColumns, EventKind, Outcome, Surface

K = EventKind
LION, HEAT, ALIEN = 0, 1, 2
OLIVIA, BEN = 0, 1


@pytest.fixture(scope="module")
def narrator() -> Narrator:
    data = open_world("new:users=3,seed=1,history=0")
    people = data.population
    people.names[:] = ["Olivia", "Ben", "Chloe"]
    titles = ["Lion King, The (1994)", "Heat (1995)", "Alien (1979)", *data.catalog.titles[3:]]
    catalog: Catalog = data.catalog
    catalog.titles[:] = titles
    return Narrator(catalog, people)


def log(*rows: dict[str, Any]) -> EventColumns:
    """Events of one user or several, each row from what differs from nothing."""
    columns: dict[str, Any] = {}
    for name, neutral in (("user", OLIVIA), ("kind", K.IDLE), ("item", -1), ("position", -1),
                          ("value", 0), ("other", -1), ("outcome", 0), ("surface", 0),
                          ("code", 0)):  # fmt: skip
        columns[name] = [row.get(name, neutral) for row in rows]
    text = {at: row["text"] for at, row in enumerate(rows) if "text" in row}
    return EventColumns.make(len(rows), round=4, **columns, text=text)


def page(items: int, outcome: Outcome = Outcome.ACCEPTED) -> dict[str, Any]:
    return {"kind": K.PAGE, "position": items, "outcome": outcome, "surface": Surface.FEED}


def watch(item: int, value: int = 0, text: str = "", position: int = 0) -> dict[str, Any]:
    row = {"kind": K.WATCH, "item": item, "value": value, "position": position}
    return row | ({"text": text} if text else {})


ENTER, LEAVE, NEXT = {"kind": K.ENTER_RECOMMENDER}, {"kind": K.LEAVE}, {"kind": K.NEXT}
SOCIAL = {"kind": K.ENTER_SOCIAL}


def told(narrator: Narrator, *rows: dict[str, Any], user: int = OLIVIA) -> Told:
    found = Teller(narrator, log(*rows)).of(user)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rows", "text", "titles"),
    [
        (
            (ENTER, {"kind": K.SEARCH, "item": LION}, page(5), watch(HEAT), watch(ALIEN), LEAVE),
            "Olivia searches for The Lion King and watches two of five, Heat and Alien.",
            ("The Lion King", "Heat", "Alien"),
        ),
        (
            (ENTER, page(5), NEXT, page(5), NEXT, page(5), LEAVE),
            "Olivia pages twice and leaves without watching anything.",
            (),
        ),
        (
            (ENTER, page(5), watch(HEAT, 4, "Loved it."), LEAVE),
            "Olivia opens the recommender and watches Heat, rated 4/5: “Loved it.”",
            ("Heat",),
        ),
        (
            (ENTER, page(5), watch(HEAT), NEXT, page(5), watch(LION), watch(ALIEN), LEAVE),
            "Olivia turns the page and watches three of ten.",
            (),
        ),
        (
            (ENTER, {"kind": K.SEARCH, "text": "old films"}, page(0), LEAVE),
            "Olivia searches for “old films” and finds nothing there.",
            (),
        ),
        (
            (ENTER, {"kind": K.CONVERSE, "text": "Something funny?"}, page(3), LEAVE),
            "Olivia asks the recommender “Something funny?” and leaves without watching anything.",
            (),
        ),
        (
            (ENTER, page(5, Outcome.LATE), LEAVE),
            "Olivia opens the recommender and leaves without watching anything. "
            "The recommender's list was late.",
            (),
        ),
        (
            (ENTER, page(0, Outcome.LATE), NEXT, page(0, Outcome.REJECTED), LEAVE),
            "Olivia turns the page and finds nothing there. "
            "The recommender's list was rejected and late.",
            (),
        ),
        ((SOCIAL,), "Olivia opens the social network and says nothing.", ()),
        (
            (SOCIAL, {"kind": K.POST, "item": HEAT, "text": "See it!"}),
            "Olivia posts about Heat: “See it!”",
            ("Heat",),
        ),
        (
            (SOCIAL, {"kind": K.POST, "text": "Good evening"}),
            "Olivia posts: “Good evening”",
            (),
        ),
    ],
)
def test_a_round_is_told_as_a_person_would(narrator, rows, text, titles):
    found = told(narrator, *rows)
    assert (found.text, found.titles, found.people) == (text, titles, {})


def test_a_chat_names_the_partner_and_quotes_the_first_words(narrator):
    words = "Olivia: You have to see it!\nBen: Why?\nOlivia: Just go."
    chat = {"kind": K.CHAT, "other": BEN, "item": HEAT, "text": words}
    found = told(narrator, SOCIAL, chat)
    assert found.text == "Olivia chats with Ben about Heat: “You have to see it!”"
    assert found.people == {BEN: "Ben"}
    assert found.titles == ("Heat",)


def test_everything_that_is_named_stands_in_the_text_as_it_is_named(narrator):
    chat = {"kind": K.CHAT, "other": BEN, "item": LION, "code": 8}
    for rows in ((SOCIAL, chat), (ENTER, page(5), watch(LION), watch(ALIEN), LEAVE)):
        found = told(narrator, *rows)
        assert found.titles or found.people
        for name in (*found.titles, *found.people.values()):
            assert name in found.text


def test_who_did_nothing_is_not_told(narrator):
    teller = Teller(narrator, log({"kind": K.IDLE}, {"kind": K.ENTER_SOCIAL, "user": BEN}))
    assert teller.of(OLIVIA) is None
    assert teller.of(2) is None
    assert teller.of(BEN) is not None


def test_what_an_operator_put_into_a_users_mouth_is_not_told_as_hers(narrator):
    injected = {"kind": K.POST, "item": HEAT, "text": "Buy it", "position": 0}
    assert Teller(narrator, log(injected)).of(OLIVIA) is None
    assert told(narrator, injected, SOCIAL).text == (
        "Olivia opens the social network and says nothing."
    )
    own = {"kind": K.POST, "item": HEAT, "text": "Mine"}
    assert told(narrator, injected, SOCIAL, own).text == "Olivia posts about Heat: “Mine”"


def test_long_words_are_cut_and_lines_joined(narrator):
    said = told(narrator, SOCIAL, {"kind": K.POST, "text": "no\nend " * 200}).text
    assert len(said) < MAX_QUOTE + 30
    assert "\n" not in said
    assert said.endswith("…”")
    assert shortened("a" * MAX_QUOTE) == "a" * MAX_QUOTE


def test_numbers_and_lists_are_said_as_people_say_them():
    assert [number(count) for count in (0, 2, 12, 13, 1234)] == [
        "none", "two", "twelve", "13", "1,234",
    ]  # fmt: skip
    assert [joined(["a", "b", "c"][:count]) for count in range(4)] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip


def test_every_user_of_a_played_round_is_told_or_did_nothing(narrator):
    # A user's rows stand together whatever stands before them: interventions come first.
    rows = [{"user": -1, "kind": K.INTERVENTION, "code": 8, "text": '{"number":1}'},
            {"user": OLIVIA, "kind": K.IDLE}, {"user": BEN, "kind": K.ENTER_RECOMMENDER},
            {"user": BEN, **page(5)}, {"user": BEN, "kind": K.LEAVE}]  # fmt: skip
    teller = Teller(narrator, log(*rows))
    said = [teller.of(user) for user in range(3)]
    assert [one.user if one else None for one in said] == [None, BEN, None]
    assert np.all(np.diff(log(*rows).user) >= 0)
