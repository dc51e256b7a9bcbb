"""What is planted beside tastes stands where it is said to stand, and is true."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from recarena.recommenders.oracle import Truth
from recarena.server.cli import app
from recarena.server.config import parse_settings
from recarena.server.datasets import planting as p
from recarena.server.datasets.planted import HEAD_START, planted_world
from recarena.server.datasets.planted_edges import CLOSENESS
from recarena.server.datasets.planting import Planting, truth_of
from recarena.server.datasets.specs import open_world
from recarena.server.datasets.world_data import WorldData
from recarena.server.datasets.world_folder import describe_world, load_world, save_world
from recarena.server.errors import InputError
from recarena.server.founding import create_run
from recarena.server.house import fork_run
from recarena.server.minds.choice.coefficients import Coefficients
from recarena.server.rpc.recommenders import item_message
from recarena.server.world import Dynamics

ALL = Planting(groups=2, edges=6, influence=2.0, fatigue=3.0)


@pytest.fixture(scope="module")
def world() -> WorldData:
    return planted_world(60, 80, 3, planting=ALL)


def liking(world: WorldData) -> np.ndarray:
    return world.population.taste @ world.catalog.attributes.T + world.catalog.quality


# ------------------------------------------------------------------ nothing but what is asked for


def test_a_world_with_nothing_planted_is_the_world_that_it_always_was(world: WorldData) -> None:
    plain, empty = planted_world(60, 80, 3), planted_world(60, 80, 3, planting=Planting())
    assert plain.origin == empty.origin
    assert "planted" not in plain.origin
    assert plain.name == "planted-60x80"
    assert np.array_equal(plain.history.item, empty.history.item)
    # The strengths change settings alone.
    strong = planted_world(60, 80, 3, planting=Planting(influence=5.0, fatigue=0.0, credulity=2.0))
    for part in ("catalog", "population", "network", "history"):
        one, other = getattr(plain, part), getattr(strong, part)
        for field in fields(one):
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name))


def test_the_same_seed_plants_the_same(world: WorldData) -> None:
    assert planted_world(60, 80, 3, planting=ALL).origin == world.origin
    assert planted_world(60, 80, 4, planting=ALL).origin["planted"] != world.origin["planted"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"groups": 1}, "groups: 1 groups cannot be compared"),
        ({"groups": 11}, "Ask for 2 to 10"),
        ({"edges": -1}, "edges: there cannot be -1"),
        ({"influence": -0.1}, "influence: -0.1 is not in 0..10"),
        ({"fatigue": float("nan")}, "fatigue: nan is not in 0..10"),
        ({"credulity": 11.0}, "credulity: 11 is not in 0..10. 0 is none"),
    ],
)
def test_what_cannot_be_planted_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Planting(**wrong)  # type: ignore[arg-type]


def test_numbers_that_do_not_fit_the_world_are_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"81 items do not make 2 groups.*Ask for 80 or 82"):
        planted_world(60, 81, 3, planting=Planting(groups=2))
    with pytest.raises(InputError, match=r"30 edges need 90 users.*Ask for at most 1\d"):
        planted_world(60, 80, 3, planting=Planting(edges=30))


# ------------------------------------------------------------------ groups


@settings(max_examples=10, deadline=None)
@given(groups=st.integers(2, 5), each=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_every_user_likes_the_groups_alike(groups: int, each: int, seed: int) -> None:
    world = planted_world(12, groups * each, seed, communities=2, planting=Planting(groups=groups))
    told = truth_of(world)["groups"]
    of_item = np.array(told["of_item"])
    merit = np.array(told["merit_of_item"])
    catalog = world.catalog
    liked = np.column_stack([catalog.attributes, catalog.quality, merit])
    parts = [np.unique(liked[of_item == group], axis=0) for group in range(groups)]
    for part in parts:
        assert part.shape == parts[0].shape == (each, liked.shape[1])
        assert np.array_equal(part, parts[0])
    assert merit.mean() == pytest.approx(1.0, abs=1e-5)
    assert len(told["names"]) == groups


def test_merit_is_what_users_would_choose_by(world: WorldData) -> None:
    worth = np.exp(liking(world).astype(np.float64)).mean(axis=0)
    told = truth_of(world)["groups"]["merit_of_item"]
    assert np.allclose(told, worth / worth.mean(), atol=1e-4)


def test_groups_differ_in_fame_before_the_run() -> None:
    world = planted_world(200, 100, 1, history_per_user=0, planting=Planting(groups=2))
    of_item = np.array(truth_of(world)["groups"]["of_item"])
    famous, unknown = (world.catalog.popularity[of_item == group].sum() for group in (0, 1))
    assert famous == pytest.approx(HEAD_START * unknown, rel=0.05)
    watched = planted_world(200, 100, 1, planting=Planting(groups=2))
    counts = np.bincount(of_item[watched.history.item], minlength=2)
    assert len(watched.history) == 200 * 5
    assert counts[0] > 2 * counts[1]
    # Where an item stands in the catalogue does not tell its group.
    assert 0.3 < of_item[:50].mean() < 0.7


# ------------------------------------------------------------------ edges


def test_planted_and_null_edges_differ_in_closeness_alone(world: WorldData) -> None:
    told = truth_of(world)["edges"]
    planted, null = np.array(told["planted"]), np.array(told["null"])
    assert planted.shape == null.shape == (6, 2)
    assert np.array_equal(planted[:, 0], null[:, 0])
    assert len({*planted.ravel().tolist(), *null[:, 1].tolist()}) == 18
    network = world.network

    def closeness(pairs: np.ndarray) -> list[float]:
        found = []
        for speaker, hearer in pairs.tolist():
            ties = network.ties_of(speaker)
            at = int(np.flatnonzero(network.other[ties] == hearer)[0])
            found.append(float(network.closeness[ties][at]))
        return found

    assert closeness(planted) == [CLOSENESS] * 6
    assert closeness(null) == [0.0] * 6


def test_edges_leave_all_other_ties_as_they_were(world: WorldData) -> None:
    plain = planted_world(60, 80, 3, planting=replace(ALL, edges=0)).network
    told = truth_of(world)["edges"]
    changed = {tuple(pair) for pair in told["planted"] + told["null"]}

    def ties(network) -> dict[tuple[int, int], float]:
        source = np.repeat(np.arange(network.users), network.degrees())
        pairs = zip(source.tolist(), network.other.tolist(), strict=True)
        return {
            pair: near
            for pair, near in zip(pairs, network.closeness.tolist(), strict=True)
            if pair not in changed
        }

    assert ties(plain) == ties(world.network)


def test_who_listens_is_not_told_by_where_users_stand() -> None:
    # Over worlds the planted hearer is as often the one with the smaller number.
    first = [
        planted < null
        for seed in range(20)
        for (_, planted), (_, null) in zip(
            *(truth_of(planted_world(40, 4, seed, 3, history_per_user=0,
                                     planting=Planting(edges=6)))["edges"][kind]
              for kind in ("planted", "null")), strict=True)
    ]  # fmt: skip
    assert 0.35 < np.mean(first) < 0.65


# ------------------------------------------------------------------ strengths


def test_strengths_are_multiples_of_the_defaults() -> None:
    usual = {one.name: one.default for one in fields(Coefficients)}
    for name, value in {**p.WORDS, **p.CROWD, "fatigue": p.FATIGUE, "novelty": p.NOVELTY}.items():
        assert usual[name] == value, name
    assert Dynamics().fatigue_memory == p.FATIGUE_MEMORY
    same = Planting(influence=1.0, fatigue=1.0).settings()
    assert Coefficients(**same["choice"]) == Coefficients()
    assert "dynamics" not in same
    assert Planting(groups=2, edges=3).settings() == {}
    assert Coefficients(**Planting(credulity=0.0).settings()["choice"]) == Coefficients()
    assert Planting(credulity=1.5).settings() == {"choice": {"credulity": 1.5}}


def test_a_run_in_the_world_has_its_settings_unless_it_says_otherwise(
    world: WorldData, tmp_path: Path
) -> None:
    own = {"arms": [{"recommender": "a"}], "choice": {"fatigue": 0.1, "taste": 1.0}}
    folder = create_run(tmp_path / "run", parse_settings(own, "test"), world)
    try:
        made = folder.manifest["settings"]
        assert made["choice"] == {
            **world.origin["planted"]["settings"]["choice"], "fatigue": 0.1, "taste": 1.0,
        }  # type: ignore[index]  # fmt: skip
        assert made["dynamics"] == {"fatigue_memory": 0.9}
        for key in ("world", "dataset"):
            assert folder.manifest[key]["origin"]["planted"] == world.origin["planted"]
        forked = fork_run(folder, tmp_path / "fork", 0, {**own, "choice": {}})
        forked.close()
        assert forked.manifest["settings"]["choice"]["fatigue"] == pytest.approx(1.05)
    finally:
        folder.close()


# ------------------------------------------------------------------ folders, specs, commands


def test_a_folder_says_what_is_planted_with_ids(world: WorldData, tmp_path: Path) -> None:
    save_world(world, tmp_path / "w")
    assert load_world(tmp_path / "w").origin == world.origin
    told = json.loads((tmp_path / "w" / "planted.json").read_text("utf-8"))
    assert (told["format"], told["format_version"]) == ("recarena-planted", 1)
    groups = truth_of(world)["groups"]
    assert [one["item_id"] for one in told["groups"]] == world.catalog.item_ids
    assert [one["merit"] for one in told["groups"]] == groups["merit_of_item"]
    assert {one["group"] for one in told["groups"]} == {"A", "B"}
    assert len(told["edges"]) == 12
    assert told["edges"][0] == {
        "speaker": world.population.user_ids[truth_of(world)["edges"]["planted"][0][0]],
        "hearer": world.population.user_ids[truth_of(world)["edges"]["planted"][0][1]],
        "kind": "planted", "closeness": CLOSENESS,
    }  # fmt: skip
    assert told["settings"] == world.origin["planted"]["settings"]  # type: ignore[index]


def test_the_oracle_reads_a_planted_folder(world: WorldData, tmp_path: Path) -> None:
    save_world(world, tmp_path / "w")
    truth = Truth.read(tmp_path / "w")
    assert np.allclose(truth.taste @ truth.attributes.T + truth.quality, liking(world), atol=1e-4)


def test_recommenders_are_not_told_what_is_planted(world: WorldData) -> None:
    said = item_message(world.catalog, 7)
    plain = item_message(planted_world(60, 80, 3).catalog, 7)
    assert [one.name for one, _ in said.ListFields()] == [one.name for one, _ in plain.ListFields()]
    assert set(said.attributes.fields) == set(plain.attributes.fields) == set()


def test_a_spec_and_the_command_make_the_same_world(tmp_path: Path) -> None:
    spec = (
        "planted:users=30,items=40,seed=5,communities=3,history=4,"
        "groups=2,edges=2,influence=2.5,fatigue=0,credulity=0.5"
    )
    made = CliRunner().invoke(
        app,
        ["world", "plant", str(tmp_path / "w"), "--users", "30", "--items", "40", "--seed", "5",
         "--communities", "3", "--history", "4", "--groups", "2", "--edges", "2",
         "--influence", "2.5", "--fatigue", "0", "--credulity", "0.5", "--json"],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["users"] == 30
    one, other = open_world(spec), load_world(tmp_path / "w")
    assert one.origin == other.origin
    assert one.name == other.name == "planted-30x40-g2-e2-i2.5-f0-c0.5"
    assert one.origin["planted"]["credulity"] == 0.5  # type: ignore[index]
    assert np.array_equal(one.population.taste, other.population.taste)


@pytest.mark.parametrize("spec", ["planted:influence=1e3", "planted:groups=2.0", "new:groups=2"])
def test_a_spec_that_says_nothing_known_is_refused(spec: str) -> None:
    with pytest.raises(InputError, match="Known: "):
        open_world(spec)


def test_show_tells_what_is_planted_and_no_list_of_items(world: WorldData) -> None:
    told = describe_world(world)
    assert "planted" not in told["origin"]  # type: ignore[operator]
    about = told["planted"]
    assert isinstance(about, dict)
    assert about["influence"] == 2.0
    assert about["planted edges"] == about["null edges"] == 6
    assert about["group A"]["merit"] == about["group B"]["merit"]
    assert len(json.dumps(about)) < 1000
    assert "planted" not in describe_world(planted_world(20, 8, 1))
