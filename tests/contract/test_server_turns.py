"""People play users over gRPC: what they decide is what happened, and is labelled as theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from recarena.server.rpc.observe_turns import stream_turns
from recarena.server.types import EventKind
from recarena.v1 import simulation_control_service_pb2 as control_pb
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from recarena.v1 import simulation_steering_service_pb2 as pb
from recarena.v1.run_pb2 import RUN_STATE_PAUSED, RUN_STATE_STOPPED, UserEvent
from recarena.v1.steering_pb2 import (
    TURN_OUTCOME_DECIDED,
    TURN_OUTCOME_UNSPECIFIED,
    Decision,
    HandBack,
    Intervention,
    PlayTurn,
    TakeOver,
)
from support.arena import PATIENCE, log_of, until
from support.operators import refused
from support.raw_client import RawClient, fields_of
from support.watching import rounds_in, rounds_request

CODE = grpc.StatusCode
SMALL = "new:users=12,seed=3,history=2"
RECOMMENDER = Decision(activity=Decision.DOING_RECOMMENDER)
SOCIAL = Decision(activity=Decision.DOING_SOCIAL)
LEAVE = Decision(page=Decision.OfPage(action=Decision.ACTION_LEAVE))


class Player:
    """Plays one user of a run."""

    def __init__(self, operator: Any, user_id: str, run_id: str = "run") -> None:
        self.operator, self.user_id, self.run_id = operator, user_id, run_id
        self.stream: Any = None
        self.seen: list[observe_pb.StreamTurnsResponse] = []

    async def take_over(self, turn_s: int = 60) -> None:
        change = TakeOver(user_id=self.user_id)
        change.turn_time.FromSeconds(turn_s)
        await self.intervene(Intervention(take_over=change))
        self.follow()

    def follow(self) -> None:
        asked = observe_pb.StreamTurnsRequest(run_id=self.run_id, user_id=self.user_id)
        self.stream = self.operator.observe.StreamTurns(asked)

    async def hand_back(self) -> None:
        await self.intervene(Intervention(hand_back=HandBack(user_id=self.user_id)))

    async def intervene(self, made: Intervention) -> None:
        request = pb.InterveneRequest(run_id=self.run_id, intervention=made)
        await self.operator.steering.Intervene(request)

    async def turn(self) -> PlayTurn:
        """The next turn that comes up."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self.stream.read()
                assert isinstance(message, observe_pb.StreamTurnsResponse), "the stream has ended"
                self.seen.append(message)
                if message.HasField("turn"):
                    return message.turn

    async def take(self, turn: PlayTurn, decision: Decision, request_id: str = "") -> None:
        request = pb.TakeTurnRequest(
            run_id=self.run_id, user_id=self.user_id, turn_id=turn.turn_id, decision=decision,
            request_id=request_id,
        )  # fmt: skip
        await self.operator.steering.TakeTurn(request)


@asynccontextmanager
async def playing(operator: Any, server: Any, rounds: int = 1, **fields: Any) -> AsyncIterator[Any]:
    """A run with a recommender and one user taken over, its rounds begun."""
    await operator.create(round_limit=5, world=SMALL, **fields)
    run = server.house.run("run")
    player = Player(operator, run.world.population.user_ids[3])
    await player.take_over()
    async with RawClient(server.address) as client:
        await operator.control.StepRun(control_pb.StepRunRequest(run_id="run", rounds=rounds))
        await client.join()
        serving = asyncio.create_task(client.serve())
        try:
            yield player, run, client
        finally:
            serving.cancel()
            await asyncio.wait({serving})


