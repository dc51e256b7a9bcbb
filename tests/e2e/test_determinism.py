"""The same seed and the same answers give the same event log, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recarena.recommenders.ease import Ease
from recarena.recommenders.popular import Popular
from recarena.server.datasets.specs import open_world
from recarena.server.local import most_watched
from recarena.server.minds.choice import ChoiceMind
from recarena.server.ports import PageDecision, PageView
from recarena.server.rounds import RoundRules, play_round
from recarena.server.rpc.server import Server
from recarena.server.runs import replay
from recarena.server.store.run_folder import RunFolder
from recarena.server.store.volatile import VolatileStore
from recarena.server.types import EventColumns, EventKind, Outcome, Surface
from recarena.server.visits import VisitRules
from recarena.server.world import World
from support.arena import begin, finished, log_of, recommender, settings
from support.columns import assert_same
from support.raw_client import COLUMNAR, RICH, RawClient
from support.twin import TwinDoor, twin_run

SMALL = "new:users=90,seed=5,history=4"
ROUNDS = 3


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "runs") as server:
        yield server


async def digests(
    server: Server, name: str, log: Path, *options: str, runs: dict[str, dict[str, Any]]
) -> dict[str, str]:
    """Digests of runs that differ in the settings given, all served by one program."""
    found: dict[str, str] = {}
    async with recommender(server, name, *options, log=log):
        for run_id, values in runs.items():
            chosen = settings(name, **{"rounds": ROUNDS, **values})
            run = await begin(server, chosen, run_id=run_id, world=SMALL)
            found[run_id] = await finished(run)
            outcomes = set(log_of(run).of(EventKind.PAGE).outcome.tolist())
            assert outcomes == {Outcome.ACCEPTED}
    return found


# ------------------------------------------------------------------------------ seeds and cohorts
async def test_cohorts_and_concurrency_never_change_a_run(server, tmp_path):
    runs = {
        f"cohorts-{size}-{at_once}": {
            "execution": {"cohort_size": size, "cohorts_at_once": at_once}
        }
        for size in (1, 64, 4096)
        for at_once in (1, 8)
    }
    found = await digests(server, "ease", tmp_path / "log", runs=runs)
    assert len(set(found.values())) == 1, found


async def test_the_same_run_three_times_is_the_same_run(server, tmp_path):
    runs: dict[str, dict[str, Any]] = {f"again-{number}": {} for number in range(3)}
    found = await digests(server, "ease", tmp_path / "log", runs=runs)
    assert len(set(found.values())) == 1, found


async def test_another_seed_is_another_run(server, tmp_path):
    runs = {f"seed-{seed}": {"seed": seed} for seed in (1, 2, 2**63 - 1)}
    found = await digests(server, "popular", tmp_path / "log", runs=runs)
    assert len(set(found.values())) == 3, found


async def test_two_arms_are_as_repeatable_as_one(server, tmp_path):
    arms = [{"recommender": "popular", "weight": 1}, {"recommender": "ease", "weight": 2}]
    found = set()
    async with (
        recommender(server, "popular", log=tmp_path / "popular"),
        recommender(server, "ease", log=tmp_path / "ease"),
    ):
        for size in (7, 4096):
            chosen = settings(*arms, rounds=ROUNDS, execution={"cohort_size": size})
            found.add(await finished(await begin(server, chosen, f"two-{size}", SMALL)))
    assert len(found) == 1


# ------------------------------------------------------------------------------ encodings and twins
async def test_works_of_any_size_in_any_encoding_give_the_same_log(server, tmp_path):
    found = {}
    for encoding, sizes in (("rich", (3, 64, 256)), ("columnar", (5, 4096))):
        runs = {f"{encoding}-{size}": {"session": {"max_users_per_work": size}} for size in sizes}
        log = tmp_path / encoding
        found |= await digests(server, "ease", log, "--encoding", encoding, runs=runs)
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("columnar", [True, False], ids=["columnar", "rich"])
@pytest.mark.parametrize(("name", "kind"), [("popular", Popular), ("ease", Ease)])
async def test_a_recommender_in_the_servers_process_is_the_twin_of_the_program(
    server, tmp_path, name, kind, columnar
):
    encoding = "columnar" if columnar else "rich"
    remote = await digests(
        server, name, tmp_path / "log", "--encoding", encoding, runs={"remote": {}}
    )
    door = TwinDoor({name: kind}, columnar=columnar)
    run = await twin_run(tmp_path / "twin", settings(name, rounds=ROUNDS), SMALL, door)
    local = await finished(run)
    await run.close()
    assert local == remote["remote"]


class Unordered:
    """Answers every work after a delay of its own, so in an order of its own."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.order: list[str] = []

    async def serve(self, client: RawClient) -> None:
        async with asyncio.TaskGroup() as group:

            def answers(raw: RawClient, kind: str, work: Any) -> list[Any]:
                group.create_task(self._later(raw, kind, work))
                return []

            await client.serve(answers)

    async def _later(self, client: RawClient, kind: str, work: Any) -> None:
        await asyncio.sleep(self._random.uniform(0, 0.03))
        self.order.append(work.header.work_id)
        await client.send(client.answer(kind, work))


