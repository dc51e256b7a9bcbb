"""What praise is worth to users of the choice mind, and what they expect before watching."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from recarena.server.evidence import FALSE, PRAISE
from recarena.server.minds.choice import ChoiceMind, Coefficients
from recarena.server.minds.choice.utility import Utility
from recarena.server.randomness import Purpose, keys, logistic
from recarena.server.world import World
from support.pages import act, alike, view, worth

USERS = 400
PAGE = [1, 2, 3, 4, 5]
AT = 2
ITEM = PAGE[AT]


def world_of(**traits: object) -> World:
    rng = np.random.default_rng(4)
    taste = rng.normal(size=(USERS, 6)).astype(np.float32)
    return World(alike(USERS, **{"taste": taste, "trust": 0.8, "conformity": 0.3, **traits}), 5)


def genres(world: World, *, has: bool) -> tuple[int, ...]:
    return tuple(np.flatnonzero(world.catalog.genres[ITEM] == has).tolist())


def told(*claims: int) -> dict[tuple[int, int], tuple[int, ...]]:
    return {(row, AT): claims for row in range(USERS)}


def expected(world: World, *claims: int, at: int = AT, **coefficients: float) -> np.ndarray:
    seen = view(USERS, PAGE, claims=told(*claims) if claims else None)
    return Utility(Coefficients(**coefficients)).expected_rating(world, seen, at)


def truth(world: World) -> np.ndarray:
    """What is true of the item for each user by its own taste: mu + theta.x."""
    liking = world.taste @ world.catalog.attributes[ITEM]
    return world.population.mean_rating + liking


# ------------------------------------------------------------------------------ praise


def test_praise_moves_nobody_by_default():
    world = world_of()
    plain, praised = view(USERS, PAGE), view(USERS, PAGE, claims=told(PRAISE, PRAISE))
    assert (worth(world, plain) == worth(world, praised)).all()
    assert (act(world, plain).watched == act(world, praised).watched).all()
    assert (expected(world) == expected(world, PRAISE)).all()


def test_with_credulity_praise_counts_once_and_as_much_as_it_is_trusted():
    trust = np.linspace(0, 2, USERS, dtype=np.float32)
    world = world_of(trust=trust)
    utility = Utility(Coefficients(credulity=1.5))
    plain = utility.of_page(world, view(USERS, PAGE))
    for claims in ((PRAISE,), (PRAISE, PRAISE)):
        gained = utility.of_page(world, view(USERS, PAGE, claims=told(*claims))) - plain
        np.testing.assert_allclose(gained[:, AT], 1.5 * trust, atol=1e-5)
        assert (np.delete(gained, AT, axis=1) == 0).all()
        hoped = expected(world, *claims, credulity=1.5) - expected(world)
        np.testing.assert_allclose(hoped, 1.5 * trust, atol=1e-5)


def test_praise_does_not_make_up_for_a_false_claim():
    world = world_of()
    for mind in (Coefficients(), Coefficients(credulity=1.0)):
        utility = Utility(mind)
        both = utility.of_page(world, view(USERS, PAGE, claims=told(FALSE, PRAISE)))
        false = utility.of_page(world, view(USERS, PAGE, claims=told(FALSE)))
        praised = utility.of_page(world, view(USERS, PAGE, claims=told(PRAISE)))
        plain = utility.of_page(world, view(USERS, PAGE))
        np.testing.assert_allclose((both - plain), (false - plain) + (praised - plain), atol=1e-5)


# ------------------------------------------------------------------------------ before watching


def test_before_watching_half_of_the_taste_is_known():
    world = world_of()
    mean = world.population.mean_rating
    np.testing.assert_allclose(expected(world) - mean, (truth(world) - mean) / 2, atol=1e-5)
    np.testing.assert_allclose(expected(world, foresight=0.0), mean, atol=1e-6)
    np.testing.assert_allclose(expected(world, foresight=1.0), truth(world), atol=1e-5)


@pytest.mark.parametrize("trust", [0.3, 1.0, 5.0])
def test_true_claims_take_the_expectation_towards_the_truth_and_never_past_it(trust: float):
    # Tastes for genres alone, all of the same sign for a user.
    taste = np.zeros((USERS, 6), np.float32)
    taste[:, :4] = np.linspace(-1, 1, USERS, dtype=np.float32)[:, None]
    world = world_of(taste=taste, trust=trust)
    right = truth(world)
    off = np.abs(expected(world) - right)
    known = np.abs(expected(world, *genres(world, has=True)) - right)
    moved = off > 1e-6
    assert moved.any()
    assert (known[moved] < off[moved]).all()
    np.testing.assert_allclose(known, off * (1 - min(trust, 1.0)), atol=1e-5)


def test_a_claim_made_twice_tells_no_more():
    world = world_of()
    true = genres(world, has=True)
    assert (expected(world, *true) == expected(world, *true, *true)).all()


def test_false_claims_and_claims_of_other_items_leave_the_expectation_where_it_is():
    world = world_of()
    false = (*genres(world, has=False), FALSE)
    assert (expected(world, *false) == expected(world)).all()
    true = genres(world, has=True)
    assert (expected(world, *true, at=AT + 1) == expected(world, at=AT + 1)).all()
    assert (expected(world, *true) != expected(world)).any()


def test_of_an_item_seen_before_all_is_known_and_claims_tell_nothing():
    world = world_of()
    watched = np.tile([ITEM], (USERS, 1))
    seen = view(USERS, PAGE, claims=told(*genres(world, has=True)), watched_now=[ITEM])
    assert (seen.watched_now == watched).all()
    found = Utility(Coefficients()).expected_rating(world, seen, AT)
    np.testing.assert_allclose(found, truth(world), atol=1e-5)


def test_each_row_has_its_own_position():
    world = world_of()
    at = (np.arange(USERS) % len(PAGE)).astype(np.int32)
    seen = view(USERS, PAGE, claims=told(*genres(world, has=True)))
    utility = Utility(Coefficients())
    one_by_one = np.array([utility.expected_rating(world, seen, p) for p in range(len(PAGE))])
    found = utility.expected_rating(world, seen, at)
    assert (found == one_by_one[at, np.arange(USERS)]).all()


# ------------------------------------------------------------------------------ stars


def test_expected_stars_are_rounded_as_ratings_are():
    world = world_of()
    seen = view(USERS, PAGE, round=3)
    found = ChoiceMind().expected_stars(world, seen, AT)
    users = np.arange(USERS, dtype=np.int32)
    pull = 0.5 * 0.3
    steps = 0.35 * logistic(keys(5, Purpose.RATING_STEP, 3, users, np.full(USERS, ITEM)))
    shown = (1 - pull) * expected(world) + pull * world.displayed_rating[ITEM] + steps
    sure = np.abs(shown - np.floor(shown) - 0.5) > 1e-4
    assert (found == np.clip(np.rint(shown), 1, 5))[sure].all()
    assert len(set(found.tolist())) > 2


def test_stars_after_are_the_ratings_of_those_who_watch():
    world = world_of()
    seen = view(USERS, PAGE, round=2, claims=told(*genres(world, has=True)))
    mind = ChoiceMind(Coefficients(item=0.0))
    decision = act(world, seen, mind)
    row, column = np.nonzero(decision.watched >= 0)
    items = seen.items[row, decision.watched[row, column]]
    after = mind.stars_after(world, 2, seen.users[row], items)
    assert len(row) > USERS / 2
    assert (after == decision.rating[row, column]).all()


def test_praise_oversells_the_credulous_alone():
    world = world_of()
    plain, praised = view(USERS, PAGE), view(USERS, PAGE, claims=told(PRAISE))
    items = np.full(USERS, ITEM, np.int32)
    sober, credulous = ChoiceMind(), ChoiceMind(dataclasses.replace(Coefficients(), credulity=2.0))
    assert (
        sober.expected_stars(world, plain, AT) == sober.expected_stars(world, praised, AT)
    ).all()
    hoped = credulous.expected_stars(world, praised, AT)
    assert (hoped >= credulous.expected_stars(world, plain, AT)).all()
    after = credulous.stars_after(world, 1, plain.users, items)
    assert (after == sober.stars_after(world, 1, plain.users, items)).all()
    assert hoped.mean() > after.mean() + 0.5
