"""What the sessions of an arm are told besides works: the catalogue, feedback, rounds, goodbye. One
after another to each session, in the same order to all."""

from __future__ import annotations

import asyncio

import structlog
from google.rpc import status_pb2

from recarena.server.door import Assignment
from recarena.server.errors import ProtocolViolation, SessionLost
from recarena.server.ports import Feedback
from recarena.server.rpc.delivery import Delivery, Record
from recarena.server.rpc.editions import Editions, Offer
from recarena.server.rpc.seats import Seat, Seats
from recarena.server.rpc.session import Response, Session
from recarena.server.types import Ints
from recarena.v1 import session_pb2

log = structlog.get_logger()


class Briefing:
    """Knows what each session has been told, and tells it the rest before anything else."""

    def __init__(self, assignment: Assignment, seats: Seats, offer: Offer) -> None:
        self._seats = seats
        self._ready_timeout_s = assignment.settings.session.ready_timeout_s
        self.editions = Editions(assignment.catalog, offer)
        self.record = Record(assignment)
        self._open: session_pb2.RoundStarted | None = None
        self.goodbye: tuple[float, status_pb2.Status] | None = None
        """What is said to those who come back when the run is over: seconds of grace, and why."""

    async def welcome(self, session: Session, position: tuple[int, int]) -> None:
        """Gives a session a seat. What it has not been told comes first, then the open round if
        there is one, or goodbye where the run is over."""
        seat = self._seats.take(session, Delivery(self.record, session, position))
        async with seat.turn:
            await self._show_catalog(seat)
            await seat.delivery.catch_up()
            seat.is_told, goodbye = True, self.goodbye
            if self._open and not goodbye:
                await self._begin(seat)
        if goodbye:
            await session.drain(*goodbye)

    # -- the catalogue

    async def renew_catalog(self, changed: Ints) -> None:
        """Puts the catalogue in force as it is now, and returns when all sessions have it; one that
        refuses it, or says nothing for the run's ready timeout, is ended. Those that are away, or
        about to be seated, are told when they come."""
        if self.editions.renew(changed):
            self.record.catalog_changed()
            log.info("catalogue changed", version=self.editions.current.version)
            await asyncio.gather(*(self._renew(seat) for seat in self._seats))

    async def _renew(self, seat: Seat) -> None:
        async with seat.turn:
            try:
                await self._show_catalog(seat)
            except SessionLost as error:
                log.warning("the catalogue waits for the recommender", why=str(error))
            except ProtocolViolation as error:
                log.warning("session refused", why=str(error))
                seat.session.end(error)

    async def _show_catalog(self, seat: Seat) -> None:
        """Sends the version in force where the session knows another; models are trained anew for
        it, also where the round was open already."""
        known = seat.session.catalog_version
        while known != self.editions.current.version:
            seat.ready_for = 0
            changed = self.editions.since(known)
            await seat.session.change_catalog(changed, self._ready_timeout_s)
            known = changed.catalog_version

    # -- rounds

    async def open_round(self, started: session_pb2.RoundStarted) -> None:
        """Returns when all sessions are ready for the round, or will not be."""
        self._seats.open_round(started.round)
        self._open = started
        await asyncio.gather(*(self._ready(seat, started.round) for seat in self._seats))

    async def _ready(self, seat: Seat, round: int) -> None:
        async with seat.turn:
            if seat.ready_for != round:
                try:
                    await self._begin(seat)
                except (SessionLost, ProtocolViolation) as error:
                    log.warning("recommender not ready", error=str(error), round=round)

    async def _begin(self, seat: Seat) -> None:
        assert self._open is not None
        started = self._open
        if await seat.session.play_round(started, self._ready_timeout_s):
            self._seats.ready(seat, started.round)

    async def close_round(self, feedback: Feedback, ended: session_pb2.RoundEnded) -> None:
        """Hands over feedback; a session that is away is told when it comes back."""
        self._open = None
        self._seats.open_round(0)
        self.record.ended(feedback)
        await asyncio.gather(*(self._tell(seat, ended) for seat in self._seats))

    async def _tell(self, seat: Seat, ended: session_pb2.RoundEnded) -> None:
        async with seat.turn:
            try:
                await seat.delivery.catch_up()
                await seat.session.send(Response(round_ended=ended))
            except SessionLost:
                log.info("feedback waits for the recommender", round=ended.round)