@pytest.mark.parametrize("capabilities", [RICH, COLUMNAR], ids=["rich", "columnar"])
async def test_the_order_in_which_answers_come_is_irrelevant(server, capabilities):
    found, orders = set(), set()
    for seed in (1, 2, 3):
        chosen = settings(
            "raw",
            rounds=3,
            session={"max_users_per_work": 4},
            execution={"cohort_size": 9, "cohorts_at_once": 8},
        )
        run = await begin(server, chosen, run_id=f"order-{seed}", world=SMALL)
        unordered = Unordered(seed)
        async with RawClient(server.address) as client:
            await client.join(capabilities=capabilities, max_outstanding_work=64)
            await unordered.serve(client)
        found.add(await finished(run))
        orders.add(tuple(unordered.order))
    assert len(found) == 1
    assert len(orders) == 3


# ------------------------------------------------------------------------------ mirrored worlds
async def test_mirrored_worlds_share_their_users_and_first_decisions(server, tmp_path):
    runs = {}
    for name in ("popular", "random"):
        async with recommender(server, name, log=tmp_path / name):
            run = await begin(server, settings(name, rounds=2), run_id=name, world=SMALL)
            await finished(run)
            runs[name] = run
    one, two = runs["popular"], runs["random"]
    assert one.data.population.user_ids == two.data.population.user_ids
    np.testing.assert_array_equal(one.arm_of_user, two.arm_of_user)
    first, second = (
        log_of(run, 1).of(
            EventKind.IDLE, EventKind.ENTER_RECOMMENDER, EventKind.ENTER_SOCIAL,
            EventKind.CHAT, EventKind.POST,
        )
        for run in (one, two)
    )  # fmt: skip
    assert_same(first, second)
    pages = [log_of(run, 1).of(EventKind.PAGE) for run in (one, two)]
    opened = [set(page.user[page.step == 0].tolist()) for page in pages]
    assert opened[0] == opened[1]
    assert one.folder.digest != two.folder.digest


# ------------------------------------------------------------------------------ the log is enough
STATE = (
    "taste", "experience", "fatigue", "gap", "last_item", "last_rating", "unshared", "unread",
    "unread_author", "unread_item", "watches", "item_watches", "item_ratings", "item_rating_sum",
    "popularity", "displayed_rating", "by_person", "turn_time_s",
)  # fmt: skip
"""Columns of a world that change."""


def assert_same_world(found: World, expected: World) -> None:
    assert found.round == expected.round
    for name in STATE:
        left, right = getattr(found, name), getattr(expected, name)
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)
    for name in ("item", "strength", "sender", "round"):
        left, right = getattr(found.heard, name), getattr(expected.heard, name)
        np.testing.assert_array_equal(left, right, err_msg=f"heard.{name}")
    for user in range(expected.users):
        np.testing.assert_array_equal(found.watched.of(user), expected.watched.of(user))


