"""What a recommender answers, and how it is put into messages.

Lists of plain ids are the common case. Each id is turned into its wire form once (a RankedList
with that one item); a list is then the joined bytes of its items, parsed in one call: serialised
messages of one type that stand one behind the other merge, and repeated fields concatenate.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from recarena.client.errors import WrongAnswer, described
from recarena.v1.types_pb2 import RankedItem
from recarena.v1.work_pb2 import ConverseResult, RankBatchResult, RankedList, RankResult

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranked:
    """One list, best first. `token` comes back with the feedback about it (attribution_token)."""

    items: Sequence[str] | Sequence[RankedItem] | Sequence[str | RankedItem]
    token: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One turn of a conversation: what is said and the items offered with it, best first."""

    text: str
    items: Sequence[str] | Sequence[RankedItem] | Sequence[str | RankedItem] = ()
    token: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ItemColumns:
    """Lists as item numbers, one list behind the other in the order of the work.

    `list_lengths` may stay empty when all lists have result_count items. Arrays are welcome: what
    has `tolist` is read through it, and a matrix (users × items) is read row by row.
    """

    item_numbers: Iterable[int]
    list_lengths: Iterable[int] = ()


# One list: ids, messages with scores and explanations, or either with a token.
Answer: TypeAlias = Sequence[str] | Sequence[RankedItem] | Ranked


class WireItems(dict[str, bytes]):
    """The wire form of items by id; what is not in the catalogue is not kept."""

    def __init__(self, known: Container[str]) -> None:
        super().__init__()
        self._known = known

    def __missing__(self, item_id: str) -> bytes:
        wire = RankedList(items=[RankedItem(item_id=item_id)]).SerializeToString()
        if item_id in self._known:
            self[item_id] = wire
        return wire


def put_lists(
    result: RankResult, method: str, answers: Sequence[Answer], wanted: int, wire: WireItems
) -> None:
    """Fill `result` with the answers of `method`, one per query in the order of the queries.

    Raises:
        WrongAnswer: their number is not `wanted`, or one is no list of items.
    """
    try:
        count = len(answers)
    except TypeError as error:
        found = type(cast("object", answers)).__name__
        raise WrongAnswer(f"{method} returned {found}, not a list of lists") from error
    if count != wanted:
        raise WrongAnswer(f"{method} returned {count} lists for {wanted} queries")
    add, of = result.lists.add, wire.__getitem__
    for index, answer in enumerate(answers):
        target = add(query_index=index)
        try:
            # The common case, first and without a call: a list of ids.
            if type(answer) is list and answer and type(answer[0]) is str:
                target.MergeFromString(b"".join(map(of, answer)))
            else:
                put_list(target, answer, wire)
        except (TypeError, ValueError) as error:
            raise WrongAnswer(f"{method}, list {index}: {described(error)}") from error
    result.complete = True


def put_list(target: RankedList, answer: Answer, wire: WireItems) -> None:
    if isinstance(answer, Ranked):
        if answer.token:
            target.attribution_token = answer.token
        return put_list(target, cast("Sequence[str]", answer.items), wire)
    if isinstance(answer, (str, bytes)):
        raise TypeError(f"one string {answer!r} where a list of item ids is wanted")
    items: list[str | RankedItem] = list(answer)
    if any(isinstance(item, RankedItem) for item in items):
        target.items.extend(
            [RankedItem(item_id=item) if isinstance(item, str) else item for item in items]
        )
    else:
        target.MergeFromString(b"".join(map(wire.__getitem__, cast("list[str]", items))))
    return None


def put_columns(
    result: RankBatchResult, method: str, columns: ItemColumns, users: int, result_count: int
) -> None:
    """Fill `result` with `users` lists.

    Raises:
        WrongAnswer: the lengths do not fit, or something is no item number.
    """
    columns = expect(columns, ItemColumns, method)
    try:
        result.item_numbers.extend(plain(columns.item_numbers))
        result.list_lengths.extend(plain(columns.list_lengths))
    except (TypeError, ValueError) as error:
        raise WrongAnswer(f"{method}: {described(error)}") from error
    found, lengths = len(result.item_numbers), len(result.list_lengths)
    if not lengths:
        if found != users * result_count:
            raise WrongAnswer(
                f"{method} returned {found} items for {users} users × {result_count}"
                " (give list_lengths when lists differ)"
            )
    elif lengths != users:
        raise WrongAnswer(f"{method} returned {lengths} list_lengths for {users} users")
    elif sum(result.list_lengths) != found:
        raise WrongAnswer(
            f"{method} returned {found} items, but list_lengths add up to"
            f" {sum(result.list_lengths)}"
        )


def put_reply(result: ConverseResult, method: str, reply: Reply) -> None:
    """Fill `result` with a turn.

    Raises:
        WrongAnswer: it is no Reply, or its items are no items.
    """
    reply = expect(reply, Reply, method)
    try:
        offered = RankedList()
        put_list(offered, Ranked(reply.items), WireItems(()))
        result.reply_text = reply.text
        result.items.extend(offered.items)
        result.attribution_token = reply.token
    except (TypeError, ValueError) as error:
        raise WrongAnswer(f"{method}: {described(error)}") from error


def expect(value: T, kind: type[T], method: str) -> T:
    if not isinstance(value, kind):
        found = type(cast("object", value)).__name__
        raise WrongAnswer(f"{method} returned {found}, not {kind.__name__}")
    return value


def plain(numbers: Iterable[int]) -> Iterable[int]:
    """The same numbers as Python ints, flat; without a copy where they are that already."""
    array: Any = numbers
    if hasattr(array, "ravel"):
        array = array.ravel()
    return array.tolist() if hasattr(array, "tolist") else numbers
