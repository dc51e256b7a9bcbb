"""Feedback of one arm on its way to whichever session is attached."""

from __future__ import annotations

import asyncio

from recarena.server import feedback as fb
from recarena.server.ports import Feedback
from recarena.server.rpc import feedback_codec
from recarena.server.rpc.session import Response, Session
from recarena.server.runs import Assignment
from recarena.v1 import session_pb2


class Delivery:
    """Tells each session all that it has not been told, in order and once."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.told = assignment.told
        """Last round whose feedback may be handed over."""
        self._position = 0, 0
        """(round, page) from which on the attached session has not been told."""

    def resumes(self, register: session_pb2.Register) -> tuple[int, int] | None:
        """(round, page) up to which a returning recommender has applied the feedback of this run,
        or None where it must start afresh."""
        if register.resume_run_id != self._assignment.run_id:
            return None
        return self.place(register.feedback_cursor)

    def place(self, cursor: str) -> tuple[int, int] | None:
        """(round, page) that a cursor of this run and epoch stands for, None for another."""
        found = feedback_codec.read_cursor(cursor)
        if not found or found[0] != self._assignment.epoch or found[1] > self.told:
            return None
        return found[1], found[2]

    async def catch_up(self, session: Session, position: tuple[int, int]) -> None:
        """Tells a session that comes what follows its position."""
        self._position = position
        await self._tell(session, self.told, None)

    async def tell(self, session: Session, newest: Feedback) -> None:
        """Tells the attached session of the round that has just ended, and of what it missed."""
        await self._tell(session, newest.round, newest)

    async def _tell(self, session: Session, last: int, newest: Feedback | None) -> None:
        """Sends all feedback after the position, up to round `last`."""
        a = self._assignment
        each = (
            feedback_codec.PAGES_PER_COLUMNAR_PART
            if session.columnar
            else feedback_codec.PAGES_PER_RICH_PART
        )
        first, page = self._position
        for round in range(first, last + 1):
            feedback = newest if newest and newest.round == round else a.past(round)
            for start, end in fb.parts(feedback, each, page if round == first else 0):
                cursor = feedback_codec.cursor(a.epoch, round, end)
                await session.send(self._part(session, fb.part(feedback, start, end), cursor))
                self._position = round, end
                await asyncio.sleep(0)  # what is made is sent while the next part is made
            self._position = round + 1, 0

    def _part(self, session: Session, part: Feedback, cursor: str) -> Response:
        if session.columnar:
            return Response(feedback_columns=feedback_codec.columns(part, cursor))
        a = self._assignment
        sim_time = a.settings.time.of_round(max(part.round, 1))
        return Response(
            feedback_batch=feedback_codec.rich(
                part, a.user_ids, a.catalog.item_ids, sim_time, cursor
            )
        )