def state_names(world: World) -> set[str]:
    """Columns of the world that `apply` may write."""
    fixed = {"taste_scale"}
    return {
        name for name, value in vars(world).items()
        if isinstance(value, np.ndarray) and name not in fixed
    }  # fmt: skip


async def played(spec: str, seed: int, rounds: int, rules: RoundRules) -> tuple[World, Any]:
    data = open_world(spec)
    world, store, mind = World(data, seed), VolatileStore(), ChoiceMind()
    arm_of_user = np.zeros(world.users, np.int8)
    for _ in range(rounds):
        result = await play_round(world, mind, [most_watched(world)], arm_of_user, rules)
        await store.commit(result, None)  # type: ignore[arg-type]
        world.apply(result)
    return world, store


def test_no_column_of_the_world_is_left_out_here():
    world = World(open_world("new:users=5,seed=1,history=1"), 1)
    assert state_names(world) == set(STATE)


@hypothesis_settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), users=st.integers(2, 70), rounds=st.integers(1, 5))
def test_the_log_applied_to_the_first_world_gives_the_last(seed, users, rounds):
    spec = f"new:users={users},seed={seed % 1000},history=3"
    world, store = asyncio.run(played(spec, seed, rounds, RoundRules()))
    again = World(open_world(spec), seed)
    replay(again, ChoiceMind(), store)
    assert_same_world(again, world)


async def test_a_run_that_is_opened_again_has_the_world_that_it_had(tmp_path):
    door = TwinDoor({"popular": Popular})
    run = await twin_run(tmp_path / "run", settings("popular", rounds=5), SMALL, door)
    await finished(run)
    await run.close()
    with contextlib.closing(RunFolder.open(tmp_path / "run")) as folder:
        again = World(folder.world(), run.settings.seed, run.settings.world_dynamics())
        replay(again, ChoiceMind(), folder)
        assert_same_world(again, run.world)
        assert folder.verify_digest() == folder.digest


async def test_a_round_changes_nothing_until_it_is_applied():
    world, _ = await played(SMALL, 3, 2, RoundRules())
    untouched, _ = await played(SMALL, 3, 2, RoundRules())
    arm_of_user = np.zeros(world.users, np.int8)
    result = await play_round(world, ChoiceMind(), [most_watched(world)], arm_of_user, RoundRules())
    assert_same_world(world, untouched)
    again = await play_round(world, ChoiceMind(), [most_watched(world)], arm_of_user, RoundRules())
    assert_same(again.events, result.events)


@pytest.mark.parametrize("wrong", [0, 1, 3])
async def test_a_round_out_of_its_turn_is_not_applied(wrong):
    world, store = await played("new:users=20,seed=1,history=1", 1, 1, RoundRules())
    (result,) = store.results
    with pytest.raises(ValueError, match="does not follow"):
        world.apply(type(result)(wrong, 0, result.events, result.memories))


# ------------------------------------------------------------------------------ batches of one mind
@pytest.fixture(scope="module")
def lived_in() -> World:
    """A world after three rounds: with fatigue, hearsay, unread posts."""
    return asyncio.run(played("new:users=120,seed=9,history=5", 4, 3, RoundRules()))[0]


def view_of(world: World, users: list[int], seed: int) -> PageView:
    """Pages of any kind for these users."""
    rng = np.random.default_rng(seed)
    n = len(users)
    items = np.array([rng.choice(world.items, 5, replace=False) for _ in users], np.int32)
    items = items.reshape(n, 5)
    items[rng.random(n) < 0.2, 3:] = -1
    watched_now = rng.integers(-1, world.items, (n, 3)).astype(np.int32)
    return PageView(
        round=world.round + 1,
        step=int(rng.integers(0, 9)),
        users=np.array(users, np.int32),
        items=items,
        page=rng.integers(0, 4, n).astype(np.int16),
        surface=rng.choice([Surface.FEED, Surface.SEARCH], n).astype(np.int8),
        sought=np.where(rng.random(n) < 0.2, items[:, 0], -1).astype(np.int32),
        can_search=bool(rng.random() < 0.8),
        watched_now=watched_now,
        claims={(row, 1): (0, -1) for row in range(0, n, 3)},
    )


