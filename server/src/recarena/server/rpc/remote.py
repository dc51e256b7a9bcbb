"""A recommender behind the wire: the engine's port on one side, sessions that come and go on the
other. It lives as long as its run; a session that is lost and found again goes on where it was."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import grpc
import numpy as np
import structlog

from recarena.server import lists
from recarena.server.catalog import Catalog
from recarena.server.door import Assignment
from recarena.server.errors import (
    ProtocolViolation,
    Quarantined,
    SessionLost,
)
from recarena.server.ports import (
    Feedback,
    Lists,
    RankRequest,
    RoundTally,
    SearchRequest,
)
from recarena.server.rpc import limits, questions
from recarena.server.rpc.briefing import Briefing
from recarena.server.rpc.editions import Offer
from recarena.server.rpc.exchange import Exchange, Verdict, complaint, fields_of
from recarena.server.rpc.failing import apply_policy, instead
from recarena.server.rpc.health import RecommenderHealth
from recarena.server.rpc.recent import Recent
from recarena.server.rpc.seats import Seat, Seats
from recarena.server.rpc.session import Answer, Session, WorkRefused
from recarena.server.rpc.status import bad_request, status_proto
from recarena.server.rpc.times import timestamp
from recarena.server.rpc.tracing import work_span
from recarena.server.rpc.works import Rows, Work, cut, joined
from recarena.server.types import Ints, Outcome, WorkRecord
from recarena.v1 import session_pb2

log = structlog.get_logger()

EXTENSION = 4.0
"""ExtendDeadline reaches at most this many times the work's timeout."""
ROWS_UNSERVED = 256
"""Users of a work that there is nobody to send to."""


class TooLarge(Exception):
    """A work that has to go out in parts."""


