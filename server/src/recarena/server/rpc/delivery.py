"""Feedback of one arm on its way to whichever sessions are attached."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from recarena.server import feedback as fb
from recarena.server.door import Assignment
from recarena.server.ports import Feedback
from recarena.server.rpc import feedback_codec
from recarena.server.rpc.session import Response, Session
from recarena.v1 import feedback_pb2, session_pb2


class Record:
    """The feedback of one arm so far, in parts that have a cursor each."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.told = assignment.told
        """Last round whose feedback may be handed over."""
        self._newest: Feedback | None = None
        page_size = assignment.settings.visits.page_size
        self._columnar_pages = feedback_codec.pages_per_columnar_part(page_size)
        self.catalog_changed()

    def catalog_changed(self) -> None:
        """Items that are new may have longer ids than any before."""
        a = self._assignment
        longest = _longest(a.user_ids), _longest(a.catalog.item_ids)
        page_size = a.settings.visits.page_size
        self._rich_pages = feedback_codec.pages_per_rich_part(page_size, *longest)

    def ended(self, newest: Feedback) -> None:
        """A round is over; its feedback may be handed over."""
        self._newest, self.told = newest, newest.round

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

    def rich(self, round: int, first: int) -> Iterator[tuple[feedback_pb2.FeedbackBatch, int]]:
        """The batches of a round from page `first` on, each with the page it ends before."""
        a = self._assignment
        sim_time = a.settings.time.of_round(max(round, 1))
        for part, cursor, end in self._parts(round, first, self._rich_pages):
            yield (
                feedback_codec.rich(part, a.user_ids, a.catalog.item_ids, sim_time, cursor),
                end,
            )

    def columns(self, round: int, first: int) -> Iterator[tuple[feedback_pb2.FeedbackColumns, int]]:
        """As `rich`, in the columnar form."""
        for part, cursor, end in self._parts(round, first, self._columnar_pages):
            yield feedback_codec.columns(part, cursor), end

    def _parts(self, round: int, first: int, each: int) -> Iterator[tuple[Feedback, str, int]]:
        newest = self._newest
        whole = newest if newest and newest.round == round else self._assignment.past(round)
        for start, end in fb.parts(whole, each, first):
            cursor = feedback_codec.cursor(self._assignment.epoch, round, end)
            yield fb.part(whole, start, end), cursor, end


class Delivery:
    """Tells one session all that it has not been told, in order and once."""

    def __init__(self, record: Record, session: Session, position: tuple[int, int]) -> None:
        """`position`: (round, page) from which on the session has not been told."""
        self._record, self._session = record, session
        self._round, self._page = position

    async def catch_up(self) -> None:
        """Sends everything up to the last round that may be told. SessionLost."""
        while self._round <= self._record.told:
            for message, end in self._messages():
                await self._session.send(message)
                self._page = end
                await asyncio.sleep(0)  # what is made is sent while the next part is made
            self._round, self._page = self._round + 1, 0

    def _messages(self) -> Iterator[tuple[Response, int]]:
        if self._session.columnar:
            for columns, end in self._record.columns(self._round, self._page):
                yield Response(feedback_columns=columns), end
        else:
            for batch, end in self._record.rich(self._round, self._page):
                yield Response(feedback_batch=batch), end


def _longest(ids: list[str]) -> int:
    """Bytes of the longest id."""
    return max((len(one.encode()) for one in ids), default=0)
