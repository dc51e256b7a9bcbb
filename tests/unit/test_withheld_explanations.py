"""Who gets to see an explanation: a draw for the round, the user and the item, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.lists import withheld
from recarena.server.minds.choice import ChoiceMind
from recarena.server.ports import Lists, PageDecision, PageView, RankRequest, WorldView
from recarena.server.types import EventKind, Explained
from recarena.server.visits import VisitRules, merged, visit
from recarena.server.world import World
from support.pages import alike, rotating

USERS = np.arange(300, dtype=np.int32)
ITEMS = ((USERS[:, None] * 7 + np.arange(5)) % 90).astype(np.int32)
ALL = [(row, position) for row in range(300) for position in range(5)]


def held(share: float, *, seed: int = 3, round: int = 2) -> set[tuple[int, int]]:
    return withheld(seed, round, USERS, ITEMS, ALL, share)


@given(shares=st.tuples(st.floats(0, 1), st.floats(0, 1)), seed=st.integers(0, 2**62))
def test_whoever_sees_one_at_a_share_sees_it_at_any_larger(shares, seed):
    low, high = sorted(shares)
    less, more = held(high, seed=seed), held(low, seed=seed)
    assert less <= more <= set(ALL)
    for share, found in ((low, more), (high, less)):
        spread = 5 * np.sqrt(share * (1 - share) / len(ALL)) + 1e-3
        assert abs(len(found) / len(ALL) - (1 - share)) <= spread


def test_at_the_ends_all_or_none_are_withheld():
    assert held(1.0) == set()
    assert held(0.0) == set(ALL)
    assert withheld(1, 1, USERS, ITEMS, [], 0.5) == set()


def test_seed_and_round_make_a_difference():
    assert held(0.5) == held(0.5)
    assert held(0.5) != held(0.5, seed=4)
    assert held(0.5) != held(0.5, round=3)


@given(st.lists(st.integers(0, 299), min_size=1, max_size=12, unique=True))
def test_who_else_is_asked_for_makes_none(rows):
    some = np.array(rows)
    told = [(row, position) for row in range(len(rows)) for position in range(5)]
    found = withheld(3, 2, USERS[some], ITEMS[some], told, 0.5)
    whole = held(0.5)
    assert found == {(r, p) for r, p in told if (rows[r], p) in whole}


def test_lists_that_are_put_together_keep_what_is_withheld_in_its_place():
    one = Lists(ITEMS[:2], np.ones(2, np.int8), withheld={(0, 1), (1, 4)})
    other = Lists(ITEMS[2:3], np.ones(1, np.int8), withheld={(0, 0)})
    found = merged(3, 5, [(np.array([2, 0]), one), (np.array([1]), other)])
    assert found.withheld == {(2, 1), (0, 4), (1, 0)}


class Watching(ChoiceMind):
    """The choice mind, and the pages that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[PageView] = []

    async def act(self, world: WorldView, view: PageView) -> PageDecision:
        self.seen.append(view)
        return await super().act(world, view)


def test_users_see_neither_words_nor_claims_of_what_is_withheld():
    world, mind = World(alike(4), 5), Watching()
    arm = rotating(world)
    plain_rank = arm.rank

    async def rank(request: RankRequest) -> Lists:
        lists = await plain_rank(request)
        at = [(row, p) for row in range(len(request.users)) for p in (0, 1)]
        return replace(
            lists,
            explanations={one: f"why {one[1]}" for one in at},
            evidence=dict.fromkeys(at, '[["feature","genre=Drama"]]'),
            claims=dict.fromkeys(at, (0,)),
            withheld={one for one in at if one[1] == 0},
        )

    arm.rank = rank
    users = np.arange(4, dtype=np.int32)
    rules = VisitRules(page_size=3, step_cap=1)
    events, _ = asyncio.run(visit(world, mind, arm, rules, 1, users))
    (view,) = mind.seen
    assert view.explanations == {(row, 1): "why 1" for row in range(4)}
    assert view.claims == {(row, 1): (0,) for row in range(4)}
    shown = events.of(EventKind.SHOWN)
    assert shown.code.tolist() == [Explained.WITHHELD, Explained.SHOWN, Explained.NONE] * 4
    assert [shown.text.get(row) for row in range(3)] == ["why 0", "why 1", None]
    assert sorted(shown.evidence) == sorted(shown.text)
