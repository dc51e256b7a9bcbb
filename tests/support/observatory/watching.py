"""SimulationObserveService over made-up runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from recarena.server.errors import InputError, NotFound, RecArenaError
from recarena.server.rpc.refusal import refuse
from recarena.v1 import run_pb2, simulation_observe_service_pb2_grpc, types_pb2
from recarena.v1 import simulation_observe_service_pb2 as observe_pb
from support.observatory.plays import ENDED, Play
from support.observatory.scenery import Film
from support.observatory.speaking import event, told
from support.observatory.staging import Service, answering, paged

Type = run_pb2.UserEvent


class Observe(Service, simulation_observe_service_pb2_grpc.SimulationObserveServiceServicer):
    async def StreamRounds(
        self, request: observe_pb.StreamRoundsRequest, context: Any
    ) -> AsyncIterator[observe_pb.StreamRoundsResponse]:
        try:
            play = self.stage.play(request.run_id)
        except RecArenaError as error:
            await refuse(context, error)
        epoch = request.epoch or play.epoch
        if epoch != play.epoch:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f"the run is in epoch {play.epoch}"
            )
        sent, state = request.after_round, None
        pause = request.least_interval.ToMicroseconds() / 1e6
        while True:
            await self.stage.gate.wait()
            seen = play.changes
            if play.epoch != epoch:
                return
            last = min(play.round, request.until_round or play.round)
            message = observe_pb.StreamRoundsResponse()
            if play.state != state:
                state = play.state
                message.run.CopyFrom(play.message())
            newest = request.newest_with_events or last
            for at in range(sent, last):
                one = message.rounds.add(summary=play.rounds[at], people=sorted(play.people[at]))
                if at >= last - newest:
                    one.events.CopyFrom(play.logs[at].message())
            if message.rounds or message.HasField("run"):
                yield message
            sent = max(sent, last)
            if (request.until_round and sent >= request.until_round) or state in ENDED:
                return
            await asyncio.sleep(pause)
            await play.changed(seen)

    @answering
    async def ListRecommenders(self, request: observe_pb.ListRecommendersRequest) -> Message:
        play = self.stage.play(request.run_id)
        lists = sum(one.pages for one in play.rounds)
        made = [
            run_pb2.RecommenderStatus(
                recommender_id=arm.recommender_id, connected=play.state not in ENDED,
                accepted=lists // 3, violations=at, late=at * 2, sessions=1, software="made-up/1",
                p50_latency=Duration(nanos=4_000_000 * (at + 1)),
                p95_latency=Duration(nanos=9_000_000 * (at + 1)),
                p99_latency=Duration(nanos=12_000_000 * (at + 1)),
            )
            for at, arm in enumerate(play.message().arms)
        ]  # fmt: skip
        return observe_pb.ListRecommendersResponse(recommenders=made)

    @answering
    async def ListUsers(self, request: observe_pb.ListUsersRequest) -> Message:
        play = self.stage.play(request.run_id)
        arms = play.message().arms
        page, token = paged(list(enumerate(play.world.people)), request, 100, 1000)
        users = [
            run_pb2.User(
                user_id=one.user_id, user_number=at, name=one.name, profile=one.profile,
                arm_id=arms[one.arm].arm_id, watches=at % 30, satisfaction=0.5,
                by_person=at in play.played, traits=one.traits, tastes=one.tastes,
            )
            for at, one in page
        ]  # fmt: skip
        return observe_pb.ListUsersResponse(users=users, next_page_token=token)

    @answering
    async def ListRelations(self, request: observe_pb.ListRelationsRequest) -> Message:
        play = self.stage.play(request.run_id)
        people = play.world.people
        chosen = range(len(people))
        if request.user_id:
            chosen = [self.stage.user(play, request.user_id)]
        ties = [(a, b) for a in chosen for b in sorted(play.world.ties.of[a])]
        page, token = paged(ties, request, 1000, 10_000)
        return observe_pb.ListRelationsResponse(
            relations=[
                run_pb2.Relation(
                    user_id=people[a].user_id, other_user_id=people[b].user_id,
                    kind=play.world.ties.of[a][b][0], closeness=play.world.ties.of[a][b][1],
                )
                for a, b in page
            ],
            next_page_token=token,
        )  # fmt: skip

    @answering
    async def ListMemories(self, request: observe_pb.ListMemoriesRequest) -> Message:
        play = self.stage.play(request.run_id)
        user = self.stage.user(play, request.user_id)
        made: list[run_pb2.Memory] = []
        for at, log in enumerate(play.logs):
            for row in range(len(log)):
                if log.user[row] == user and log.kind[row] == Type.TYPE_WATCH:
                    film = play.world.films[log.item[row]]
                    made.append(
                        run_pb2.Memory(
                            user_id=request.user_id, memory_number=len(made), round=at + 1,
                            kind="watched",
                            text=f"I watched {film.title}: {log.words.get(row, '')}",
                            importance=0.2 + 0.1 * (len(made) % 8), item_id=film.item_id,
                            recalled_in_rounds=[at + 2] if at + 2 <= play.round else [],
                        )
                    )  # fmt: skip
        page, token = paged(made, request, 100, 1000)
        return observe_pb.ListMemoriesResponse(memories=page, next_page_token=token)

    def _log(self, request: Any) -> tuple[Play, int]:
        play = self.stage.play(request.run_id)
        if not 1 <= request.round <= play.round:
            raise NotFound(f"run {play.run_id} has no round {request.round}")
        return play, request.round - 1

    @answering
    async def TellEvents(self, request: observe_pb.TellEventsRequest) -> Message:
        play, at = self._log(request)
        log = play.logs[at]
        if any(row >= len(log) for row in request.sequences):
            raise InputError(f"the round has {len(log)} events", where="sequences")
        return observe_pb.TellEventsResponse(
            events=[
                event(play.world, log, row, round=at + 1, people=play.people[at])
                for row in request.sequences
            ]
        )

    @answering
    async def TellRound(self, request: observe_pb.TellRoundRequest) -> Message:
        play, at = self._log(request)
        rounds = [
            told(play.world, play.logs[at], self.stage.user(play, one), round=at + 1,
                 people=play.people[at])
            for one in request.user_ids
        ]  # fmt: skip
        return observe_pb.TellRoundResponse(users=[one for one in rounds if one is not None])

    @answering
    async def ListUserEvents(self, request: observe_pb.ListUserEventsRequest) -> Message:
        play = self.stage.play(request.run_id)
        user = self.stage.user(play, request.user_id)
        last = min(request.until_round or play.round, play.round)
        rounds = [at for at in range(last - 1, -1, -1) if user in play.logs[at].user]
        page, token = paged(rounds, request, 20, 100)
        events = [
            event(play.world, play.logs[at], row, round=at + 1, people=play.people[at])
            for at in page
            for row in range(len(play.logs[at]))
            if play.logs[at].user[row] == user
        ]
        return observe_pb.ListUserEventsResponse(events=events, next_page_token=token)

    @answering
    async def ListModelCalls(self, request: observe_pb.ListModelCallsRequest) -> Message:
        play, at = self._log(request)
        user, calls = self.stage.user(play, request.user_id), list[run_pb2.ModelCall]()
        log = play.logs[at]
        pages = [
            r for r in range(len(log)) if log.user[r] == user and log.kind[r] == Type.TYPE_PAGE
        ]
        for step, _ in enumerate(pages if play.llm else []):
            calls.append(
                run_pb2.ModelCall(
                    purpose="page", step=step, model="made-up:small", response='{"watch": [1]}',
                    request='{"messages": [{"role": "user", "content": "<b>choose</b>"}]}',
                    input_tokens=900, output_tokens=60, cost=0.0012, currency="USD",
                    latency=Duration(nanos=350_000_000),
                )
            )  # fmt: skip
        return observe_pb.ListModelCallsResponse(calls=calls)

    @answering
    async def ListItems(self, request: observe_pb.ListItemsRequest) -> Message:
        play, wanted = self.stage.play(request.run_id), request.text.casefold()
        found = [
            (at, one)
            for at, one in enumerate(play.world.films)
            if wanted in one.title.casefold() or wanted in one.item_id.casefold()
        ]
        page, token = paged(found, request, 100, 1000)
        entries = [
            observe_pb.ListItemsResponse.Entry(
                item=_item(one),
                item_number=at,
                watches=at % 50,
                displayed_rating=3.2 + at % 15 / 10,
            )
            for at, one in page
        ]
        return observe_pb.ListItemsResponse(entries=entries, next_page_token=token)

    @answering
    async def ListInterventions(self, request: observe_pb.ListInterventionsRequest) -> Message:
        play = self.stage.play(request.run_id)
        page, token = paged(play.journal[::-1], request, 100, 1000)
        for one in page:
            one.round = one.round if one.applied else play.round + 1
        return observe_pb.ListInterventionsResponse(interventions=page, next_page_token=token)

    async def StreamTurns(
        self, request: observe_pb.StreamTurnsRequest, context: Any
    ) -> AsyncIterator[observe_pb.StreamTurnsResponse]:
        try:
            play = self.stage.play(request.run_id)
            user = self.stage.user(play, request.user_id)
        except RecArenaError as error:
            await refuse(context, error)
        if user not in play.played:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, "nobody has taken the user over"
            )
        while user in play.played and play.state not in ENDED:
            await self.stage.gate.wait()
            seen, seat = play.changes, play.seats.get(user)
            message = observe_pb.StreamTurnsResponse(run=play.message())
            if seat is not None:
                message.last_outcome, message.missed_rounds = seat.outcome, seat.missed
                if seat.turn is not None:
                    message.turn.CopyFrom(seat.turn.message)
                    left = max(0.0, seat.turn.until - asyncio.get_running_loop().time())
                    message.turn.remaining.FromMicroseconds(int(left * 1e6))
                    message.turn.deadline.GetCurrentTime()
                    message.turn.deadline.seconds += int(left)
            yield message
            await play.changed(seen)


def _item(film: Film) -> types_pb2.Item:
    made = Struct()
    made.update({"year": film.year})
    return types_pb2.Item(
        item_id=film.item_id, title=film.title, categories=film.categories, attributes=made,
        description=film.description, withdrawn=film.withdrawn,
    )  # fmt: skip
