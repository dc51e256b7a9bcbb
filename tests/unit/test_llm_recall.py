"""What a model knows by ids: one that has read the data set, one that has not, one that names the
same famous title again and again."""

from __future__ import annotations

import dataclasses
import json

import pytest

from recarena.server.datasets.disguise import Disguise, Ids, disguised
from recarena.server.datasets.generate import generate_world
from recarena.server.errors import InputError
from recarena.server.llm.recall import bare, chance_of, data_set_of, recall, wilson
from support.believers import knows_films, knows_nothing, knows_one_film, titled
from support.llm_stub import scripted_mind
from support.thinkers import EVERY_PROVIDER, thinking

FILMS = generate_world(5, 1)


@EVERY_PROVIDER
async def test_who_has_read_the_data_set_is_found_out(provider: str):
    async with thinking(provider, knows_films()) as (stub, thinker):
        found = await recall(thinker, FILMS, "these films", 30, 1)
        assert len(stub.calls) == 30
    assert (found.asked, found.matched, found.in_catalogue, found.failed) == (30, 30, 30, 0)
    assert found.knows
    assert found.interval[0] > 0.88
    assert found.wrong == ()


async def test_who_has_not_is_not_accused():
    async with thinking("openai", knows_nothing()) as (_, thinker):
        found = await recall(thinker, FILMS, "these films", 30, 1)
    assert (found.matched, found.in_catalogue, found.chance) == (0, 0, 0)
    assert not found.knows
    assert len(found.wrong) == 5


async def test_naming_one_famous_title_again_and_again_is_chance():
    everything = len(FILMS.catalog)
    async with thinking("openai", knows_one_film()) as (_, thinker):
        found = await recall(thinker, FILMS, "these films", everything, 1)
    assert found.matched == 1
    assert found.in_catalogue == everything
    assert found.chance == pytest.approx(1 / everything)
    assert not found.knows


async def test_answers_that_cannot_be_read_are_wrong_and_counted():
    async with thinking("openai", scripted_mind([], "No."), failure_limit=1.0) as (_, thinker):
        found = await recall(thinker, FILMS, "these films", 4, 1)
    assert (found.failed, found.matched, found.calls) == (4, 0, 8)
    json.dumps(found.as_json())


async def test_which_items_are_asked_about_follows_from_the_seed():
    seen: list[list[str]] = []
    for seed in (1, 1, 2):
        asked: list[str] = []

        def noted(one: str, asked: list[str] = asked) -> str:
            asked.append(one)
            return "x"

        async with thinking("openai", titled(noted)) as (_, thinker):
            await recall(thinker, FILMS, "these films", 12, seed)
        seen.append(sorted(asked))
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lion King, The (1994)", "The Lion King"),
        ("SCHINDLER'S LIST", "Schindler's List (1993)"),
        ("Close Shave, A (1995)", "close shave"),
        ("Seven (Se7en) (1995)", "Seven, Se7en"),
    ],
)
def test_titles_are_the_same_whatever_year_capitals_and_articles(one: str, other: str):
    assert bare(one) == bare(other)
    assert bare(one) != bare(f"{other} II")


def test_chance_is_that_of_the_same_answers_in_another_order():
    # Of 4 x 4 pairs of answer and title "a" fits twice (2 answers, 1 title), "b" once.
    assert chance_of(["a", "a", "b", None], ["a", "b", "c", "d"]) == pytest.approx(3 / 16)


def test_the_interval_of_a_share_is_wilsons():
    assert wilson(5, 50) == pytest.approx((0.0435, 0.2136), abs=1e-4)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1


def test_a_data_set_has_a_name_and_opaque_ids_are_nothing_to_ask_about():
    movie_lens = dataclasses.replace(FILMS, origin={"source": "movielens", "layout": "ml-100k"})
    assert data_set_of(movie_lens, "") == "MovieLens 100k"
    assert data_set_of(FILMS, "mine") == "mine"
    with pytest.raises(InputError, match="what its data set is called"):
        data_set_of(FILMS, "")
    with pytest.raises(InputError, match="opaque"):
        data_set_of(disguised(FILMS, Disguise(1)), "mine")
    assert data_set_of(disguised(FILMS, Disguise(1, Ids.KEEP)), "mine") == "mine"