def part_of(view: PageView, rows: list[int]) -> PageView:
    at = {old: new for new, old in enumerate(rows)}
    return PageView(
        view.round, view.step, view.users[rows], view.items[rows], view.page[rows],
        view.surface[rows], view.sought[rows], view.can_search, view.watched_now[rows],
        {(at[row], p): claim for (row, p), claim in view.claims.items() if row in at},
    )  # fmt: skip


DECIDED = ("watched", "rating", "appraisal", "code", "action", "sought", "sought_code")


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    users=st.lists(st.integers(0, 119), min_size=1, max_size=40, unique=True),
    seed=st.integers(0, 10_000),
    data=st.data(),
)
def test_what_users_do_with_a_page_does_not_depend_on_the_batch(lived_in, users, seed, data):
    mind = ChoiceMind()
    view = view_of(lived_in, sorted(users), seed)
    whole: PageDecision = asyncio.run(mind.act(lived_in, view))
    rows = data.draw(st.permutations(range(len(users))))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(users)), max_size=5)))
    bounds = [0, *cuts, len(rows)]
    for first, last in itertools.pairwise(bounds):
        chosen = list(rows[first:last])
        if not chosen:
            continue
        part = asyncio.run(mind.act(lived_in, part_of(view, chosen)))
        for name in DECIDED:
            found, expected = getattr(part, name), getattr(whole, name)[chosen]
            np.testing.assert_array_equal(found, expected, err_msg=name)


@hypothesis_settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, 120), round=st.integers(4, 30))
def test_what_users_choose_and_say_does_not_depend_on_the_batch(lived_in, cut, round):
    mind = ChoiceMind()
    everybody = np.arange(lived_in.users, dtype=np.int32)

    async def decided(users: np.ndarray) -> list[np.ndarray]:
        said = await mind.socialise(lived_in, round, users)
        return [
            (await mind.choose_activity(lived_in, round, users)).kind,
            (await mind.opens_with_words(lived_in, round, users)).code,
            said.kind, said.partner, said.item, said.sentiment, said.code,
        ]  # fmt: skip

    async def both() -> None:
        whole = await decided(everybody)
        first, second = await decided(everybody[:cut]), await decided(everybody[cut:])
        for found, expected in zip(zip(first, second, strict=True), whole, strict=True):
            np.testing.assert_array_equal(np.concatenate(found), expected)

    asyncio.run(both())


@hypothesis_settings(max_examples=6, deadline=None)
@given(size=st.integers(1, 50), at_once=st.integers(1, 9), pages=st.integers(1, 6))
def test_a_round_does_not_depend_on_how_it_is_cut(size, at_once, pages):
    visits = VisitRules(page_size=pages, step_cap=4)
    plain = RoundRules(visits)
    cut = RoundRules(visits, cohort_size=size, cohorts_at_once=at_once)
    logs = [asyncio.run(played("new:users=50,seed=2,history=2", 6, 2, r))[1] for r in (plain, cut)]
    assert logs[0].digest == logs[1].digest
    for one, two in zip(logs[0].results, logs[1].results, strict=True):
        assert_same(one.events, two.events)
        assert_same(one.memories, two.memories)


def test_events_stand_in_the_order_of_users_and_of_their_doings():
    _, store = asyncio.run(played(SMALL, 8, 3, RoundRules(cohort_size=7)))
    for result in store.results:
        events: EventColumns = result.events
        assert (np.diff(events.user) >= 0).all()
        for user in np.unique(events.user):
            mine = events.take(events.user == user)
            assert (np.diff(mine.step) >= 0).all()
            first = EventKind(int(mine.kind[0]))
            entered = (EventKind.IDLE, EventKind.ENTER_RECOMMENDER, EventKind.ENTER_SOCIAL)
            assert first in entered
            if first is EventKind.ENTER_RECOMMENDER:
                assert mine.kind[-1] == EventKind.LEAVE
