"""A recommender behind the wire: the engine's port on one side, sessions that come and go on the
other. It lives as long as its run; a session that is lost and found again goes on where it was."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from datetime import datetime

import numpy as np
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from recarena.server import feedback as fb
from recarena.server import lists
from recarena.server.errors import ProtocolViolation, RunFailed, RunPaused, SessionLost
from recarena.server.ports import (
    Feedback,
    Lists,
    RankRequest,
    RoundTally,
    SearchRequest,
)
from recarena.server.rpc import answers, feedback_codec, questions
from recarena.server.rpc.health import RecommenderHealth
from recarena.server.rpc.session import Answer, Session, WorkRefused
from recarena.server.rpc.status import bad_request
from recarena.server.runs import Assignment
from recarena.server.types import FailurePolicy, Ints, Outcome, WorkRecord
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
        self._told = assignment.told
        self._position = 0, 0
        """(round, page) up to which the attached session has been told."""
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
        """(round, page) up to which a returning recommender has applied the feedback of this run,
        or None where it must start afresh."""
        if register.resume_run_id != self.assignment.run_id:
            return None
        if not register.feedback_cursor:
            return None
        cursor = feedback_codec.read_cursor(register.feedback_cursor)
        if not cursor or cursor[0] != self.assignment.epoch or cursor[1] > self._told:
            return None
        return cursor[1], cursor[2]

    async def attach(self, session: Session, position: tuple[int, int]) -> None:
        """Takes a session into service: what it has not been told comes first, then the open round
        if there is one. The one before it is fenced."""
        if self.session and self.session is not session:
            self.detach(self.session)
        async with self._exchange:
            self._position = position
            await self._tell(session, self._told)
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

    async def dismiss(self, grace_s: float) -> None:
        """The run is over for this recommender: drains its session."""
        if self.session:
            await self.session.drain(grace_s)

    # -- the port

    @property
    def told(self) -> int:
        """Last round whose feedback may be handed over."""
        return self._told

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
        when = Timestamp()
        when.FromDatetime(sim_time)
        self._serving.clear()
        self._open = session_pb2.RoundStarted(round=round, sim_time=when, expected_users=expected)
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
        return await self._in_works(
            len(request.users),
            lambda rows: self._work("rank", _rank_rows(request, rows), expected[rows]),
        )

    async def search(self, request: SearchRequest) -> Lists:
        """As `rank`; lists may be empty. A conversation is one work per user."""
        if request.conversation:
            return await self._in_works(
                len(request.users),
                lambda rows: self._work(
                    "converse", _search_rows(request, rows), np.zeros(1, np.int32)
                ),
                each=1,
            )
        return await self._in_works(
            len(request.users),
            lambda rows: self._work(
                "search", _search_rows(request, rows), np.zeros(len(request.users[rows]), np.int32)
            ),
        )

    async def round_ended(self, feedback: Feedback, tally: RoundTally) -> None:
        """Hands over feedback; a session that is away is told when it comes back."""
        async with self._exchange:
            self._open = None
            self._serving.clear()
            self._told = feedback.round
            session = self.session
            if not session:
                return
            try:
                await self._tell(session, feedback.round, feedback)
                await session.send(
                    round_ended=session_pb2.RoundEnded(
                        round=feedback.round, accepted=tally.accepted, fallback=tally.fallback
                    )
                )
            except SessionLost:
                log.info("feedback waits for the recommender", round=feedback.round)

    # -- feedback

    async def _tell(self, session: Session, last: int, newest: Feedback | None = None) -> None:
        """Sends all feedback after the position, up to round `last`."""
        a = self.assignment
        each = (
            feedback_codec.PAGES_PER_COLUMNAR_PART
            if session.columnar
            else feedback_codec.PAGES_PER_RICH_PART
        )
        first, page = self._position
        for round in range(first, last + 1):
            feedback = newest if newest and newest.round == round else a.past(round)
            sim_time = a.settings.time.of_round(max(round, 1))
            for start, end in fb.parts(feedback, each, page if round == first else 0):
                part = fb.part(feedback, start, end)
                cursor = feedback_codec.cursor(a.epoch, round, end)
                if session.columnar:
                    await session.send(feedback_columns=feedback_codec.columns(part, cursor))
                else:
                    batch = feedback_codec.rich(
                        part, a.user_ids, a.catalog.item_ids, sim_time, cursor
                    )
                    await session.send(feedback_batch=batch)
                self._position = round, end

    # -- works

    async def _in_works(self, size: int, work: Callable[[slice], object], each: int = 0) -> Lists:
        """Cuts a request into works, has them answered, puts the answers together."""
        try:
            session = await self._present()
            each = each or session.max_users(self.assignment.settings.session.max_users_per_work)
        except SessionLost:
            each = each or 256
        rows = [slice(at, min(at + each, size)) for at in range(0, size, each)]
        answered = await asyncio.gather(*(work(one) for one in rows))  # type: ignore[call-overload]
        return _joined(answered, rows)

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

    async def _work(self, kind: str, request: RankRequest | SearchRequest, expected: Ints) -> Lists:
        """One work: sent, sent again after a lost session, answered or given up; then checked."""
        a = self.assignment
        work_id = f"{a.epoch}-{request.round}-{a.arm_number}-{next(self._numbers)}"
        start = time.perf_counter()
        text = ""
        raw = None
        for attempt in itertools.count(1):
            try:
                session = await self._present()
                async with session.credits:
                    start = time.perf_counter()
                    message = self._message(session, kind, work_id, attempt, request)
                    parts = await session.ask(
                        work_id, self._timeout_s, self._timeout_s * EXTENSION, **message
                    )
                took = (time.perf_counter() - start) * 1000
                raw = self._read(session, parts, request)
                return await self._page(session, kind, work_id, request, raw, expected, took)
            except SessionLost:
                if self._absent_too_long():
                    outcome = Outcome.LOST
                    break
            except TimeoutError:
                outcome = Outcome.LATE
                break
            except WorkRefused as error:
                outcome, text = Outcome.FAILED, str(error)
                break
            except ProtocolViolation as error:
                outcome, text = Outcome.REJECTED, str(error)
                if self.session:
                    await self.session.tell_outcome(
                        work_id,
                        session_pb2.WorkOutcome.DISPOSITION_REJECTED,
                        bad_request(text, [(text.split(":")[0], text)]),
                    )
                break
        took = (time.perf_counter() - start) * 1000
        return self._failed(kind, request, outcome, took, text)

    def _absent_too_long(self) -> bool:
        window = self.assignment.settings.session.resume_window_s
        return not self.session and time.monotonic() - self._absent_since >= window

    def _message(
        self,
        session: Session,
        kind: str,
        work_id: str,
        attempt: int,
        request: RankRequest | SearchRequest,
    ) -> dict[str, object]:
        a = self.assignment
        head = questions.header(work_id, attempt, request.round, self._timeout_s, a.epoch)
        mode = types_pb2.EXPLANATION_MODE_NONE
        if a.arm.explanations and session.can_explain:
            mode = types_pb2.EXPLANATION_MODE_STRUCTURED
        if isinstance(request, RankRequest):
            if session.columnar:
                return {"rank_batch": questions.rank_batch(head, request)}
            excluded = self._watched_ids if a.settings.visits.repeats == "forbid" else None
            work = questions.rank_work(head, request, self._contexts, mode, excluded)
            return {"rank_work": work}
        if kind == "converse":
            return {"converse_work": questions.converse_work(head, request, 0, self._contexts)}
        if session.columnar:
            return {"search_batch": questions.search_batch(head, request)}
        return {"search_work": questions.search_work(head, request, self._contexts, mode)}

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
        kind: str,
        work_id: str,
        request: RankRequest | SearchRequest,
        raw: answers.RawLists,
        expected: Ints,
        took: float,
    ) -> Lists:
        """Checked lists of an answer; what is wrong with it is counted and told."""
        a = self.assignment
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
        violations = int(checked.violations[raw.answered].sum())
        if violations or missing.any():
            found = answers.paths(raw, checked.kept, request.count, expected)
            await session.tell_outcome(
                work_id,
                session_pb2.WorkOutcome.DISPOSITION_ACCEPTED_WITH_VIOLATIONS,
                bad_request(f"{violations} violations, {int(missing.sum())} missing", found),
            )
        worst = Outcome(int(outcome.max(initial=Outcome.ACCEPTED)))
        record = WorkRecord(request.round, a.arm_number, kind, len(items), took, worst, violations)
        self.health.worked(record, outcome)
        explanations, claims = answers.shown_explanations(raw, checked.kept, a.catalog)
        return Lists(items, outcome, raw.tokens, explanations, claims, (record,))

    def _failed(
        self,
        kind: str,
        request: RankRequest | SearchRequest,
        outcome: Outcome,
        took: float,
        text: str,
    ) -> Lists:
        """What the failure policy shows in place of a whole work."""
        a = self.assignment
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


def duration(seconds: float) -> Duration:
    """A protobuf Duration."""
    made = Duration()
    made.FromMicroseconds(int(seconds * 1e6))
    return made


def _rank_rows(request: RankRequest, rows: slice) -> RankRequest:
    return RankRequest(request.round, request.users[rows], request.offsets[rows], request.count)


def _search_rows(request: SearchRequest, rows: slice) -> SearchRequest:
    return SearchRequest(
        request.round, request.users[rows], request.offsets[rows], request.count,
        request.texts, request.text_of[rows], request.conversation,
    )  # fmt: skip


def _joined(parts: list[Lists], rows: list[slice]) -> Lists:
    """Lists of consecutive rows, put together."""
    if len(parts) == 1:
        return parts[0]
    tokens: dict[int, str] = {}
    explanations: dict[tuple[int, int], str] = {}
    claims: dict[tuple[int, int], tuple[int, ...]] = {}
    for part, where in zip(parts, rows, strict=True):
        at = where.start
        tokens.update({at + row: token for row, token in part.tokens.items()})
        explanations.update({(at + r, p): words for (r, p), words in part.explanations.items()})
        claims.update({(at + r, p): claim for (r, p), claim in part.claims.items()})
    return Lists(
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.outcome for part in parts]),
        tokens, explanations, claims,
        tuple(work for part in parts for work in part.works),
    )  # fmt: skip
