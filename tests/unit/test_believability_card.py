"""Cards of scripted minds: the one that knows its users passes, each of the others fails where it
should."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recarena.evaluation.believability.asking import Answers, Condition
from recarena.evaluation.believability.card import read_card, write_card
from recarena.evaluation.believability.forms import sections
from recarena.evaluation.believability.gather import card
from recarena.evaluation.believability.people import People, read_people
from recarena.evaluation.believability.slates import POSITIVES
from recarena.evaluation.believability.study import Heard, Plan, Study, plan
from recarena.server.datasets.world_folder import save_world
from support.believing import planted_split

REPEATS = 3
Wants = Callable[[People, Condition], NDArray[np.float64]]
"""How much each viewer wants what is on a slate [users, places], in log odds of choosing it."""
Rates = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Ratings, given those of people."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who went on to watch what the truth makes them like, held-out items of all fames."""
    made = tmp_path_factory.mktemp("card") / "world"
    save_world(planted_split(80, 120, 5), made)
    return made


def knowing(people: People, asked: Condition) -> NDArray[np.float64]:
    """What the viewer went on to watch: people themselves."""
    later = people.later.user * len(people.item_ids) + people.later.item
    pairs = asked.viewers[:, None] * len(people.item_ids) + asked.slates.items
    return np.where(np.isin(pairs, later), 1.5, -1.5)


def blind(people: People, asked: Condition) -> NDArray[np.float64]:
    """Nothing at all."""
    return np.full(asked.slates.items.shape, -1.0)


def famous(people: People, asked: Condition) -> NDArray[np.float64]:
    """What the many watched."""
    logs = np.log1p(people.counts)
    return 3 * (logs - logs.mean())[asked.slates.items] / logs.std() - 1


def of_slates(people: People, asked: Condition) -> NDArray[np.float64]:
    """What is true of the slate's owner, whoever looks at it: no person, but a clever guess."""
    return np.where(asked.slates.held_out, 1.5, -1.5)


def eager(people: People, asked: Condition) -> NDArray[np.float64]:
    """Knows, and says yes all the same."""
    return knowing(people, asked) + 2.5


def noisy(ratings: NDArray[np.float64]) -> NDArray[np.float64]:
    die = np.random.default_rng(1)
    return np.clip(np.rint(ratings + die.normal(0, 0.8, ratings.shape)), 1, 5)


def exactly(ratings: NDArray[np.float64]) -> NDArray[np.float64]:
    return ratings