async def test_a_person_leaves_what_any_user_leaves_and_it_says_so(operator, server):
    async with playing(operator, server) as (player, run, client):
        turn = await player.turn()
        assert turn.WhichOneof("question") == "activity"
        assert turn.activity.can_socialise
        assert (turn.user_id, turn.round) == (player.user_id, 1)
        assert 50 < turn.remaining.seconds <= 60
        assert turn.deadline.seconds > 1_700_000_000
        await player.take(turn, RECOMMENDER)
        turn = await player.turn()
        page = turn.page
        assert turn.WhichOneof("question") == "page"
        assert [one.position for one in page.items] == list(range(len(page.items)))
        assert page.can_search
        assert all(one.title and one.item_id for one in page.items)
        catalog = run.world.catalog
        shown = page.items[1]
        assert shown.title == catalog.titles[catalog.number_of[shown.item_id]]
        watch = Decision.Watch(position=1, rating=5, feeling="Loved\nit <b>!")
        decided = Decision(
            page=Decision.OfPage(watches=[watch], action=Decision.ACTION_SEARCH, query="old films")
        )
        await player.take(turn, decided)
        turn = await player.turn()
        assert turn.page.query == "old films"
        assert turn.page.step == 1
        await player.take(turn, LEAVE)
        await until(run, 1)
        told = rounds_in([
            one async for one in operator.observe.StreamRounds(rounds_request(until_round=1))
        ])  # fmt: skip
        await run.settled()
    assert list(told[0].people) == [3]
    assert told[0].summary.people == 1
    log = log_of(run, 1)
    mine = log.take(log.user == 3)
    assert mine.kind.tolist()[0] == EventKind.ENTER_RECOMMENDER
    watched = mine.of(EventKind.WATCH)
    assert watched.item.tolist() == [catalog.number_of[shown.item_id]]
    assert watched.value.tolist() == [5]
    assert "Loved it <b>!" in watched.text[0]
    assert mine.of(EventKind.SEARCH).text[0] == "old films"
    shown_events = mine.of(EventKind.SHOWN)
    assert len(shown_events) >= len(page.items)
    events = await user_events(operator, player.user_id)
    assert {event.by_person for event in events} == {True}
    others = await user_events(operator, run.world.population.user_ids[4])
    assert {event.by_person for event in others} == {False}
    memories = await operator.observe.ListMemories(
        observe_pb.ListMemoriesRequest(run_id="run", user_id=player.user_id)
    )
    (memory,) = [one for one in memories.memories if one.kind == "watched"]
    assert "Loved it <b>!" in memory.text
    assert memory.item_id == shown.item_id
    request = observe_pb.TellRoundRequest(run_id="run", round=1, user_ids=[player.user_id])
    (line,) = (await operator.observe.TellRound(request)).users
    assert line.by_person
    assert "searches for “old films” and watches" in line.text
    told_back = [
        (did.item_id, did.value)
        for one in client.seen
        if one.HasField("feedback_batch") and one.feedback_batch.round == 1
        for did in one.feedback_batch.interactions
        if did.user_id == player.user_id
    ]
    assert told_back == [(shown.item_id, 5.0)]
    users = await operator.observe.ListUsers(observe_pb.ListUsersRequest(run_id="run"))
    assert [user.user_number for user in users.users if user.by_person] == [3]


async def user_events(operator: Any, user_id: str) -> list[UserEvent]:
    request = observe_pb.ListUserEventsRequest(run_id="run", user_id=user_id)
    found = list((await operator.observe.ListUserEvents(request)).events)
    assert found
    return found


async def test_a_person_talks_in_the_social_network(operator, server):
    async with playing(operator, server) as (player, run, _):
        await player.take(await player.turn(), SOCIAL)
        turn = await player.turn()
        social = turn.social
        assert turn.WhichOneof("question") == "social"
        closeness = [one.closeness for one in social.acquaintances]
        assert closeness == sorted(closeness, reverse=True)
        assert social.last_title
        friend = social.acquaintances[0]
        said = Decision(social=Decision.OfSocial(
            user_id=friend.user_id, words="Have you seen it?", item_id=social.last_item_id,
            sentiment=1.5,
        ))  # fmt: skip
        await player.take(turn, said)
        await until(run, 1)
        await run.settled()
    log = log_of(run, 1)
    (chat,) = [row for row in range(len(log)) if log.user[row] == 3
               and log.kind[row] == EventKind.CHAT]  # fmt: skip
    number_of = run.world.population.number_of
    assert int(log.other[chat]) == number_of[friend.user_id]
    assert float(log.value[chat]) == 1.5
    assert "Have you seen it?" in log.text[chat]
    told = await operator.observe.ListMemories(
        observe_pb.ListMemoriesRequest(run_id="run", user_id=friend.user_id)
    )
    heard = [one for one in told.memories if one.source_user_id == player.user_id]
    assert any("Have you seen it?" in one.text for one in heard)


