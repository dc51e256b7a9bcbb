"""What users did in the rounds that somebody is shown, in words."""

from __future__ import annotations

import asyncio

from recarena.observatory.chronicle import Chronicle
from recarena.observatory.frames import ACTIONS, busiest
from recarena.observatory.messages import Json, line_json
from recarena.observatory.upstream import Upstream
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

MOST_LINES = 60
LINES_A_SECOND = 40.0
"""More nobody reads, and the server has to find the words."""
LEAST_LINES = 8
"""Asked for at once; fewer wait for more."""


async def lines_of(
    upstream: Upstream, chronicle: Chronicle, round: int, users: list[int]
) -> list[Json]:
    """Lines of some users in a round, in their order; without those who did nothing. Failure."""
    if not users:
        return []
    roster, actions = chronicle.roster, chronicle.actions(round)
    request = observe_pb.TellRoundRequest(
        run_id=chronicle.run.run_id, round=round,
        user_ids=[roster.users[user].user_id for user in users],
    )  # fmt: skip
    answer = await upstream.ask(upstream.observe.TellRound, request)
    return [
        line_json(told, user, ACTIONS[int(actions[user])])
        for told in answer.users
        if (user := roster.number_of.get(told.user_id, -1)) >= 0
    ]


class Feed:
    """The newest lines of a run that is watched; words are asked for only as fast as they can be
    read."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._allowed, self._at = float(MOST_LINES), 0.0
        self.lines: list[Json] = []
        """Of the last round that was put into words."""

    async def refresh(self, chronicle: Chronicle, round: int) -> None:
        """Puts a round that is folded in into words, as far as it is time for some. Failure."""
        if round < 1:
            self.lines = []
            return
        now = asyncio.get_running_loop().time()
        self._allowed = min(MOST_LINES, self._allowed + LINES_A_SECOND * (now - self._at))
        self._at = now
        if self._allowed < LEAST_LINES:
            return
        events = await chronicle.events_of(round)
        users = busiest(events, chronicle.actions(round), int(self._allowed)).tolist()
        self._allowed -= len(users)
        self.lines = await lines_of(self._upstream, chronicle, round, users)
