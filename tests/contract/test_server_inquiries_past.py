"""Whoever is asked about the past of a run stands in the world as it was, before the same page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recarena.server.inquiring import sittings
from recarena.server.inquiring.choosing import ChoiceRespondent, together, under
from recarena.server.inquiring.moments import Past, Walk
from recarena.server.inquiring.questions import Answers, Choose, Impression, Inquiry, Talk, Words
from recarena.server.inquiring.respondent import Moment, Seen
from recarena.server.inquiring.sittings import Judge, Sittings
from recarena.server.mind_rules import MindRules
from recarena.server.minds.choice import ChoiceMind
from recarena.server.ports import PageDecision, PageView, WorldView
from recarena.server.rpc.server import Server
from recarena.server.runs import Run
from recarena.server.types import EventKind, MemoryColumns, Surface
from recarena.server.world import World
from recarena.v1 import simulation_inquiry_service_pb2 as pb
from support.arena import log_of, settings
from support.operators import Operator

ROUNDS = 3
SETTINGS = {"choice": {"search": 1.0, "go_on": 1.5}}


def columns(world: Any, into: dict[str, Any] | None = None, at: str = "") -> dict[str, Any]:
    """Every array and number of a world, by its name."""
    found = {} if into is None else into
    for name, value in vars(world).items():
        if isinstance(value, np.ndarray | np.generic | int | float):
            found[f"{at}{name}"] = value
        elif name in ("watched", "heard"):
            columns(value, found, f"{at}{name}.")
    return found


def assert_same_worlds(one: World, other: World) -> None:
    mine, others = columns(one), columns(other)
    assert mine.keys() == others.keys()
    assert {"taste", "watched._bits", "heard.item", "displayed_rating", "round"} <= mine.keys()
    for name, value in mine.items():
        np.testing.assert_array_equal(value, others[name], name)


class Onlooker:
    """Keeps what each page looked like to who saw it, and what became of it."""

    def __init__(self) -> None:
        self.pages: list[tuple[PageView, PageDecision]] = []

    def beside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        act = ChoiceMind.act

        async def watched(mind: ChoiceMind, world: WorldView, view: PageView) -> PageDecision:
            decision = await act(mind, world, view)
            self.pages.append((view, decision))
            return decision

        monkeypatch.setattr(ChoiceMind, "act", watched)


@pytest.fixture
async def played(tmp_path: Path) -> Any:
    """A run with searches and visits of many pages, and what its pages looked like."""
    onlooker = Onlooker()
    with pytest.MonkeyPatch.context() as monkeypatch:
        onlooker.beside(monkeypatch)
        async with Server(tmp_path / "runs") as server:
            operator = Operator(server)
            run = await operator.played(round_limit=ROUNDS, settings=SETTINGS)
            yield run, onlooker, server
            await operator.channel.close()


async def test_pages_of_the_past_are_those_that_users_saw(played):
    run, onlooker, _ = played
    past = Past(run.folder.path)
    surfaces, sought, later = set(), 0, 0
    for view, _ in onlooker.pages:
        for row, user in enumerate(view.users.tolist()):
            position = int(np.flatnonzero(view.items[row] >= 0)[-1])
            shown = Impression(view.step, position)
            item = await past.item_at(user, view.round, shown, "here")
            assert item == view.items[row, position]
            inquiry = Inquiry("a", user, view.round, Choose(), item, shown)
            seen = await past.seen(inquiry, "here")
            assert seen.position == position
            for name in ("users", "items", "page", "surface", "sought"):
                mine = getattr(seen.view, name)
                assert mine.dtype == getattr(view, name).dtype, name
                np.testing.assert_array_equal(mine[0], getattr(view, name)[row], name)
            assert (seen.view.step, seen.view.can_search) == (view.step, view.can_search)
            just = [one for one in view.watched_now[row].tolist() if one >= 0]
            assert seen.view.watched_now[0].tolist() == just
            surfaces.add(int(view.surface[row]))
            sought += int(view.sought[row] >= 0)
            later += bool(just)
    assert surfaces == {Surface.FEED, Surface.SEARCH}
    assert sought > 3
    assert later > 5
    past.close()


async def test_under_the_runs_own_dice_users_do_what_they_did(played):
    """World, page and visit are the run's: the same mind with the same draws decides the same."""
    run, onlooker, _ = played
    past = Past(run.folder.path)
    walk = Walk(past, ChoiceRespondent(run.settings.coefficients()))
    mind = ChoiceMind(run.settings.coefficients())
    for view, decision in sorted(onlooker.pages, key=lambda one: one[0].round):
        moment = await walk.to(view.round)
        for row, user in enumerate(view.users.tolist()):
            shown = Impression(view.step, 0)
            inquiry = Inquiry("a", user, view.round, Choose(), int(view.items[row, 0]), shown)
            seen = await past.seen(inquiry, "here")
            again = await mind.act(moment.world, seen.view)
            np.testing.assert_array_equal(again.watched[0], decision.watched[row])
            np.testing.assert_array_equal(again.rating[0], decision.rating[row])
            assert again.action[0] == decision.action[row]
    past.close()


