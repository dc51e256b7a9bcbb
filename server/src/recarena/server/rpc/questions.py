"""Work for recommenders, in either encoding."""

from __future__ import annotations

from collections.abc import Callable

from recarena.server.ports import RankRequest, SearchRequest
from recarena.server.rpc.times import duration
from recarena.v1 import session_pb2, types_pb2, work_pb2


class Contexts:
    """What recommenders may know of each user, made when first needed and kept as long as it is
    true."""

    def __init__(
        self, user_ids: list[str], arm_id: str, attributes: Callable[[int], dict[str, str]]
    ) -> None:
        self._user_ids, self._arm_id, self._attributes = user_ids, arm_id, attributes
        self._made: dict[int, work_pb2.UserContext] = {}
        self.recent: Callable[[int], list[types_pb2.Interaction]] | None = None

    def __getitem__(self, user: int) -> work_pb2.UserContext:
        made, attributes = self._made.get(user), self._attributes(user)
        if made is None or made.attributes != attributes:
            made = work_pb2.UserContext(
                user_id=self._user_ids[user],
                user_number=user,
                arm_id=self._arm_id,
                attributes=attributes,
            )
            self._made[user] = made
        if self.recent:
            full = work_pb2.UserContext()
            full.CopyFrom(made)
            full.recent.extend(self.recent(user))
            return full
        return made


def header(
    work_id: str, attempt: int, round: int, timeout_s: float, epoch: int, traceparent: str = ""
) -> session_pb2.WorkHeader:
    """The header of a work."""
    return session_pb2.WorkHeader(
        work_id=work_id,
        attempt=attempt,
        round=round,
        timeout=duration(timeout_s),
        epoch=epoch,
        traceparent=traceparent,
    )


def rank_work(
    head: session_pb2.WorkHeader,
    request: RankRequest,
    contexts: Contexts,
    mode: types_pb2.ExplanationMode.ValueType,
    excluded: Callable[[int], list[str]] | None,
) -> work_pb2.RankWork:
    """RankWork for the users of a request."""
    work = work_pb2.RankWork(header=head)
    count = request.count
    feed = types_pb2.SURFACE_FEED
    pairs = zip(request.users.tolist(), request.offsets.tolist(), strict=True)
    work.queries.extend(
        [
            work_pb2.RankQuery(
                query_index=index,
                user=contexts[user],
                surface=feed,
                result_count=count,
                offset=offset,
                explanation_mode=mode,
                candidates=_candidates(excluded, user) if excluded else None,
            )
            for index, (user, offset) in enumerate(pairs)
        ]
    )
    return work


def _candidates(excluded: Callable[[int], list[str]], user: int) -> types_pb2.CandidateSet:
    return types_pb2.CandidateSet(whole_catalog=True, excluded_item_ids=excluded(user))


def rank_batch(head: session_pb2.WorkHeader, request: RankRequest) -> work_pb2.RankBatch:
    """RankBatch for the users of a request."""
    return work_pb2.RankBatch(
        header=head,
        result_count=request.count,
        user_numbers=request.users.tolist(),
        offsets=request.offsets.tolist() if request.offsets.any() else (),
    )


def search_work(
    head: session_pb2.WorkHeader,
    request: SearchRequest,
    contexts: Contexts,
    mode: types_pb2.ExplanationMode.ValueType,
) -> work_pb2.SearchWork:
    """SearchWork for the users of a request."""
    work = work_pb2.SearchWork(header=head)
    for index, user in enumerate(request.users.tolist()):
        work.queries.append(
            work_pb2.SearchQuery(
                query_index=index,
                user=contexts[user],
                text=request.texts[int(request.text_of[index])][:200],
                result_count=request.count,
                offset=int(request.offsets[index]),
                explanation_mode=mode,
            )
        )
    return work


def search_batch(head: session_pb2.WorkHeader, request: SearchRequest) -> work_pb2.SearchBatch:
    """SearchBatch for the users of a request."""
    used = sorted(set(request.text_of.tolist()))
    number = {old: new for new, old in enumerate(used)}
    return work_pb2.SearchBatch(
        header=head,
        result_count=request.count,
        user_numbers=request.users.tolist(),
        text_numbers=[number[old] for old in request.text_of.tolist()],
        texts=[request.texts[old][:200] for old in used],
        offsets=request.offsets.tolist() if request.offsets.any() else (),
    )


def converse_work(
    head: session_pb2.WorkHeader, request: SearchRequest, row: int, contexts: Contexts
) -> work_pb2.ConverseWork:
    """ConverseWork for one user, whose only turn so far is the opening words."""
    user = int(request.users[row])
    words = request.texts[int(request.text_of[row])]
    return work_pb2.ConverseWork(
        header=head,
        user=contexts[user],
        conversation_id=f"{request.round}-{user}",
        turns=[work_pb2.Turn(speaker=work_pb2.Turn.SPEAKER_USER, text=words)],
        result_count=request.count,
    )