def at_random(ratings: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.random.default_rng(2).integers(1, 6, ratings.shape).astype(np.float64)


def answered(people: People, asked: Condition, wants: Wants, rates: Rates) -> Answers:
    """What such a mind would have done in the runs of a condition."""
    slates = asked.slates
    die = np.random.default_rng([len(asked.name), *asked.name.encode()])
    shape = (asked.repeats, *slates.items.shape)
    shown = np.broadcast_to(slates.there, shape)
    everything = bool(asked.choice)
    odds = np.where(everything, 50.0, wants(people, asked))
    selected = shown & (die.logistic(size=shape) < odds)
    known = {
        (u, i): r for u, i, r in zip(people.later.user.tolist(), people.later.item.tolist(),
                                     people.later.rating.tolist(), strict=True)
    }  # fmt: skip
    person = np.array([
        [known.get((user, item), 3.0) for item in row]
        for user, row in zip(slates.users.tolist(), slates.items.tolist(), strict=True)
    ])  # fmt: skip
    given = np.where(selected, rates(np.broadcast_to(person, shape)), np.nan)
    place = np.argsort(die.random(shape), axis=2)
    return Answers(slates, shown, selected, given, np.where(shown, place, -1))


def card_of(
    folder: Path, wants: Wants, rates: Rates = noisy, llm: dict[str, str] | None = None,
    by_titles: dict[str, Wants] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """As it is written and read."""
    study, people, planned = asked_of(folder, tuple((llm or {}).items()))
    told = by_titles or {}
    answers = {
        one.name: answered(people, one, told.get(one.world.name, wants), rates) for one in planned
    }
    means = (people.item_means + 0.3, people.item_means - 0.3)
    heard = Heard(answers, {"kind": "scripted", "is_llm": bool(llm)}, ((), ()), means, [None])
    write_card(card(study, people, planned, heard), folder.parent / "card.json")
    return dict(read_card(folder.parent))


@cache
def asked_of(folder: Path, llm: tuple[tuple[str, str], ...]) -> tuple[Study, People, Plan]:
    """The same slates for all minds."""
    study = Study(
        folder, folder.parent, 1, slates=2, repeats=REPEATS, most_users=500, at_least=1,
        min_history=1, worlds=0, rounds=2, ratios=list(POSITIVES), recommender="ease",
        settings={"llm": dict(llm)} if llm else {},
    )  # fmt: skip
    people = read_people(folder)
    return study, people, plan(study, people)


def failed(made: dict[str, Any]) -> set[str]:
    return {gate["id"] for gate in made["verdict"]["gates"] if gate["passed"] is False}


def test_a_mind_that_knows_its_users_passes_all_gates(folder: Path):
    made = card_of(folder, knowing)
    assert failed(made) == set()
    assert made["verdict"]["passed"]
    assert made["verdict"]["losses"] == []
    assert made["verdict"]["sentence"].startswith("Passed")


def test_a_mind_that_knows_nothing_is_beaten_by_all(folder: Path):
    made = card_of(folder, blind, at_random)
    beaten = {f"beats-{one}" for one in ("random", "popularity", "item-mean", "shuffled-persona")}
    assert failed(made) == {*beaten, "rating-skill"}
    assert not made["verdict"]["passed"]


def test_following_the_crowd_is_worth_nothing_where_the_others_are_as_popular(folder: Path):
    made = card_of(folder, famous)
    assert {"beats-popularity", "beats-shuffled-persona"} <= failed(made)


def test_knowing_the_slate_but_not_the_person_does_not_beat_a_stranger(folder: Path):
    """What is chosen whoever looks cannot come from the persona."""
    made = card_of(folder, of_slates)
    assert failed(made) == {"beats-shuffled-persona"}
    assert "strangers" not in made["verdict"]["sentence"]
    assert "other people in the users' place" in made["verdict"]["sentence"]


def test_saying_yes_too_readily_is_seen_as_fewer_of_the_slate_are_true(folder: Path):
    made = card_of(folder, eager)
    assert "yes-bias" in failed(made)
    shares = [one["selected"]["mean"] for one in made["yes_bias"]["shares"]]
    assert shares == sorted(shares, reverse=True)
    assert made["yes_bias"]["excess"]["low"] > 0.2


def test_ratings_that_are_peoples_own_are_an_alarm(folder: Path):
    made = card_of(folder, knowing, exactly)
    assert failed(made) == {"no-leakage"}
    assert made["ratings"]["mind"]["rmse"]["mean"] == 0


def test_a_model_that_knows_titles_and_not_users_sets_off_the_alarm(folder: Path):
    llm = {"provider": "openai", "model": "m"}
    titles = card_of(folder, knowing, llm=llm, by_titles={"numbers": blind, "ids": blind})
    assert not titles["verdict"]["passed"]
    assert "without titles" in titles["verdict"]["alarms"][0]
    plain, numbers, _ = titles["contamination"]
    assert (plain["titles"], plain["difference"]["mean"]) == ("plain", 0)
    assert numbers["difference"]["high"] < 0
    users = card_of(folder, knowing, llm=llm)
    assert users["verdict"]["alarms"] == []
    assert [one["titles"] for one in users["contamination"]] == ["plain", "numbers", "ids"]


def test_what_a_language_model_did_not_choose_is_not_rated_and_that_is_said(folder: Path):
    made = card_of(folder, knowing, llm={"provider": "openai", "model": "m"})
    assert 0.5 < made["ratings"]["coverage"] < 1
    assert made["conformity"] is None
    assert any("ratings are of a selection" in note for note in made["notes"])


def test_the_same_answers_make_the_same_card_to_the_byte(folder: Path):
    card_of(folder, knowing)
    first = (folder.parent / "card.json").read_bytes()
    card_of(folder, knowing)
    assert (folder.parent / "card.json").read_bytes() == first


def test_every_section_has_cells_for_its_columns(folder: Path):
    for llm in (None, {"provider": "openai", "model": "m"}):
        made = card_of(folder, blind, llm=llm)
        shown = sections(made)
        assert [one.id for one in shown][:2] == ["verdict", "auc"]
        for one in shown:
            assert one.rows
            assert {len(row) for row in one.rows} == {len(one.columns)}
            assert len(one.marks) in (0, len(one.rows))
