"""Whatever operators change, and whenever: the log is all that is needed; nothing else counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recarena.server.datasets.generate import generate_world
from recarena.server.interventions import Change, of_events
from recarena.server.rounds import RoundRules
from recarena.server.store.digest import BEFORE_ROUND_1, round_digest
from recarena.server.types import EventKind, MemoryColumns, RoundResult
from recarena.server.world import World
from support.steered import K, Life, added, change, changes

DATA = generate_world(30, 3, history_per_user=3)
ROUNDS = 4
SCRIPTS = st.lists(st.lists(changes(DATA), max_size=4), min_size=ROUNDS, max_size=ROUNDS)
FEW = hypothesis_settings(max_examples=25, deadline=None)


def lived(script: list[list[Change]], rules: RoundRules | None = None, seed: int = 5) -> Life:
    life = Life(World(DATA.own(), seed), rules or RoundRules())
    for wanted in script:
        life.goes_on(*wanted)
    return life


def digest(life: Life) -> str:
    found = BEFORE_ROUND_1
    for result in life.results:
        found = round_digest(found, result.events)
    return found


def assert_same_worlds(one: World, other: World) -> None:
    """All columns, and all that interventions change of the data."""
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray | np.generic | int | dict):
            np.testing.assert_equal(getattr(other, name), value, name)
    np.testing.assert_array_equal(one.watched._bits, other.watched._bits)
    np.testing.assert_array_equal(one.heard.item, other.heard.item)
    for part in ("catalog", "population", "network"):
        mine, others = vars(getattr(one.data, part)), vars(getattr(other.data, part))
        for name in mine.keys() & others.keys():
            np.testing.assert_equal(others[name], mine[name], f"{part}.{name}")


@FEW
@given(SCRIPTS)
def test_replaying_the_log_gives_the_world_that_was_lived_in(script):
    life = lived(script)
    again = World(DATA.own(), life.world.seed)
    for result in life.results:
        again.apply(RoundResult(result.round, 0, result.events, MemoryColumns.empty()))
    assert_same_worlds(life.world, again)
    taken = sum(len(of_events(result.events)) for result in life.results)
    assert taken + life.refused == sum(map(len, script))
    assert life.world.taken_up == taken


@FEW
@given(SCRIPTS, st.integers(1, 40), st.integers(1, 4))
def test_cohorts_and_concurrency_change_nothing(script, size, at_once):
    rules = RoundRules(cohort_size=size, cohorts_at_once=at_once)
    assert digest(lived(script, rules)) == digest(lived(script))


@FEW
@given(SCRIPTS)
def test_a_round_given_up_and_played_again_comes_out_the_same(script):
    """What a round begins with is taken up before it is played, and once."""
    life = lived(script)
    world = World(DATA.own(), life.world.seed)
    for result in life.results:
        for _ in range(2):
            world.take_up(of_events(result.events))
        world.apply(result)
    assert_same_worlds(life.world, world)


@FEW
@given(SCRIPTS, st.integers(0, ROUNDS))
def test_rounds_before_a_change_are_as_they_were_without_it(script, first):
    quiet = lived([*script[:first], *([[]] * (ROUNDS - first))])
    loud = lived(script)
    for one, other in zip(quiet.results[:first], loud.results[:first], strict=True):
        assert round_digest("", one.events) == round_digest("", other.events)


def test_the_same_changes_at_other_rounds_make_another_log():
    one = change(K.EDIT_PROFILE, user_id=DATA.population.user_ids[0], tastes={"Drama": 3})
    early, late = lived([[one], [], [], []]), lived([[], [one], [], []])
    assert digest(early) != digest(late)


def test_interventions_alone_are_no_doing_of_anybody():
    """A run with a change that nothing depends on is, its own rows apart, the run without it."""
    told = change(K.TELL_USER, user_id=DATA.population.user_ids[0], said="Hello")
    quiet, loud = lived([[]] * ROUNDS), lived([[told], [], [told], []])
    for one, other in zip(quiet.results, loud.results, strict=True):
        rest = other.events.take(other.events.kind != EventKind.INTERVENTION)
        assert round_digest("", one.events) == round_digest("", rest)
        assert one.active == other.active
    np.testing.assert_array_equal(quiet.world.gap, loud.world.gap)
    np.testing.assert_array_equal(quiet.world.watches, loud.world.watches)


def test_a_script_of_all_kinds_comes_to_pass():
    """What the properties above are tried on does happen."""
    ids = DATA.population.user_ids
    network = DATA.network
    user = int(network.degrees().argmax())
    friend = int(network.other[network.ties_of(user)][0])
    life = lived([
        [added("new", DATA.catalog.genre_names[0]),
         change(K.WITHDRAW_ITEM, item_id=DATA.catalog.item_ids[0])],
        [change(K.REMOVE_RELATION, user_id=ids[user], other_user_id=ids[friend]),
         change(K.SET_RELATION, user_id=ids[0], other_user_id=ids[1], closeness=1)],
        [change(K.INJECT_POST, user_id=ids[0], text="Hm", item_id="new", sentiment=2),
         change(K.TELL_USER, user_id=ids[1], said="Hello")],
        [change(K.EDIT_PROFILE, user_id=ids[2], name="Zoë"),
         change(K.TAKE_OVER, user_id=ids[2]), change(K.HAND_BACK, user_id=ids[2])],
    ])  # fmt: skip
    kinds = {one.kind for result in life.results for one in of_events(result.events)}
    assert kinds == set(K)
    assert life.refused == 0
