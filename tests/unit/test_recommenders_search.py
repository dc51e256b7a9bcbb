"""People find the film they mean, however they write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recarena.recommenders import search as search_module
from recarena.recommenders.search import CatalogSearch
from recarena.recommenders.titles import Titled, key, title_keys, words
from recarena.recommenders.watched import Watched
from recarena.v1.types_pb2 import Item

FILMS = [
    ("Lion King, The (1994)", "Animation|Children|Musical", "A cub flees and returns as king."),
    ("Lion in Winter, The (1968)", "Drama", "A king, a queen and three sons at Christmas."),
    ("Toy Story 2 (1999)", "Animation|Children|Comedy", "Toys rescue a stolen cowboy."),
    ("Toy Story (1995)", "Animation|Children|Comedy", "A cowboy doll envies a space ranger."),
    ("Aliens (1986)", "Action|Sci-Fi", "Marines meet a nest of aliens."),
    ("Alien (1979)", "Horror|Sci-Fi", "A crew is hunted through its ship."),
    ("King Kong (1976)", "Action|Adventure", "A giant ape is brought to New York."),
    ("King Kong (1933)", "Action|Adventure|Horror", "A giant ape falls from a skyscraper."),
    ("Seven (Se7en) (1995)", "Crime|Thriller", "Two detectives follow seven sins."),
    ("Postman, The (Postino, Il) (1994)", "Drama|Romance", "A postman learns poetry."),
    ("Cité des enfants perdus, La (1995)", "Adventure|Sci-Fi", "A man steals children's dreams."),
    ("2001: A Space Odyssey (1968)", "Drama|Sci-Fi", "A monolith, a computer, a journey."),
    ("1984 (1984)", "Drama|Sci-Fi", "A clerk falls in love under a watchful state."),
    ("Blade Runner 2049 (2017)", "Sci-Fi", "A replicant looks for an older hunter."),
    ("Schindler's List (1993)", "Drama|War", "A manufacturer saves his workers."),
    ("Spider-Man (2002)", "Action", "A bitten student climbs walls."),
    ("Fear and Loathing in Las Vegas (1998)", "Comedy|Drama", "Two men drive to the desert."),
    ("Drama (2012)", "Thriller", "Students rehearse."),
]
NUMBER = {title: number for number, (title, _, _) in enumerate(FILMS)}


def films() -> list[Item]:
    items = []
    for number, (title, genres, description) in enumerate(FILMS):
        item = Item(item_id=f"f{number}", title=title, description=description)
        item.categories.extend(genres.split("|"))
        items.append(item)
    items[NUMBER["Alien (1979)"]].attributes["director"] = "Ridley Scott"
    return items


@pytest.fixture(scope="module")
def catalog():
    search = CatalogSearch(films())
    search.rank_by(np.arange(len(FILMS)))  # the later in the list, the more popular
    yield search
    search.close()


def found(search: CatalogSearch, text: str) -> list[str]:
    return [FILMS[item][0] for item in search.find([text])[0].items.tolist()]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("The Lion King", "Lion King, The (1994)"),
        ("lion king", "Lion King, The (1994)"),
        ("Lion King, The (1994)", "Lion King, The (1994)"),
        ("  LION   KING, the", "Lion King, The (1994)"),
        ("the lion king 1994", "Lion King, The (1994)"),
        ("toy story", "Toy Story (1995)"),
        ("toy story 2", "Toy Story 2 (1999)"),
        ("alien", "Alien (1979)"),
        ("aliens", "Aliens (1986)"),
        ("king kong", "King Kong (1933)"),
        ("king kong 1933", "King Kong (1933)"),
        ("King Kong (1976)", "King Kong (1976)"),
        ("se7en", "Seven (Se7en) (1995)"),
        ("Seven", "Seven (Se7en) (1995)"),
        ("il postino", "Postman, The (Postino, Il) (1994)"),
        ("postman", "Postman, The (Postino, Il) (1994)"),
        ("la cite des enfants perdus", "Cité des enfants perdus, La (1995)"),
        ("1984", "1984 (1984)"),
        ("blade runner 2049", "Blade Runner 2049 (2017)"),
        ("schindlers list", "Schindler's List (1993)"),
        ("spiderman", "Spider-Man (2002)"),
        ("fear & loathing in las vegas", "Fear and Loathing in Las Vegas (1998)"),
        ("drama", "Drama (2012)"),
        ("2001", "2001: A Space Odyssey (1968)"),
        ("ridley scott", "Alien (1979)"),
        ("poetry", "Postman, The (Postino, Il) (1994)"),
        ("giant ape 1976", "King Kong (1976)"),
        ("schindlr", "Schindler's List (1993)"),
    ],
)
def test_the_film_that_is_meant_comes_first(catalog: CatalogSearch, text: str, title: str):
    assert found(catalog, text)[0] == title


@pytest.mark.parametrize("text", ["sci-fi", "Sci Fi", "scifi movies", "science fiction", "SCI-FI"])
def test_a_genre_lists_its_films_by_popularity(catalog: CatalogSearch, text: str):
    numbers = [n for n, film in enumerate(FILMS) if "Sci-Fi" in film[1]]
    assert catalog.find([text])[0].items.tolist() == numbers[::-1]


def test_two_genres_list_films_of_both(catalog: CatalogSearch):
    assert found(catalog, "horror action") == ["King Kong (1933)"]
    assert found(catalog, "comedies for a child")[:1] != []


def test_popularity_settles_ties_anew_in_every_round():
    search = CatalogSearch(films())
    search.rank_by(np.arange(len(FILMS)))
    assert found(search, "king kong")[:2] == ["King Kong (1933)", "King Kong (1976)"]
    search.rank_by(-np.arange(len(FILMS)))
    assert found(search, "king kong")[:2] == ["King Kong (1976)", "King Kong (1933)"]
    assert found(search, "king kong 1933")[0] == "King Kong (1933)"
    search.close()


@pytest.mark.parametrize("text", ["", "   ", "?!", "zxqv wkkj", "🎬"])
def test_what_is_nowhere_finds_nothing(catalog: CatalogSearch, text: str):
    assert found(catalog, text) == []


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_words_are_taken(catalog: CatalogSearch, text: str):
    items = catalog.find([text])[0].items.tolist()
    assert len(set(items)) == len(items)
    assert set(items) <= set(range(len(FILMS)))


def pages(catalog: CatalogSearch, texts, text_of, watched, rows, offsets, count):
    return catalog.lists(
        texts, np.array(text_of), watched, np.array(rows, np.int32),
        np.array(offsets, np.int32), count,
    ).tolist()  # fmt: skip


def test_each_searcher_gets_the_page_asked_for(catalog: CatalogSearch):
    nobody = Watched(len(FILMS))
    whole = catalog.find(["sci-fi"])[0].items.tolist()
    lists = pages(catalog, ["sci-fi", "alien", "zxqv"], [0, 2, 0, 1], nobody, [-1] * 4,
                  [0, 0, 4, 0], 4)  # fmt: skip
    assert lists[0] == whole[:4]
    assert lists[1] == [-1] * 4
    assert lists[2] == [*whole[4:], -1, -1][:4]
    assert lists[3][0] == NUMBER["Alien (1979)"]


def test_watched_films_come_last_but_an_exact_title_stays(catalog: CatalogSearch):
    watched = Watched(len(FILMS))
    seen = np.array([NUMBER["Alien (1979)"], NUMBER["Blade Runner 2049 (2017)"]], np.int32)
    watched.add(np.zeros(2, np.int32), seen, np.zeros(2, np.float32), 1)
    genre, title = pages(catalog, ["sci-fi", "alien"], [0, 1], watched, [0, 0], [0, 0], 6)
    assert genre[-2:] == [NUMBER["Blade Runner 2049 (2017)"], NUMBER["Alien (1979)"]]
    assert title[0] == NUMBER["Alien (1979)"]


def test_a_query_is_looked_up_once(monkeypatch):
    search = CatalogSearch(films())
    asked = []
    look_up = search._look_up  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(search, "_look_up", lambda texts: asked.extend(texts) or look_up(texts))
    search.find(["giant  ape", "Giant Ape"])
    search.rank_by(np.zeros(len(FILMS), np.int64))
    search.find(["giant ape"])
    assert asked == ["giant ape"]
    search.close()


def test_remembered_queries_are_bounded(monkeypatch):
    monkeypatch.setattr(search_module, "MOST_REMEMBERED", 3)
    search = CatalogSearch(films())
    for text in ("alien", "aliens", "seven", "toy story", "alien"):
        assert len(search.find([text, "drama"])) == 2
        assert len(search._hits) <= 3  # pyright: ignore[reportPrivateUsage]
    search.close()


def test_closing_removes_the_index(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    search = CatalogSearch(films())
    search.close()
    assert list(tmp_path.iterdir()) == []
    search.find(["cowboy"])
    assert len(list(tmp_path.iterdir())) == 1
    search.close()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_catalogue_is_searched_in_vain():
    search = CatalogSearch([])
    assert search.find(["alien"])[0].items.tolist() == []
    search.close()


def test_years_are_taken_off_the_end_only():
    assert Titled.of("King Kong (1933)") == Titled("King Kong", 1933)
    assert Titled.of("king kong 1933 ") == Titled("king kong", 1933)
    assert Titled.of("1984") == Titled("1984", 0)
    assert Titled.of("2001: A Space Odyssey") == Titled("2001: A Space Odyssey", 0)
    assert title_keys("1984 (1984)") == {"1984", "19841984"}
    assert title_keys("The The") == {"the"}


@given(st.text(max_size=40))
def test_words_are_normal_once_and_for_all(text: str):
    assert words(words(text)) == words(text)
    assert key(text.upper()) == key(text.upper().lower())
