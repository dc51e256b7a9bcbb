"""Works of one arm as messages, and the answers as lists that were checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recarena.server import lists
from recarena.server.door import Assignment
from recarena.server.errors import ProtocolViolation
from recarena.server.ports import Lists, RankRequest, SearchRequest
from recarena.server.rpc import answers, questions
from recarena.server.rpc.recent import Recent
from recarena.server.rpc.session import Answer, Response, Session
from recarena.server.rpc.works import Work
from recarena.server.types import Bools, Faults, Outcome
from recarena.v1 import session_pb2, types_pb2, work_pb2

FIELDS: dict[type[Answer], str] = {
    work_pb2.RankResult: "rank_result",
    work_pb2.RankBatchResult: "rank_batch_result",
    work_pb2.ConverseResult: "converse_result",
}
"""What an answer is called in ConnectRequest."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer after the checks."""

    lists: Lists
    missing: Bools
    """[users]: no list was sent for the query."""
    faults: Faults
    found: list[tuple[str, str]]
    """(field path, what is wrong with it), the first 16."""

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to complain of."""
        return not self.faults.total and not self.missing.any()


class BadAnswer(ProtocolViolation):
    """An answer that is rejected as a whole. `fields` are (path, problem) pairs."""

    def __init__(self, text: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.fields = fields


def fields_of(error: ProtocolViolation) -> Sequence[tuple[str, str]]:
    """What is wrong with an answer that is rejected, as (field path, problem)."""
    text = str(error)
    return error.fields if isinstance(error, BadAnswer) else [(text.split(":")[0], text)]


class Exchange:
    """Writes works for one arm and reads what comes back."""

    def __init__(self, assignment: Assignment, recent: Recent | None) -> None:
        self._assignment = assignment
        self._contexts = questions.Contexts(
            assignment.user_ids, assignment.arm.id, self._open_profile
        )
        if recent:
            self._contexts.recent = recent.of

    def _open_profile(self, user: int) -> dict[str, str]:
        profile = self._assignment.world.population.profile
        fields = self._assignment.settings.session.open_profile
        return {name: profile[name][user] for name in fields if name in profile}

    def message(self, session: Session, head: session_pb2.WorkHeader, work: Work) -> Response:
        """A work in the encoding of a session."""
        a, request = self._assignment, work.request
        mode = types_pb2.EXPLANATION_MODE_NONE
        if self._explained(session):
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

    def _explained(self, session: Session) -> bool:
        return self._assignment.arm.explanations and session.can_explain

    def _watched_ids(self, user: int) -> list[str]:
        ids = self._assignment.catalog.item_ids
        return [ids[item] for item in self._assignment.world.watched.of(user).tolist()]

    def verdict(self, session: Session, parts: list[Answer], work: Work) -> Verdict:
        """The lists of an answer as they may be shown. BadAnswer where nothing of it may be: its
        form is wrong, or the arm is strict and anything is wrong."""
        a, request = self._assignment, work.request
        try:
            raw = self._read(session, parts, request)
        except ProtocolViolation as error:
            text = str(error)
            raise BadAnswer(text, [(text.split(":")[0], text)]) from None
        excluded = None
        if a.settings.visits.repeats == "forbid" and raw.items.shape[1]:
            excluded = a.world.watched.has(request.users, raw.items)
        checked = lists.check(raw.items, request.count, work.expected, excluded)
        outcome, items, missing = checked.outcome, checked.items, ~raw.answered
        if missing.any():
            outcome = np.where(missing, np.int8(Outcome.FAILED), outcome)
            items = items.copy()
            items[missing] = lists.fallback(
                a.arm.policy, a.world, request.offsets[missing], request.count
            )
        faults = replace(checked.faults(raw.answered), token=len(raw.bad_tokens))
        found: list[tuple[str, str]] = []
        if faults.total or missing.any():
            found = answers.paths(raw, checked.kept, request.count, work.expected)
            if a.arm.strict:
                raise BadAnswer(f"{_counted(faults, missing)}; the arm is strict", found)
        told = answers.shown_explanations(raw, checked.kept, a.catalog)
        share, round = a.arm.explanation_share, request.round
        held = lists.withheld(a.settings.seed, round, request.users, items, told[0], share)
        shown = Lists(items, outcome, raw.tokens, *told, withheld=held)
        return Verdict(shown, missing, faults, found)

    @staticmethod
    def _kind_of_answer(session: Session, request: RankRequest | SearchRequest) -> type[Answer]:
        """Which message answers a request in the encoding of the session."""
        if isinstance(request, SearchRequest) and request.conversation:
            return work_pb2.ConverseResult
        return work_pb2.RankBatchResult if session.columnar else work_pb2.RankResult

    def _read(
        self, session: Session, parts: list[Answer], request: RankRequest | SearchRequest
    ) -> answers.RawLists:
        a = self._assignment
        queries = len(request.users)
        ranked: list[work_pb2.RankedList] = []
        wanted = self._kind_of_answer(session, request)
        for part in parts:
            if not isinstance(part, wanted):
                name, right = FIELDS[type(part)], FIELDS[wanted]
                raise ProtocolViolation(f"{name}: this work wants {right}")
            if isinstance(part, work_pb2.RankBatchResult):
                return answers.read_columns(part, queries, request.count, a.catalog)
            if isinstance(part, work_pb2.ConverseResult):
                ranked.append(
                    work_pb2.RankedList(items=part.items, attribution_token=part.attribution_token)
                )
            else:
                ranked.extend(part.lists)
        return answers.read_rich(ranked, queries, a.catalog, self._explained(session))


def complaint(verdict: Verdict) -> str:
    """What is wrong with an answer, in a sentence."""
    return _counted(verdict.faults, verdict.missing)


def _counted(faults: Faults, missing: Bools) -> str:
    return f"{faults.total} violations, {int(missing.sum())} missing"
