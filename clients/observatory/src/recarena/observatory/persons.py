"""One user: profile, memory, rounds, and calls to language models."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from recarena.observatory.chronicle import Chronicle
from recarena.observatory.failures import missing
from recarena.observatory.messages import Json, call_json, memory_json
from recarena.observatory.tales import numbered
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

MEMORIES_A_PAGE = 1_000
RELATIONS_A_PAGE = 10_000
ROUNDS_A_PAGE = 20


class Person:
    """A user of a run. Everything but the timeline is as it is after the last committed round."""

    def __init__(self, upstream: Upstream, chronicle: Chronicle, user_id: str) -> None:
        """Failure for a user who is not there."""
        self._upstream, self._chronicle = upstream, chronicle
        self.number = chronicle.roster.number(user_id)
        if self.number < 0:
            raise missing("a user without an id is not there")
        self.user_id = user_id

    async def about(self) -> Json:
        """Who it is."""
        user = await self._user()
        return {
            "user": self.number,
            "user_id": user.user_id,
            "name": user.name,
            "arm": user.arm_id,
            "profile": dict(user.profile),
            "traits": dict(user.traits),
            "tastes": dict(user.tastes),
            "satisfaction": user.satisfaction,
            "watches": user.watches,
            "by_person": user.by_person,
            "relations": await self._relations(),
            "mind": user.mind or self._mind_of_the_run(),
            "as_of": self._chronicle.run.round,
        }

    def _mind_of_the_run(self) -> str:
        """By the run's sentence: servers of old say nothing of single users."""
        said = self._chronicle.run.minds.lower()
        return "llm" if "language model" in said or "llm" in said else "choice"

    async def _user(self) -> run_pb2.User:
        """The user as it is now; the list goes by number, so that its page is near at hand."""
        request = observe_pb.ListUsersRequest(
            run_id=self._chronicle.run.run_id, page_size=1,
            page_token=str(self.number) if self.number else "",
        )  # fmt: skip
        answer = await self._upstream.ask(self._upstream.observe.ListUsers, request)
        if answer.users and answer.users[0].user_id == self.user_id:
            return answer.users[0]
        return self._chronicle.roster.users[self.number]

    async def _relations(self) -> list[Json]:
        request = observe_pb.ListRelationsRequest(
            run_id=self._chronicle.run.run_id, user_id=self.user_id, page_size=RELATIONS_A_PAGE
        )
        answer = await self._upstream.ask(self._upstream.observe.ListRelations, request)
        roster = self._chronicle.roster
        ties = sorted(answer.relations, key=lambda one: -one.closeness)
        return [
            {
                "user": roster.number_of[one.other_user_id],
                "user_id": one.other_user_id,
                "name": roster.users[roster.number_of[one.other_user_id]].name,
                "kind": one.kind,
                "closeness": one.closeness,
            }
            for one in ties
            if one.other_user_id in roster.number_of
        ]

    async def memories(self) -> Json:
        """All, newest first."""
        found: list[run_pb2.Memory] = []
        token = ""
        while True:
            request = observe_pb.ListMemoriesRequest(
                run_id=self._chronicle.run.run_id, user_id=self.user_id,
                page_size=MEMORIES_A_PAGE, page_token=token,
            )  # fmt: skip
            answer = await self._upstream.ask(self._upstream.observe.ListMemories, request)
            found.extend(answer.memories)
            token = answer.next_page_token
            if not token:
                return {"memories": [memory_json(one) for one in reversed(found)]}

    async def timeline(self, at: int, before: str) -> Json:
        """Rounds up to one, newest first, with all that the user did and was shown."""
        request = observe_pb.ListUserEventsRequest(
            run_id=self._chronicle.run.run_id, user_id=self.user_id, until_round=at,
            page_size=ROUNDS_A_PAGE, page_token=before,
        )  # fmt: skip
        if not at:
            return {"rounds": [], "next": ""}
        answer = await self._upstream.ask(self._upstream.observe.ListUserEvents, request)
        rounds: list[dict[str, Any]] = []
        for round, events in groupby(answer.events, key=lambda event: event.round):
            told = [numbered(event, self._chronicle) for event in events]
            person = any(one["person"] for one in told)
            rounds.append({"round": round, "person": person, "events": told})
        return {"rounds": rounds, "next": answer.next_page_token}

    async def calls(self, round: int) -> Json:
        """Calls to language models in a round."""
        request = observe_pb.ListModelCallsRequest(
            run_id=self._chronicle.run.run_id, user_id=self.user_id, round=round
        )
        answer = await self._upstream.ask(self._upstream.observe.ListModelCalls, request)
        return {"calls": [call_json(call) for call in answer.calls]}