class RemoteRecommender:
    """The `Recommender` port of one arm, served by whichever sessions are attached."""

    def __init__(self, assignment: Assignment, offer: Offer) -> None:
        """`offer` makes versions of the catalogue ones that can be loaded."""
        self.assignment = assignment
        self._session_settings = assignment.settings.session
        self._timeout_s = self._session_settings.work_timeout(assignment.arm)
        self._recent: Recent | None = None
        if size := self._session_settings.recent_interactions:
            self._recent = Recent(assignment.user_ids, assignment.catalog, size)
            for round in range(assignment.told + 1):
                self._recent.add(assignment.past(round))
        self._exchange = Exchange(assignment, self._recent)
        self.health = RecommenderHealth(assignment.arm.recommender)
        self.reserved: list[Session] = []
        """The sessions that the lobby gave to this arm, attached or about to be."""
        self.leaving: list[Session] = []
        """Those of them that said goodbye, and may have works to finish."""
        self.quarantined: set[str] = set()
        """Instances whose answers were rejected too often: they are not let in again."""
        self._seats = Seats(assignment.arm.replicas)
        self._briefing = Briefing(assignment, self._seats, offer)
        self.record = self._briefing.record
        self.can_search = False
        """Whether users have a search box: as the sessions said when the round began."""
        self.can_converse = False
        """The same for visits that open with words."""
        self._numbers = itertools.count(1)

    # -- sessions

    async def arrived(self) -> None:
        """Returns when a session is attached, however long it takes."""
        while not len(self._seats):
            await self._seats.changed()

    async def attach(self, session: Session, position: tuple[int, int]) -> None:
        """Takes a session into service, and tells it what it has not been told."""
        self.health.connected(session.register)
        await self._briefing.welcome(session, position)

    def detach(self, session: Session) -> None:
        """A session is gone; work waits for the next one as long as the resume window."""
        if self._seats.leave(session):
            self.health.disconnected()

    async def dismiss(self, grace_s: float, come_back: bool) -> None:
        """Drains the sessions: the run is over, or the recommender should come back for it. Where
        the run is over, those who have not been told all of it yet are told first, and go then."""
        why = "the run is stopped for now: come back" if come_back else "the run is over"
        code = grpc.StatusCode.UNAVAILABLE if come_back else grpc.StatusCode.OK
        reason = status_proto(code, why)
        leaving = list(self.reserved)
        if not come_back:
            self._briefing.goodbye = grace_s, reason
            leaving = [seat.session for seat in self._seats if seat.is_told]
        await asyncio.gather(*(session.drain(grace_s, reason) for session in leaving))
        self.health.conduct.dismissed()
        if told := self.health.conduct.as_json():
            who = {"arm": self.assignment.arm.id, "recommender": self.health.recommender_id}
            self.assignment.note({**who, "software": self.health.software, **told})

    @property
    def is_over(self) -> bool:
        """Whether its sessions were sent away."""
        return bool(self._briefing.goodbye) or self.assignment.is_closed()

    @property
    def lingers(self) -> bool:
        """Whether a run that is over has a word left for a recommender that lost its session at
        the end: as long as the resume window."""
        window = self._session_settings.resume_window_s
        now = asyncio.get_running_loop().time()
        absent = 0.0 if len(self._seats) else now - self._seats.absent_since
        return bool(self._briefing.goodbye) and absent < window and not self.assignment.is_closed()

    # -- the port

    @property
    def catalog(self) -> Catalog:
        """The version in force, as it is loaded."""
        return self._briefing.editions.current

    async def catalog_changed(self, changed: Ints) -> None:
        """Returns when all sessions have the new version, or will not have it."""
        await self._briefing.renew_catalog(changed)

    async def round_started(self, round: int, sim_time: datetime, expected: int) -> float:
        """Opens a round; returns the milliseconds until the recommender was ready."""
        start = time.perf_counter()
        started = session_pb2.RoundStarted(
            round=round, sim_time=timestamp(sim_time), expected_users=expected
        )
        await self._briefing.open_round(started)
        try:
            await self._present(0)
        except SessionLost:
            window = self._session_settings.resume_window_s
            apply_policy(self.assignment.arm, f"no session within {window:g} s")
        self._see_surfaces()
        took = (time.perf_counter() - start) * 1000
        self.health.trained(took)
        return took

    def _see_surfaces(self) -> None:
        """What users see in a round follows from who is there when it begins; a recommender that is
        away keeps its last word."""
        sessions = [seat.session for seat in self._seats if self._seats.is_serving(seat)]
        if sessions:
            self.can_search = all(session.can_search for session in sessions)
            self.can_converse = all(session.can_converse for session in sessions)

    async def rank(self, request: RankRequest) -> Lists:
        """Lists for all users of the request, in as many works as the sessions' limits ask for."""
        expected = lists.expected_length(
            self.assignment.catalog.available, request.offsets, request.count
        )
        return await self._in_works(Work("rank", request, expected))

    async def search(self, request: SearchRequest) -> Lists:
        """As `rank`; lists may be empty. A conversation is one work per user."""
        expected = np.zeros(len(request.users), np.int32)
        if request.conversation:
            return await self._in_works(Work("converse", request, expected), most=1)
        return await self._in_works(Work("search", request, expected))

    async def round_ended(self, feedback: Feedback, tally: RoundTally) -> None:
        """Hands over feedback; a session that is away is told when it comes back."""
        if self._recent:
            self._recent.add(feedback)
        ended = session_pb2.RoundEnded(
            round=feedback.round, accepted=tally.accepted, fallback=tally.fallback
        )
        await self._briefing.close_round(feedback, ended)

    # -- works

    async def _in_works(self, work: Work, most: int = 0) -> Lists:
        """Cuts a request into works, has them answered, puts the answers together."""
        with contextlib.suppress(SessionLost):  # each work finds that out, and is counted
            await self._present(0)
        pieces: list[tuple[int, Rows]] = []
        for slot, rows in work.spread(self._seats.replicas):
            seat = self._seats.serving(slot)
            wanted = self._session_settings.max_users_per_work
            each = most or (seat.session.max_users(wanted) if seat else ROWS_UNSERVED)
            pieces += [(slot, piece) for piece in cut(rows, each)]
        if len(pieces) == 1:
            return await self._work(pieces[0][0], work)
        parts = await asyncio.gather(*(self._work(slot, work.rows(rows)) for slot, rows in pieces))
        return joined(work, [(rows, part) for (_, rows), part in zip(pieces, parts, strict=True)])

    async def _halves(self, slot: int, work: Work) -> Lists:
        """A work that is too large for one message, in two."""
        middle = len(work) // 2
        rows = [np.arange(middle), np.arange(middle, len(work))]
        parts = await asyncio.gather(*(self._work(slot, work.rows(half)) for half in rows))
        return joined(work, list(zip(rows, parts, strict=True)))

    async def _present(self, slot: int) -> Seat:
        """The seat that serves a slot; waits for one that is away, at most the resume window."""
        settings = self._session_settings
        window = settings.resume_window_s
        loop = asyncio.get_running_loop()
        patience = loop.time() + settings.ready_timeout_s + window
        while not (seat := self._seats.serving(slot)):
            until = patience if len(self._seats) else self._seats.absent_since + window
            try:
                async with asyncio.timeout_at(until):
                    await self._seats.changed()
            except TimeoutError:
                raise SessionLost("no session within the resume window") from None
        return seat

    async def _work(self, slot: int, work: Work) -> Lists:
        """One work, told as a span: its lists, or what the failure policy shows instead."""
        a = self.assignment
        work_id = f"{a.epoch}-{work.request.round}-{a.arm_number}-{next(self._numbers)}"
        with work_span(
            run_id=a.run_id, arm_id=a.arm.id, recommender=a.arm.recommender, kind=work.kind,
            round=work.request.round, users=len(work), work_id=work_id,
        ) as span:  # fmt: skip
            try:
                found = await self._answer(slot, work_id, span.traceparent, work)
            except TooLarge:
                span.ended("split")
            else:
                (record,) = found.works
                span.ended(record.outcome.name.lower(), record.violations)
                return found
        return await self._halves(slot, work)

    async def _answer(self, slot: int, work_id: str, traceparent: str, work: Work) -> Lists:
        """A work is sent, sent again after a lost session, answered or given up; then checked.
        TooLarge where it has to go out in parts."""
        start = time.perf_counter()
        text = ""
        fields: Sequence[tuple[str, str]] = ()
        attempt = 0
        while True:
            try:
                seat = await self._present(slot)
            except SessionLost:
                outcome = Outcome.LOST
                break
            try:
                async with seat.session.credits.works:
                    if not self._seats.is_serving(seat):
                        continue  # lost while its other works were waited for
                    attempt += 1
                    start = time.perf_counter()
                    head = questions.header(
                        work_id, attempt, work.request.round, self._timeout_s,
                        self.assignment.epoch, traceparent,
                    )  # fmt: skip
                    parts = await self._ask(seat.session, head, work)
                took = (time.perf_counter() - start) * 1000
                verdict = self._exchange.verdict(seat.session, parts, work)
                seat.session.rejected_in_a_row = 0
                return await self._accepted(seat.session, work_id, work, verdict, took)
            except SessionLost:
                self.detach(seat.session)
            except TimeoutError:
                outcome = Outcome.LATE
                break
            except WorkRefused as error:
                outcome, text = Outcome.FAILED, str(error)
                break
            except ProtocolViolation as error:
                outcome, text = Outcome.REJECTED, str(error)
                fields = fields_of(error)
                await self._reject(seat.session, work_id, error, fields)
                break
        took = (time.perf_counter() - start) * 1000
        return self._failed(work, outcome, took, text, fields)

    async def _ask(
        self, session: Session, head: session_pb2.WorkHeader, work: Work
    ) -> list[Answer]:
        """The parts of a session's answer. TooLarge, and what `Session.ask` raises."""
        if work.kind == "search" and not session.can_search:
            raise WorkRefused(status_proto(grpc.StatusCode.UNIMPLEMENTED, "it does not search"))
        message = self._exchange.message(session, head, work).SerializeToString()
        size = len(message)
        if size > limits.SPLIT_BYTES and len(work) > 1:
            raise TooLarge
        if size > limits.MAX_MESSAGE_BYTES:
            text = f"the work for one user has {size} bytes, too many to be sent"
            raise WorkRefused(status_proto(grpc.StatusCode.RESOURCE_EXHAUSTED, text))
        await session.credits.take(size)
        try:
            return await session.ask(
                head.work_id, len(work), self._timeout_s, self._timeout_s * EXTENSION, message
            )
        finally:
            await session.credits.give_back(size)

    async def _reject(
        self,
        session: Session,
        work_id: str,
        error: ProtocolViolation,
        fields: Sequence[tuple[str, str]],
    ) -> None:
        """Tells why an answer is rejected; ends a session that gives nothing else."""
        text = str(error)
        await session.tell_outcome(
            work_id, session_pb2.WorkOutcome.DISPOSITION_REJECTED, bad_request(text, fields)
        )
        session.rejected_in_a_row += 1
        if session.rejected_in_a_row >= limits.MAX_REJECTED and not session.ended.is_set():
            self.health.quarantined += 1
            if session.register.instance_id:
                self.quarantined.add(session.register.instance_id)
            why = f"{limits.MAX_REJECTED} answers in a row were rejected, the last: {text}"
            session.end(Quarantined(why))
            self.detach(session)

    async def _accepted(
        self, session: Session, work_id: str, work: Work, verdict: Verdict, took: float
    ) -> Lists:
        """The lists of an answer; what is wrong with it is counted and told."""
        found, missing = verdict.lists, int(verdict.missing.sum())
        if missing:
            apply_policy(self.assignment.arm, f"{missing} lists missing in {work_id}")
        if not verdict.is_clean:
            self.health.conduct.complain(
                Outcome.VIOLATIONS, work.request.round, complaint(verdict), verdict.found
            )
            await session.tell_outcome(
                work_id,
                session_pb2.WorkOutcome.DISPOSITION_ACCEPTED_WITH_VIOLATIONS,
                bad_request(complaint(verdict), verdict.found),
            )
        worst = Outcome(int(found.outcome.max(initial=Outcome.ACCEPTED)))
        record = WorkRecord(
            work.request.round, self.assignment.arm_number, work.kind, len(work), took, worst,
            verdict.faults,
        )  # fmt: skip
        self.health.worked(record, found.outcome)
        return replace(found, works=(record,))

    def _failed(
        self,
        work: Work,
        outcome: Outcome,
        took: float,
        text: str,
        fields: Sequence[tuple[str, str]] = (),
    ) -> Lists:
        """What the failure policy shows in place of a whole work."""
        a, request, kind = self.assignment, work.request, work.kind
        log.warning(
            "work failed", run=a.run_id, arm=a.arm.id, kind=kind, outcome=outcome.name, why=text
        )
        self.health.conduct.complain(outcome, request.round, text, fields)
        apply_policy(a.arm, f"{kind} work {outcome.name}{': ' + text if text else ''}")
        found = instead(a, work, outcome, took)
        self.health.worked(found.works[0], found.outcome)
        return found