async def test_the_dice_of_inquiries_are_not_the_runs(played):
    run, _, _ = played
    world = run.world
    seeds = {under(world, run.settings.seed, draw).seed for draw in range(100)}
    assert len(seeds) == 100
    assert world.seed not in seeds
    assert under(world, 3, 0).seed != under(world, 4, 0).seed
    assert under(world, 2**64 - 1, 0).seed >= 0
    assert world.seed == run.settings.seed


async def test_the_world_at_a_moment_is_that_of_a_run_forked_there(played):
    run, _, server = played
    past = Past(run.folder.path)
    walk = Walk(past, ChoiceRespondent(run.settings.coefficients()))
    for round in range(1, ROUNDS + 2):
        moment = await walk.to(round)
        assert moment.round == round
        fork: Run = await server.house.fork("run", round - 1, f"fork-{round}")
        assert_same_worlds(moment.world, fork.world)
    assert_same_worlds(moment.world, run.world)
    past.close()


async def test_nobody_who_answers_changes_the_world(played):
    run, _, _ = played
    log = log_of(run)
    past = Past(run.folder.path)
    for kind in ("choice", "scripted:honest", "scripted:sycophant", "scripted:random"):
        judge = Judge(kind)
        chosen = sittings.settings_for(judge, past.settings, MindRules())
        walk = Walk(past, sittings.open_respondent(judge, chosen, past))
        moment = await walk.to(2)
        before = {name: np.copy(value) for name, value in columns(moment.world).items()}
        rows = np.flatnonzero((log.kind == EventKind.SHOWN) & (log.round == 2))[:50]
        seen = []
        for row in rows.tolist():
            shown = Impression(int(log.step[row]), int(log.position[row]))
            one = Inquiry("a", int(log.user[row]), 2, Choose(), int(log.item[row]), shown)
            seen.append(await past.seen(one, "here"))
        await walk.respondent.answer(moment, seen, 3)
        for name, value in columns(moment.world).items():
            np.testing.assert_array_equal(value, before[name], name)
    past.close()


# ------------------------------------------------------------------------------ sittings
class Diary:
    """A respondent that says which rounds it was told of, and whether it is still there."""

    name = "diary"
    open = 0
    most_open = 0
    made = 0
    prompts: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self.asking = 0
        Diary.made += 1
        Diary.open += 1
        Diary.most_open = max(Diary.most_open, Diary.open)

    async def answer(self, moment: Moment, seen: Sequence[Seen], seed: int) -> Answers:
        self.asking += 1
        assert self.asking == 1, "two requests at once"
        await asyncio.sleep(0)
        self.asking -= 1
        assert moment.world.round == moment.round - 1
        return Answers([Words(f"{one.inquiry.id} {self.rounds}") for one in seen])

    def committed(self, round: int, memories: MemoryColumns) -> None:
        assert set(memories.round.tolist()) <= {round}
        self.rounds.append(round)

    async def close(self) -> None:
        Diary.open -= 1


@pytest.fixture
def diaries(monkeypatch: pytest.MonkeyPatch) -> type[Diary]:
    monkeypatch.setattr(sittings, "open_respondent", lambda *_: Diary())
    Diary.open = Diary.most_open = Diary.made = 0
    return Diary


def question(id: str, round: int) -> Inquiry:
    return Inquiry(id, 0, round, Talk("?"))


async def test_moments_are_gone_through_in_their_order_and_answers_come_in_that_of_the_questions(
    played, diaries
):
    open = Sittings(MindRules())
    async with open.of(played[0].folder.path, Judge("choice")) as sitting:
        rounds = [3, 1, 4, 1, 2]
        asked = [question(str(n), round) for n, round in enumerate(rounds)]
        answers, _ = await sitting.ask(asked, 1)
        assert [one.text for one in answers.said] == [
            "0 [1, 2]",
            "1 []",
            "2 [1, 2, 3]",
            "3 []",
            "4 [1]",
        ]
        assert diaries.made == 1
        answers, _ = await sitting.ask([question("again", 4)], 1)
        assert answers.said == [Words("again [1, 2, 3]")]
        assert diaries.made == 1
        answers, _ = await sitting.ask([question("back", 2)], 1)
        assert answers.said == [Words("back [1]")]
        assert (diaries.made, diaries.open) == (2, 1)
    await open.close()
    assert diaries.open == 0


