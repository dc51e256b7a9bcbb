"""A recommender behind the wire: the engine's port on one side, sessions that come and go on the
other. It lives as long as its run; a session that is lost and found again goes on where it was."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import datetime

import grpc
import numpy as np
import structlog

from recarena.server import lists
from recarena.server.errors import ProtocolViolation, RunFailed, RunPaused, SessionLost
from recarena.server.ports import (
    Feedback,
    Lists,
    RankRequest,
    RoundTally,
    SearchRequest,
)
from recarena.server.rpc import answers, questions
from recarena.server.rpc.delivery import Delivery
from recarena.server.rpc.health import RecommenderHealth
from recarena.server.rpc.recent import Recent
from recarena.server.rpc.session import Answer, Response, Session, WorkRefused
from recarena.server.rpc.status import bad_request, status_proto
from recarena.server.rpc.times import timestamp
from recarena.server.rpc.works import Work, joined
from recarena.server.runs import Assignment
from recarena.server.types import FailurePolicy, Outcome, WorkRecord
from recarena.v1 import session_pb2, types_pb2, work_pb2

log = structlog.get_logger()

EXTENSION = 4.0
"""ExtendDeadline reaches at most this many times the work's timeout."""


class RemoteRecommender:
    """The `Recommender` port of one arm, served by whichever session is attached."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        settings = assignment.settings
        self._timeout_s = settings.session.work_timeout(assignment.arm)
        self._contexts = questions.Contexts(
            assignment.user_ids, assignment.arm.id, self._open_profile
        )
        self._recent: Recent | None = None
        if size := settings.session.recent_interactions:
            self._recent = Recent(assignment.user_ids, assignment.catalog.item_ids, size)
            self._contexts.recent = self._recent.of
            for round in range(assignment.told + 1):
                self._recent.add(assignment.past(round))
        self.health = RecommenderHealth(assignment.arm.recommender)
        self.session: Session | None = None
        self.reserved_for: Session | None = None
        """The session that the lobby gave to this arm, attached or about to be."""
        self._serving = asyncio.Event()
        """A session is attached, caught up and ready for the open round."""
        self._attached = asyncio.Event()
        self._absent_since = time.monotonic()
        self._exchange = asyncio.Lock()
        """Held while feedback is handed over or a round is opened: never both at once."""
        self._open: session_pb2.RoundStarted | None = None
        self._delivery = Delivery(assignment)
        self._numbers = itertools.count(1)

    def _open_profile(self, user: int) -> dict[str, str]:
        profile = self.assignment.world.population.profile
        fields = self.assignment.settings.session.open_profile
        return {name: profile[name][user] for name in fields if name in profile}

    # -- sessions

    async def arrived(self) -> None:
        """Returns when a session is attached, however long it takes."""
        await self._attached.wait()

    def resumes(self, register: session_pb2.Register) -> tuple[int, int] | None:
        """As Delivery.resumes."""
        return self._delivery.resumes(register)

    def place(self, cursor: str) -> tuple[int, int] | None:
        """As Delivery.place."""
        return self._delivery.place(cursor)

    async def attach(self, session: Session, position: tuple[int, int]) -> None:
        """Takes a session into service: what it has not been told comes first, then the open round
        if there is one. The one before it is fenced."""
        if self.session and self.session is not session:
            self.detach(self.session)
        async with self._exchange:
            await self._delivery.catch_up(session, position)
            self.session = session
            self.health.connected(session.register)
            self._attached.set()
            if self._open:
                await self._begin(session)

    def detach(self, session: Session) -> None:
        """A session is gone; work waits for the next one as long as the resume window."""
        if self.session is session:
            self.session = None
            self.health.disconnected()
            self._serving.clear()
            self._attached.clear()
            self._absent_since = time.monotonic()

    async def dismiss(self, grace_s: float, come_back: bool) -> None:
        """Drains the session: the run is over, or the recommender should come back for it."""
        if self.session:
            why = "the run is stopped for now: come back" if come_back else "the run is over"
            code = grpc.StatusCode.UNAVAILABLE if come_back else grpc.StatusCode.OK
            await self.session.drain(grace_s, status_proto(code, why))

    # -- the port

    @property
    def told(self) -> int:
        """Last round whose feedback may be handed over."""
        return self._delivery.told

    @property
    def can_search(self) -> bool:
        """As the attached session says; a recommender that is away keeps its last word."""
        return self.health.can_search

    @property
    def can_converse(self) -> bool:
        """As for can_search."""
        return self.health.can_converse

    async def round_started(self, round: int, sim_time: datetime, expected: int) -> float:
        """Opens a round; returns the milliseconds until the recommender was ready."""
        start = time.perf_counter()
        self._serving.clear()
        self._open = session_pb2.RoundStarted(
            round=round, sim_time=timestamp(sim_time), expected_users=expected
        )
        async with self._exchange:
            if self.session and not self._serving.is_set():
                try:
                    await self._begin(self.session)
                except (SessionLost, ProtocolViolation) as error:
                    log.warning("recommender not ready", error=str(error), round=round)
        try:
            await self._present()
        except SessionLost:
            self._absence_policy()
        took = (time.perf_counter() - start) * 1000
        self.health.trained(took)
        return took

    async def _begin(self, session: Session) -> None:
        assert self._open is not None
        await session.play_round(self._open, self.assignment.settings.session.ready_timeout_s)
        if self.session is session:
            self._serving.set()

    async def rank(self, request: RankRequest) -> Lists:
        """Lists for all users of the request, in as many works as the session's limits ask for."""
        expected = lists.expected_length(
            len(self.assignment.catalog), request.offsets, request.count
        )
        return await self._in_works(Work("rank", request, expected))

    async def search(self, request: SearchRequest) -> Lists:
        """As `rank`; lists may be empty. A conversation is one work per user."""
        expected = np.zeros(len(request.users), np.int32)
        if request.conversation:
            return await self._in_works(Work("converse", request, expected), each=1)
        return await self._in_works(Work("search", request, expected))

    async def round_ended(self, feedback: Feedback, tally: RoundTally) -> None:
        """Hands over feedback; a session that is away is told when it comes back."""
        async with self._exchange:
            self._open = None
            self._serving.clear()
            self._delivery.told = feedback.round
            if self._recent:
                self._recent.add(feedback)
            session = self.session
            if not session:
                return
            try:
                await self._delivery.tell(session, feedback)
                ended = session_pb2.RoundEnded(
                    round=feedback.round, accepted=tally.accepted, fallback=tally.fallback
                )
                await session.send(Response(round_ended=ended))
            except SessionLost:
                log.info("feedback waits for the recommender", round=feedback.round)

    # -- works

    async def _in_works(self, work: Work, each: int = 0) -> Lists:
        """Cuts a request into works, has them answered, puts the answers together."""
        try:
            session = await self._present()
            each = each or session.max_users(self.assignment.settings.session.max_users_per_work)
        except SessionLost:
            each = each or 256
        return joined(await asyncio.gather(*(self._work(one) for one in work.cut(each))))

    async def _present(self) -> Session:
        """The session in service; waits for one that is away, at most the resume window."""
        window = self.assignment.settings.session.resume_window_s
        if not self._serving.is_set():
            if self.session:
                left = self.assignment.settings.session.ready_timeout_s + window
            else:
                left = self._absent_since + window - time.monotonic()
            try:
                await asyncio.wait_for(self._serving.wait(), max(left, 0))
            except TimeoutError:
                raise SessionLost("no session within the resume window") from None
        assert self.session is not None
        return self.session

    async def _work(self, work: Work) -> Lists:
        """One work: sent, sent again after a lost session, answered or given up; then checked."""
        a = self.assignment
        work_id = f"{a.epoch}-{work.request.round}-{a.arm_number}-{next(self._numbers)}"
        start = time.perf_counter()
        text = ""
        attempt = 0
        while True:
            try:
                session = await self._present()
            except SessionLost:
                outcome = Outcome.LOST
                break
            try:
                async with session.credits:
                    if self.session is not session:
                        continue
                    attempt += 1
                    start = time.perf_counter()
                    message = self._message(session, work_id, attempt, work)
                    parts = await session.ask(
                        work_id, self._timeout_s, self._timeout_s * EXTENSION, message
                    )
                took = (time.perf_counter() - start) * 1000
                raw = self._read(session, parts, work.request)
                return await self._page(session, work_id, work, raw, took)
            except SessionLost:
                self.detach(session)
            except TimeoutError:
                outcome = Outcome.LATE
                break
            except WorkRefused as error:
                outcome, text = Outcome.FAILED, str(error)
                break
            except ProtocolViolation as error:
                outcome, text = Outcome.REJECTED, str(error)
                await session.tell_outcome(
                    work_id,
                    session_pb2.WorkOutcome.DISPOSITION_REJECTED,
                    bad_request(text, [(text.split(":")[0], text)]),
                )
                break
        took = (time.perf_counter() - start) * 1000
        return self._failed(work, outcome, took, text)

    def _message(self, session: Session, work_id: str, attempt: int, work: Work) -> Response:
        a, request = self.assignment, work.request
        head = questions.header(work_id, attempt, request.round, self._timeout_s, a.epoch)
        mode = types_pb2.EXPLANATION_MODE_NONE
        if a.arm.explanations and session.can_explain:
            mode = types_pb2.EXPLANATION_MODE_STRUCTURED
        if isinstance(request, RankRequest):
            if session.columnar:
                return Response(rank_batch=questions.rank_batch(head, request))
            excluded = self._watched_ids if a.settings.visits.repeats == "forbid" else None
            return Response(
                rank_work=questions.rank_work(head, request, self._contexts, mode, excluded)
            )
        if work.kind == "converse":
            talk = questions.converse_work(head, request, 0, self._contexts)
            return Response(converse_work=talk)
        if session.columnar:
            return Response(search_batch=questions.search_batch(head, request))
        return Response(search_work=questions.search_work(head, request, self._contexts, mode))

    def _watched_ids(self, user: int) -> list[str]:
        ids = self.assignment.catalog.item_ids
        return [ids[item] for item in self.assignment.world.watched.of(user).tolist()]

    def _read(
        self, session: Session, parts: list[Answer], request: RankRequest | SearchRequest
    ) -> answers.RawLists:
        a = self.assignment
        queries = len(request.users)
        ranked: list[work_pb2.RankedList] = []
        for part in parts:
            if isinstance(part, work_pb2.RankBatchResult):
                return answers.read_columns(part, queries, request.count, a.catalog)
            if isinstance(part, work_pb2.ConverseResult):
                ranked.append(
                    work_pb2.RankedList(items=part.items, attribution_token=part.attribution_token)
                )
            else:
                ranked.extend(part.lists)
        wanted = a.arm.explanations and session.can_explain
        return answers.read_rich(ranked, queries, a.catalog, wanted)

    async def _page(
        self,
        session: Session,
        work_id: str,
        work: Work,
        raw: answers.RawLists,
        took: float,
    ) -> Lists:
        """Checked lists of an answer; what is wrong with it is counted and told."""
        a, request, expected = self.assignment, work.request, work.expected
        excluded = None
        if a.settings.visits.repeats == "forbid" and raw.items.shape[1]:
            excluded = a.world.watched.has(request.users, raw.items)
        checked = lists.check(raw.items, request.count, expected, excluded)
        outcome, items = checked.outcome, checked.items
        missing = ~raw.answered
        if missing.any():
            outcome = np.where(missing, np.int8(Outcome.FAILED), outcome)
            items = items.copy()
            items[missing] = lists.fallback(
                a.arm.policy, a.world, request.offsets[missing], request.count
            )
            self._apply_policy(f"{int(missing.sum())} lists missing in {work_id}")
        violations = int(checked.violations[raw.answered].sum()) + raw.long_tokens
        if violations or missing.any():
            found = answers.paths(raw, checked.kept, request.count, expected)
            await session.tell_outcome(
                work_id,
                session_pb2.WorkOutcome.DISPOSITION_ACCEPTED_WITH_VIOLATIONS,
                bad_request(f"{violations} violations, {int(missing.sum())} missing", found),
            )
        worst = Outcome(int(outcome.max(initial=Outcome.ACCEPTED)))
        record = WorkRecord(
            request.round, a.arm_number, work.kind, len(items), took, worst, violations
        )
        self.health.worked(record, outcome)
        explanations, claims = answers.shown_explanations(raw, checked.kept, a.catalog)
        return Lists(items, outcome, raw.tokens, explanations, claims, (record,))

    def _failed(self, work: Work, outcome: Outcome, took: float, text: str) -> Lists:
        """What the failure policy shows in place of a whole work."""
        a, request, kind = self.assignment, work.request, work.kind
        log.warning(
            "work failed", run=a.run_id, arm=a.arm.id, kind=kind, outcome=outcome.name, why=text
        )
        self._apply_policy(f"{kind} work {outcome.name}{': ' + text if text else ''}")
        size = len(request.users)
        record = WorkRecord(request.round, a.arm_number, kind, size, took, outcome)
        outcomes = np.full(size, outcome, np.int8)
        self.health.worked(record, outcomes)
        items = lists.fallback(a.arm.policy, a.world, request.offsets, request.count)
        return Lists(items, outcomes, works=(record,))

    def _absence_policy(self) -> None:
        window = self.assignment.settings.session.resume_window_s
        self._apply_policy(f"no session within {window:g} s")

    def _apply_policy(self, what: str) -> None:
        arm = self.assignment.arm
        text = f"arm {arm.id}, recommender {arm.recommender}: {what}"
        if arm.policy is FailurePolicy.PAUSE_RUN:
            raise RunPaused(text)
        if arm.policy is FailurePolicy.FAIL_RUN:
            raise RunFailed(text)
