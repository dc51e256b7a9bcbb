"""Titles as people say them, and what they type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.wording import search_text, spoken_title
from support.worlds import GENRES, tiny_world


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Lion King, The (1994)", "The Lion King"),
        ("Heat (1995)", "Heat"),
        ("Heat", "Heat"),
        ("Fish Called Wanda, A (1988)", "A Fish Called Wanda"),
        ("Ideal Husband, An (1999)", "An Ideal Husband"),
        ("Misérables, Les (1995)", "Les Misérables"),
        ("Visiteurs, Les", "Les Visiteurs"),
        ("Postino, Il (1994)", "Il Postino"),
        ("Femme Nikita, La (1990)", "La Femme Nikita"),
        ("Mariachi, El (1992)", "El Mariachi"),
        ("Boot, Das (1981)", "Das Boot"),
        ("Ennui, L' (1998)", "L'Ennui"),
        ("Good, The Bad and The Ugly, The (1966)", "The Good, The Bad and The Ugly"),
        ("Crouching Tiger, Hidden Dragon (2000)", "Crouching Tiger, Hidden Dragon"),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey"),
        ("1984 (1984)", "1984"),
        ("Seven (Se7en) (1995)", "Seven (Se7en)"),
        ("Rocky (II)", "Rocky"),
        ("Kid in King Arthur's Court, A (1995) ", "A Kid in King Arthur's Court"),
        ("Therese", "Therese"),
        ("Love, Then", "Love, Then"),
        ("(1994)", "(1994)"),
        ("", ""),
    ],
)
def test_a_title_is_said_without_its_year_and_with_its_article_in_front(title, said):
    assert spoken_title(title) == said


@given(st.text(max_size=30))
def test_a_title_never_loses_its_words(title):
    said = spoken_title(title)
    assert bool(said.strip()) == bool(title.strip())
    assert len(said) <= max(len(title), 1)


@given(st.from_regex(r"[A-Z][a-z]{1,9}( [A-Z][a-z]{1,9}){0,3}", fullmatch=True))
def test_article_and_year_come_off_any_title(words):
    assert spoken_title(f"{words}, The (1999)") == f"The {words}"
    assert spoken_title(f"{words} (1999)") == words


def test_users_type_a_title_as_they_say_it_or_a_genre():
    catalog = tiny_world().catalog
    assert search_text(catalog, 2, 0) == spoken_title(catalog.titles[2])
    assert search_text(catalog, 2, 3) == spoken_title(catalog.titles[2])
    assert [search_text(catalog, -1, code) for code in range(5)] == ["", *GENRES]