async def test_only_so_many_sittings_are_open_and_each_answers_one_request_at_a_time(
    played, diaries, tmp_path
):
    open = Sittings(MindRules(), most=2)
    path = played[0].folder.path
    judges = [Judge("choice", {"choice": {"leave": float(n)}}) for n in range(5)]

    async def ask(judge: Judge, round: int) -> None:
        async with open.of(path, judge) as sitting:
            answers, _ = await sitting.ask([question("a", round)], 1)
            assert answers.said == [Words(f"a {list(range(1, round))}")]

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(ask(judges[number // 3 % 5], 1 + number % 4))
    assert 1 <= diaries.most_open <= 2
    await open.close()
    assert diaries.open == 0


async def test_a_server_that_stops_lets_go_of_its_respondents(played, diaries):
    run, _, _ = played
    async with Server(run.folder.path.parent) as server:
        operator = Operator(server)
        name = run.data.population.user_ids[0]
        asked = pb.Inquiry(inquiry_id="a", user_id=name, talk={"question": "?"})
        request = pb.AskUsersRequest(run_id="run", judge={"kind": "choice"}, inquiries=[asked])
        await operator.inquiry.AskUsers(request)
        assert diaries.open == 1
        await operator.channel.close()
    assert diaries.open == 0


def test_of_the_runs_language_model_a_judge_takes_nothing_over():
    llm = {"provider": "anthropic", "model": "m"}
    own = settings("raw", llm=llm, choice={"leave": 1.0}, memory={"recent": 4})
    plain = sittings.settings_for(Judge("choice"), own, MindRules())
    assert plain.llm.provider is None
    assert (plain.choice, plain.memory) == (own.choice, own.memory)
    other = sittings.settings_for(Judge("choice", {"choice": {}}), own, MindRules())
    assert other.choice == {}


async def test_a_recording_is_open_in_one_sitting_at_a_time(played, diaries, tmp_path):
    open = Sittings(MindRules())
    path, file = played[0].folder.path, tmp_path / "llm.sqlite"
    one, other = (Judge("choice", {"choice": {"leave": value}}, file) for value in (1.0, 2.0))
    for judge in (one, other, one):
        async with open.of(path, judge) as sitting:
            await sitting.ask([question("a", 1)], 1)
            assert diaries.open == 1
    async with open.recording(file):
        assert diaries.open == 0
    await open.close()


async def test_a_sitting_that_could_not_be_opened_is_not_kept(played):
    open = Sittings(MindRules(), most=1)
    path = played[0].folder.path
    for _ in range(3):
        with pytest.raises(sittings.InputError, match="no judge"):
            async with open.of(path, Judge("nobody")):
                pass
    async with open.of(path, Judge("choice")) as sitting:
        assert (await sitting.ask([], 1))[0].said == []
    await open.close()


async def test_a_walk_that_was_broken_off_is_begun_again(played, diaries):
    open = Sittings(MindRules())
    async with open.of(played[0].folder.path, Judge("choice")) as sitting:
        good, diaries.committed = diaries.committed, lambda *_: 1 / 0
        try:
            with pytest.raises(ZeroDivisionError):
                await sitting.ask([question("a", 3)], 1)
        finally:
            diaries.committed = good
        answers, _ = await sitting.ask([question("a", 3)], 1)
        assert answers.said == [Words("a [1, 2]")]
        assert diaries.open == 1
    await open.close()


def test_views_of_one_user_are_put_together_as_they_are():
    view = PageView(
        1, 0, np.array([3], np.int32), np.array([[4, 5]], np.int32), np.zeros(1, np.int16),
        np.ones(1, np.int8), np.array([-1], np.int32), True, np.array([[7]], np.int32),
        {(0, 1): (2,)}, {(0, 1): "words"},
    )  # fmt: skip
    plain = replace(view, claims={}, explanations={}, watched_now=np.empty((1, 0), np.int32))
    other = replace(view, step=1)
    (rows, both), (last, alone) = together([plain, view, other])
    assert (rows, last) == ([0, 1], [2])
    assert both.users.tolist() == [3, 3]
    assert both.watched_now.tolist() == [[-1], [7]]
    assert both.claims == {(1, 1): (2,)}
    assert both.explanations == {(1, 1): "words"}
    assert alone.step == 1
