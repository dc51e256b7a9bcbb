"""People among users: they do as they say, everybody else as ever, and nothing else shows it."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recarena.server.datasets.specs import open_world
from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import LogDeparted
from recarena.server.feedback import feedback_of
from recarena.server.hearing import deliver
from recarena.server.minds.choice import ChoiceMind
from recarena.server.minds.person.logged import LoggedMind
from recarena.server.minds.person.mind import PersonMind
from recarena.server.minds.person.turns import (
    ActivityTurn,
    Choice,
    Doing,
    Opened,
    OpeningTurn,
    PageChoice,
    PageTurn,
    Said,
    Turn,
    WatchChoice,
)
from recarena.server.narration import Narrator
from recarena.server.ports import Activities, Mind, PageDecision, PageView
from recarena.server.rounds import RoundRules, play_round
from recarena.server.store.digest import round_digest
from recarena.server.types import EventColumns, EventKind, Ints, MemoryKind, RoundResult
from recarena.server.world import World
from support.clock import BEGIN, VirtualLoop, now
from support.columns import assert_same
from support.pages import rotating
from support.people import Fixed, Scripted, late_or_early, taken_over, whim

PEOPLE = (3, 40, 77)
OTHERS = np.setdiff1d(np.arange(80), PEOPLE)


@cache
def small() -> WorldData:
    return open_world("new:users=80,seed=6,history=3")


@cache
def crowd() -> WorldData:
    return open_world("new:users=500,seed=6,history=3")


def world_of(data: WorldData, *people: int) -> World:
    return taken_over(World(data.own(), 5), *people)


async def rounds(
    world: World, mind: Mind, count: int = 3, rules: RoundRules | None = None
) -> list[RoundResult]:
    arms = [rotating(world), rotating(world, 1)]
    arms[1].can_converse = True
    arm_of_user = (np.arange(world.users) % 2).astype(np.int8)
    results: list[RoundResult] = []
    for _ in range(count):
        result = await play_round(world, mind, arms, arm_of_user, rules or RoundRules())
        world.apply(result)
        mind.committed(result.round, result.memories)
        results.append(result)
    return results


def played(mind: Mind, *people: int, count: int = 3, rules: Any = None) -> list[RoundResult]:
    return asyncio.run(rounds(world_of(small(), *people), mind, count, rules))


def visit(turn: Turn) -> Choice:
    """Opens the recommender without words."""
    return Opened() if isinstance(turn, OpeningTurn) else Doing(EventKind.ENTER_RECOMMENDER)


def visit_once(turn: Turn) -> Choice:
    """Looks at one page."""
    return PageChoice() if isinstance(turn, PageTurn) else visit(turn)


def of_user(events: EventColumns, *users: int) -> EventColumns:
    return events.take(np.isin(events.user, users))


# ------------------------------------------------------------------------------ everybody else
def test_without_people_the_mind_is_the_inner_one_itself():
    class Told(ChoiceMind):
        """Keeps what it is asked with."""

        async def choose_activity(self, world: Any, round: int, users: Ints) -> Activities:
            self.users, self.chosen = users, await super().choose_activity(world, round, users)
            return self.chosen

        async def act(self, world: Any, view: PageView) -> PageDecision:
            self.view, self.decision = view, await super().act(world, view)
            return self.decision

    async def ask() -> None:
        inner, desk = Told(), Scripted()
        mind, world = PersonMind(inner, desk), world_of(small())
        users = np.arange(80, dtype=np.int32)
        chosen = await mind.choose_activity(world, 1, users)
        assert chosen is inner.chosen
        assert inner.users is users
        view = PageView(
            1, 0, users, np.zeros((80, 5), np.int32), np.zeros(80, np.int16),
            np.ones(80, np.int8), np.full(80, -1, np.int32), False, np.empty((80, 0), np.int32),
        )  # fmt: skip
        assert await mind.act(world, view) is inner.decision
        assert inner.view is view
        assert len(mind.manners()) == 1
        assert desk.turns == []

    asyncio.run(ask())


def test_others_do_in_the_first_round_what_they_did_without_people():
    plain = played(ChoiceMind(), count=1)[0]
    with_people = played(PersonMind(ChoiceMind(), Scripted()), *PEOPLE, count=1)[0]
    assert_same(of_user(with_people.events, *OTHERS), of_user(plain.events, *OTHERS))
    assert len(of_user(with_people.events, *PEOPLE)) > 0


def test_people_who_let_every_turn_pass_change_nothing():
    plain = played(ChoiceMind())
    mind = PersonMind(ChoiceMind(), Scripted(lambda _: None))
    passed = played(mind, *PEOPLE)
    for one, other in zip(plain, passed, strict=True):
        assert_same(other.events, one.events)
        assert_same(other.memories, one.memories)
    assert mind.missed(3) == list(PEOPLE)
    assert mind.missed(2) == []


def test_who_decided_anything_has_not_missed_the_round():
    def only_at_first(turn: Turn) -> Choice | None:
        return whim(turn) if isinstance(turn, ActivityTurn) and turn.user == 3 else None

    mind = PersonMind(ChoiceMind(), Scripted(only_at_first))
    played(mind, *PEOPLE, count=1)
    assert mind.missed(1) == [40, 77]


def test_cohorts_of_any_size_make_the_same_log():
    one = played(PersonMind(ChoiceMind(), Scripted()), *PEOPLE)
    for rules in (RoundRules(cohort_size=1), RoundRules(cohort_size=7, cohorts_at_once=1)):
        other = played(PersonMind(ChoiceMind(), Scripted()), *PEOPLE, rules=rules)
        for left, right in zip(one, other, strict=True):
            assert_same(left.events, right.events)


def test_nobody_else_waits_while_a_person_looks_at_a_page():
    acted = dict[int, float]()

    class Timed(ChoiceMind):
        """Notes when users were last at it."""

        async def act(self, world: Any, view: PageView) -> PageDecision:
            acted.update(dict.fromkeys(view.users.tolist(), now()))
            return await super().act(world, view)

    async def linger(turn: Turn) -> None:
        if isinstance(turn, PageTurn):
            await asyncio.sleep(50.0)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world = world_of(small(), 40, 77)
        mind = PersonMind(Timed(), Scripted(visit_once, linger))
        runner.run(rounds(world, mind, 1, RoundRules(cohort_size=8, cohorts_at_once=1)))
        assert set(acted.values()) == {BEGIN}
        assert not {40, 77} & acted.keys()
        assert runner.get_loop().time() == BEGIN + 50.0, "both looked at their pages at once"


def test_a_batch_of_people_and_others_is_decided_row_by_row():
    """Whoever asks a mind need not part its users by manners."""

    async def ask() -> None:
        world = world_of(small(), 2, 5)
        mind = PersonMind(ChoiceMind(), Scripted())
        users = np.arange(8, dtype=np.int32)
        await mind.choose_activity(world, 1, users)
        view = PageView(
            1, 0, users, np.arange(40, dtype=np.int32).reshape(8, 5), np.zeros(8, np.int16),
            np.ones(8, np.int8), np.full(8, -1, np.int32), True, np.empty((8, 0), np.int32),
        )  # fmt: skip
        decided, habit = await mind.act(world, view), await ChoiceMind().act(world, view)
        rows = np.array([0, 1, 3, 4, 6, 7])
        for name in ("watched", "rating", "appraisal", "code", "action", "sought", "sought_code"):
            np.testing.assert_array_equal(getattr(decided, name)[rows], getattr(habit, name)[rows])
        assert decided.watched[[2, 5]].tolist() == [[2, 0, -1, -1, -1]] * 2
        assert decided.query == {2: "an old comedy", 5: "an old comedy"}
        talk = await mind.socialise(world, 1, users)
        other = await ChoiceMind().socialise(world, 1, users)
        np.testing.assert_array_equal(talk.item[rows], other.item[rows])
        assert set(talk.words) == {2, 5}
        said = await mind.opens_with_words(world, 1, users)
        assert set(said.words) == {2, 5}

    asyncio.run(ask())


# ------------------------------------------------------------------------------ what people do
def test_people_leave_the_events_memories_feedback_and_deliveries_of_a_mind_that_decides_the_same():
    people = played(PersonMind(ChoiceMind(), Scripted()), *PEOPLE, count=6)
    twin = played(Fixed(whim, PEOPLE), *PEOPLE, count=6)
    network = small().network
    everybody = np.ones(80, np.bool_)
    for one, other in zip(people, twin, strict=True):
        assert_same(one.events, other.events)
        assert_same(one.memories, other.memories)
        left, right = (feedback_of(each.events, everybody, each.round) for each in (one, other))
        np.testing.assert_array_equal(left.rating, right.rating)
        np.testing.assert_array_equal(left.item, right.item)
        np.testing.assert_array_equal(
            deliver(one.events, network).recipient, deliver(other.events, network).recipient
        )
    kinds = set(of_user(EventColumns.concat([one.events for one in people]), *PEOPLE).kind.tolist())
    assert kinds == {
        EventKind.ENTER_RECOMMENDER, EventKind.ENTER_SOCIAL, EventKind.PAGE, EventKind.SHOWN,
        EventKind.WATCH, EventKind.SEARCH, EventKind.NEXT, EventKind.LEAVE, EventKind.CHAT,
        EventKind.POST, EventKind.CONVERSE,
    }  # fmt: skip


def test_watches_ratings_and_words_are_the_persons_own_in_their_order():
    def two(turn: Turn) -> Choice:
        if isinstance(turn, PageTurn):
            return PageChoice((WatchChoice(3, 2, "not for me"), WatchChoice(1)))
        return visit(turn)

    world = world_of(small(), 3)
    result = asyncio.run(rounds(world, PersonMind(ChoiceMind(), Scripted(two)), 1))[0]
    mine = of_user(result.events, 3)
    shown, watches = mine.of(EventKind.SHOWN), mine.of(EventKind.WATCH)
    assert watches.position.tolist() == [3, 1]
    assert watches.item.tolist() == shown.item[[3, 1]].tolist()
    assert watches.value.tolist() == [2.0, 0.0]
    mean = float(world.population.mean_rating[3])
    assert watches.appraisal[0] == np.rint((2 - mean) * 256) / 256
    assert watches.appraisal[1] == 0
    assert watches.text == {0: "not for me"}
    rows = np.flatnonzero(
        (result.memories.user == 3) & (result.memories.kind == MemoryKind.WATCHED)
    )
    told = [Narrator(world.catalog, world.population).memory(result.memories, row) for row in rows]
    assert told[0].endswith("and rated it 2: not for me")
    assert ":" not in told[1].removeprefix("I watched ")


def test_words_of_a_person_reach_the_partner_of_a_chat_and_the_readers_of_a_post():
    ties = small().network
    friend = int(ties.other[ties.ties_of(3)][0])

    def talk(partner: int, turn: Turn) -> Choice:
        if isinstance(turn, ActivityTurn):
            return Doing(EventKind.ENTER_SOCIAL)
        return Said("you must see this", partner, 7, 2.0)

    for partner, kind, heard in (
        (friend, EventKind.CHAT, MemoryKind.HEARD),
        (-1, EventKind.POST, MemoryKind.READ),
    ):
        world = world_of(small(), 3)
        mind = PersonMind(ChoiceMind(), Scripted(partial(talk, partner)))
        result = asyncio.run(rounds(world, mind, 1))[0]
        narrator = Narrator(world.catalog, world.population)
        mine = of_user(result.events, 3)
        assert mine.kind.tolist() == [EventKind.ENTER_SOCIAL, kind]
        assert "“you must see this”" in narrator.sentence(mine, 1)
        rows = (result.memories.source == 3) & (result.memories.kind == heard)
        hearers = result.memories.user[rows].tolist()
        known = ties.other[ties.ties_of(3)].tolist()
        assert hearers == ([friend] if partner >= 0 else sorted(known))
        told = {narrator.memory(result.memories, row) for row in np.flatnonzero(rows)}
        verb = "said" if partner >= 0 else "posted"
        assert told == {f"{narrator.name(3)} {verb}: you must see this"}
        assert world.heard.item[friend].tolist().count(7) == 1


def test_a_turn_says_what_led_to_the_page_and_whether_it_is_the_last():
    turns: list[Turn] = []

    def search_on(turn: Turn) -> Choice:
        turns.append(turn)
        if isinstance(turn, PageTurn):
            return PageChoice(action=EventKind.SEARCH, query=f"words {turn.view.step}")
        return visit(turn)

    events = played(PersonMind(ChoiceMind(), Scripted(search_on)), 3, count=1)[0].events
    pages = [turn for turn in turns if isinstance(turn, PageTurn)]
    assert [turn.query for turn in pages] == ["", *(f"words {step}" for step in range(9))]
    assert [turn.last for turn in pages] == [False] * 9 + [True]
    assert of_user(events, 3).kind[-1] == EventKind.LEAVE


# ------------------------------------------------------------------------------ late, and again
@pytest.mark.parametrize("answered", range(1, 4))
def test_past_a_missed_turn_the_users_own_mind_decides_to_the_end_of_the_round(answered):
    left = {"turns": answered}
    missed = set[tuple[int, int]]()

    def tire(turn: Turn) -> Choice | None:
        if (turn.user, turn.round) in missed:
            return None
        if isinstance(turn, ActivityTurn):
            left["turns"] = answered
        left["turns"] -= 1
        if left["turns"] < 0:
            missed.add((turn.user, turn.round))
            return None
        return whim(turn)

    results = played(PersonMind(ChoiceMind(), Scripted(tire)), 3, count=4)
    assert missed
    watches = of_user(EventColumns.concat([one.events for one in results]), 3).of(EventKind.WATCH)
    by_template = watches.code != 0
    for round in range(1, 5):
        pages = by_template[watches.round == round]
        assert not (np.diff(pages.astype(int)) < 0).any(), "once the mind decides, it goes on"
    again(results, 3)


def again(results: list[RoundResult], *people: int) -> None:
    """The rounds come out as they were when what people did is taken from them."""
    world, mind = world_of(small(), *people), LoggedMind(ChoiceMind())
    for result in results:
        mind.opens(result.events, result.memories)
        found = asyncio.run(rounds(world, mind, 1))[0]
        assert_same(found.events, result.events)
        assert round_digest("", found.events) == round_digest("", result.events)
        assert_same(found.memories, result.memories)


def test_a_log_without_what_a_person_did_departs():
    results = played(PersonMind(ChoiceMind(), Scripted()), 3, count=1)
    world, mind = world_of(small(), 3), LoggedMind(ChoiceMind())
    gone = results[0].events.take(results[0].events.user != 3)
    mind.opens(gone, results[0].memories)
    with pytest.raises(LogDeparted, match=r"round 1, user .* but the log has nothing"):
        asyncio.run(rounds(world, mind, 1))


def test_rounds_with_people_come_out_as_they_were_from_their_log():
    results = played(PersonMind(ChoiceMind(), Scripted()), *PEOPLE, count=6)
    again(results, *PEOPLE)


@hypothesis_settings(max_examples=12, deadline=None)
@given(delays=st.lists(st.floats(0, 59), min_size=3, max_size=3), size=st.sampled_from([64, 4096]))
def test_three_people_and_500_users_make_one_log_in_whatever_order_people_answer(delays, size):
    assert of_crowd(dict(zip(PEOPLE, delays, strict=True)), size) == of_crowd_at_once()


@cache
def of_crowd_at_once() -> str:
    return of_crowd({}, 4096)


def of_crowd(delays: dict[int, float], size: int) -> str:
    """Digest of two rounds in which people take so long for each turn."""
    world = world_of(crowd(), *PEOPLE)
    desk = Scripted(wait=partial(late_or_early, delays=delays))
    mind, digest = PersonMind(ChoiceMind(), desk), ""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        for result in runner.run(rounds(world, mind, 2, RoundRules(cohort_size=size))):
            digest = round_digest(digest, result.events)
    assert len(desk.turns) > 6
    return digest