async def test_a_choice_that_the_turn_does_not_allow_is_refused_and_the_turn_goes_on(
    operator, server
):
    page = Decision.OfPage
    wrong = [
        (Decision(), "decision"),
        (Decision(opening=Decision.OfOpening(words="hello")), "decision"),
        (Decision(page=page()), "decision.page.action"),
        (Decision(page=page(watches=[Decision.Watch(position=99)], action=3)),
         "decision.page.watches[0].position"),
        (Decision(page=page(watches=[Decision.Watch(position=0, rating=6)], action=3)),
         "decision.page.watches[0].rating"),
        (Decision(page=page(watches=[Decision.Watch(feeling="x" * 501)], action=3)),
         "decision.page.watches[0].feeling"),
        (Decision(page=page(action=Decision.ACTION_SEARCH)), "decision.page.query"),
        (Decision(social=Decision.OfSocial(user_id="nobody", words="x")),
         "decision.social.user_id"),
        (Decision(social=Decision.OfSocial(item_id="nothing", words="x")),
         "decision.social.item_id"),
    ]  # fmt: skip
    async with playing(operator, server) as (player, run, _):
        turn = await player.turn()
        async with refused(CODE.INVALID_ARGUMENT) as status:
            await player.take(turn, Decision(activity=Decision.DOING_UNSPECIFIED))
        assert fields_of(status) == ["decision.activity"]
        await player.take(turn, RECOMMENDER, request_id="a")
        await player.take(turn, RECOMMENDER, request_id="a")  # the first answer again
        turn = await player.turn()
        for decision, path in wrong:
            async with refused(CODE.INVALID_ARGUMENT) as status:
                await player.take(turn, decision)
            assert path in fields_of(status), (path, fields_of(status))
        other = PlayTurn(turn_id="1.3.99.ffff")
        async with refused(CODE.FAILED_PRECONDITION):
            await player.take(other, LEAVE)
        await player.take(turn, LEAVE)
        async with refused(CODE.FAILED_PRECONDITION):
            await player.take(turn, LEAVE)
        await until(run, 1)
        await run.settled()
    assert run.round == 1


async def test_turns_are_told_with_their_outcome_until_the_user_is_handed_back(operator, server):
    async with playing(operator, server, rounds=2) as (player, run, _):
        first = await player.turn()
        assert player.seen[-1].last_outcome == TURN_OUTCOME_UNSPECIFIED
        await player.take(first, Decision(activity=Decision.DOING_NOTHING))
        second = await player.turn()
        assert (second.round, second.turn_id != first.turn_id) == (2, True)
        assert player.seen[-1].last_outcome == TURN_OUTCOME_DECIDED
        await player.hand_back()
        await run.settled()  # whoever leaves in the middle of a turn is not waited for
        assert (await operator.get()).state == RUN_STATE_PAUSED
        await operator.control.StepRun(control_pb.StepRunRequest(run_id="run", rounds=1))
        async with asyncio.timeout(PATIENCE):
            while isinstance(message := await player.stream.read(),
                             observe_pb.StreamTurnsResponse):  # fmt: skip
                player.seen.append(message)
        await run.settled()
    assert not player.seen[-1].HasField("turn")
    assert run.round == 3
    played = dict(await by_round(operator, player.user_id))
    assert played == {1: True, 2: True, **({3: False} if 3 in played else {})}
    assert await player.stream.code() is CODE.OK


