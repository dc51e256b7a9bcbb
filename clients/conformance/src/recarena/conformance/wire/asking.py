"""Works and feedback in either encoding, and answers as lists of item ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from recarena.conformance.findings import Unmet
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import WorkHeader
from recarena.v1.types_pb2 import Impression, Interaction, Item, RankedItem, Surface
from recarena.v1.work_pb2 import (
    RankBatch,
    RankedList,
    RankQuery,
    RankWork,
    SearchBatch,
    SearchQuery,
    SearchWork,
    UserContext,
)

PAGE = 5
WATCHERS, WATCHED = 12, 4
"""So many users have a history of so many items each."""


def user_id(number: int) -> str:
    """The id of the user with this number."""
    return f"u{number + 1:06d}"


def user(number: int) -> UserContext:
    """What a recommender is told of a user."""
    return UserContext(user_id=user_id(number), user_number=number, arm_id="arm-1")


# ------------------------------------------------------------------------------ works
@dataclass(frozen=True, slots=True)
class Work:
    """A work as it was sent."""

    work_id: str
    users: tuple[int, ...]
    columnar: bool
    count: int = PAGE
    offsets: Sequence[int] = ()
    text: str | None = None
    """Searches where it is not None."""
    attempt: int = 1
    round: int = 1
    timeout_s: float = 60.0
    of_queries: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further fields of each query (rich)."""


def work_message(work: Work) -> dict[str, Any]:
    """The message of a work, by the name of its field."""
    header = WorkHeader(work_id=work.work_id, attempt=work.attempt, round=work.round, epoch=1)
    header.timeout.FromMilliseconds(int(work.timeout_s * 1000))
    if work.columnar:
        common: dict[str, Any] = {
            "header": header,
            "result_count": work.count,
            "user_numbers": work.users,
            "offsets": work.offsets,
        }
        if work.text is None:
            return {"rank_batch": RankBatch(**common)}
        numbers = [0] * len(work.users)
        return {"search_batch": SearchBatch(**common, texts=[work.text], text_numbers=numbers)}
    queries: list[dict[str, Any]] = [
        {
            "query_index": index,
            "user": user(number),
            "result_count": work.count,
            "offset": work.offsets[index] if work.offsets else 0,
            **work.of_queries,
        }
        for index, number in enumerate(work.users)
    ]
    if work.text is None:
        feed: dict[str, Any] = {"surface": Surface.SURFACE_FEED}
        ranked = [RankQuery(**{**feed, **query}) for query in queries]
        return {"rank_work": RankWork(header=header, queries=ranked)}
    searched = [SearchQuery(text=work.text, **query) for query in queries]
    return {"search_work": SearchWork(header=header, queries=searched)}


# ------------------------------------------------------------------------------ answers
@dataclass(frozen=True, slots=True)
class Answer:
    """What the program answered, in the rich form whichever it came in."""

    work: Work
    lists: tuple[RankedList, ...]
    complete: bool = True

    @property
    def pages(self) -> list[list[str]]:
        """The item ids for each query of the work, in the order of the queries."""
        by_query = {one.query_index: one for one in self.lists}
        return [
            [item.item_id for item in by_query[index].items] if index in by_query else []
            for index in range(len(self.work.users))
        ]


def answer_of(work: Work, parts: Sequence[ConnectRequest], items: Sequence[Item]) -> Answer:
    """The answer that these messages make. Unmet where one does not fit the work."""
    wanted = "rank_batch_result" if work.columnar else "rank_result"
    for part in parts:
        if part.HasField("work_failed"):
            status = part.work_failed.status
            raise Unmet(f"WorkFailed, code {status.code}: {status.message}", required="an answer")
        if not part.HasField(wanted):
            raise Unmet(f"{part.WhichOneof('message')}", required=f"{wanted} answers such a work")
    if work.columnar:
        return Answer(work, _lists_of_columns(work, parts[-1], items))
    lists = tuple(one for part in parts for one in part.rank_result.lists)
    return Answer(work, lists, parts[-1].rank_result.complete)


def _lists_of_columns(
    work: Work, part: ConnectRequest, items: Sequence[Item]
) -> tuple[RankedList, ...]:
    result = part.rank_batch_result
    lengths = list(result.list_lengths) or [work.count] * len(work.users)
    if len(lengths) != len(work.users) or sum(lengths) != len(result.item_numbers):
        raise Unmet(
            f"{len(lengths)} lists of {sum(lengths)} items together,"
            f" {len(result.item_numbers)} item_numbers, for {len(work.users)} users",
            required="a length for each user, which add up to the item_numbers",
            fix="send list_lengths whenever lists have not result_count items each",
        )
    ids = [
        items[number].item_id if number < len(items) else f"number {number}"
        for number in result.item_numbers
    ]
    return tuple(
        RankedList(
            query_index=index,
            items=[RankedItem(item_id=item_id) for item_id in ids[end - length : end]],
        )
        for index, (end, length) in enumerate(zip(accumulate(lengths), lengths, strict=True))
    )


# ------------------------------------------------------------------------------ feedback
class Row(NamedTuple):
    """One thing that a user did with an item."""

    user: int
    item: int
    type: int = Interaction.TYPE_RATE
    value: float = 4.0


def history(size: int) -> list[Row]:
    """What is known before the run: neighbouring users have watched neighbouring items."""
    return [
        Row(number, (number + step) % size)
        for number in range(WATCHERS)
        for step in range(min(WATCHED, size))
    ]


def feedback_message(
    columnar: bool, items: Sequence[Item], cursor: str, round: int, rows: Sequence[Row]
) -> dict[str, Any]:
    """A batch of feedback, by the name of its field. In a round each row is a page of one item."""
    if columnar:
        columns = FeedbackColumns(
            round=round,
            cursor=cursor,
            user_numbers=[row.user for row in rows],
            item_numbers=[row.item for row in rows],
            positions=[0] * len(rows),
            types=[row.type for row in rows],
            values=[row.value for row in rows],
        )
        return {"feedback_columns": columns}
    batch = FeedbackBatch(round=round, cursor=cursor)
    for at, row in enumerate(rows):
        done = Interaction(
            interaction_id=f"{cursor}-{at}",
            user_id=user_id(row.user),
            item_id=items[row.item].item_id if row.item < len(items) else "gone",
            round=round,
        )
        done.type = row.type  # pyright: ignore[reportAttributeAccessIssue] (also unknown numbers)
        if row.type == Interaction.TYPE_RATE:
            done.value = row.value
        if round:
            done.impression_id, done.position = f"{cursor}-page-{at}", 0
            shown = Impression.Shown(item_id=done.item_id)
            batch.impressions.append(
                Impression(
                    impression_id=done.impression_id,
                    user_id=done.user_id,
                    source=Impression.SOURCE_RECOMMENDER,
                    surface=Surface.SURFACE_FEED,
                    items=[shown],
                )
            )
        batch.interactions.append(done)
    return {"feedback_batch": batch}