async def by_round(operator: Any, user_id: str) -> list[tuple[int, bool]]:
    return [(one.round, one.by_person) for one in await user_events(operator, user_id)]


async def test_a_second_player_sees_the_same_turn_and_one_of_them_takes_it(operator, server):
    async with playing(operator, server) as (player, run, _):
        other = Player(operator, player.user_id)
        other.follow()
        turns = await asyncio.gather(player.turn(), other.turn())
        assert turns[0].turn_id == turns[1].turn_id
        taken = await asyncio.gather(
            *(one.take(turns[0], Decision(activity=Decision.DOING_NOTHING))
              for one in (player, other)),
            return_exceptions=True,
        )  # fmt: skip
        codes = [one.code() if isinstance(one, grpc.aio.AioRpcError) else None for one in taken]
        assert set(codes) == {None, CODE.FAILED_PRECONDITION}
        await until(run, 1)
        await run.settled()


async def test_a_turn_is_taken_while_others_wait_for_a_slow_call(operator, server, monkeypatch):
    """A person's time runs; it is not spent on waiting for somebody's fork."""
    begun, gate, forks = asyncio.Event(), asyncio.Event(), server.house.fork

    async def slow(*args: Any) -> Any:
        begun.set()
        await gate.wait()
        return await forks(*args)

    monkeypatch.setattr(server.house, "fork", slow)
    async with playing(operator, server) as (player, run, _):
        turn = await player.turn()
        fork = control_pb.ForkRunRequest(run_id="run", round=0, new_run_id="fork")
        forking = asyncio.ensure_future(operator.control.ForkRun(fork))
        await begun.wait()
        async with asyncio.timeout(PATIENCE):
            for _ in range(2):
                await player.take(turn, Decision(activity=Decision.DOING_NOTHING), "call-1")
            await run.settled()
        gate.set()
        assert (await forking).run.run_id == "fork"


async def test_the_end_of_a_run_is_told_to_readers_who_were_busy_when_it_came(operator, server):
    await operator.create(world=SMALL)
    run = server.house.run("run")
    player = Player(operator, run.world.population.user_ids[3])
    await player.take_over()
    asked = observe_pb.StreamTurnsRequest(run_id="run", user_id=player.user_id)
    told = stream_turns(run, asked)
    await anext(told)
    await operator.control.StopRun(control_pb.StopRunRequest(run_id="run"))
    async with asyncio.timeout(PATIENCE):
        rest = [one async for one in told]
    assert [one.run.state for one in rest] == [RUN_STATE_STOPPED]


async def test_a_run_that_is_reset_ends_the_stream_of_turns(operator, server):
    await operator.create(world=SMALL)
    player = Player(operator, server.house.run("run").world.population.user_ids[3])
    await player.take_over()
    await player.stream.read()
    await operator.control.ResetRun(control_pb.ResetRunRequest(run_id="run"))
    async with refused(CODE.UNAVAILABLE) as status:
        while True:
            await player.stream.read()
    assert "come back" in status.message
    player.follow()
    async with refused(CODE.FAILED_PRECONDITION):
        await player.turn()


async def test_a_fork_hands_the_user_back(operator, server):
    async with playing(operator, server) as (player, run, _):
        await player.take(await player.turn(), Decision(activity=Decision.DOING_NOTHING))
        await until(run, 1)
        await run.settled()
    fork = control_pb.ForkRunRequest(run_id="run", round=1, new_run_id="fork")
    await operator.control.ForkRun(fork)
    users = await operator.observe.ListUsers(observe_pb.ListUsersRequest(run_id="fork"))
    assert not any(user.by_person for user in users.users)
    told = [
        one async for one in operator.observe.StreamRounds(rounds_request("fork", until_round=1))
    ]
    assert list(rounds_in(told)[0].people) == [3]
