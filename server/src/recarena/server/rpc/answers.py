"""Answers of recommenders, from either encoding, as raw columns: nothing is judged but the form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, repeat

import numpy as np
from numpy.typing import NDArray

from recarena.server import evidence, lists
from recarena.server.catalog import Catalog
from recarena.server.errors import ProtocolViolation
from recarena.server.lists import UNKNOWN
from recarena.server.rpc.limits import (
    MAX_EXPLANATION_CHARS,
    MAX_ITEMS_PER_LIST,
    MAX_TOKEN_BYTES,
)
from recarena.server.rpc.untrusted import clean, in_a_line, is_plain
from recarena.server.types import NOTHING, Bools, Ints
from recarena.server.wording import spoken_title
from recarena.v1 import types_pb2, work_pb2


@dataclass(frozen=True, slots=True)
class RawLists:
    """Lists as sent, one row per query of the work."""

    items: Ints
    """[queries, longest]: item numbers, UNKNOWN or NOTHING."""
    answered: Bools
    """[queries]: whether there is a list at all."""
    tokens: dict[int, str] = field(default_factory=dict[int, str])
    explanations: dict[tuple[int, int], types_pb2.Explanation] = field(
        default_factory=dict[tuple[int, int], types_pb2.Explanation]
    )
    bad_tokens: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> why its attribution token was dropped."""
    unknown: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """(row, rank) -> why the item there is UNKNOWN, for the report (at most 16)."""


def read_rich(
    sent: Sequence[work_pb2.RankedList], queries: int, catalog: Catalog, explanations: bool
) -> RawLists:
    """Lists of RankResult messages. ProtocolViolation: an index out of range or repeated, or a
    score that is not finite."""
    index = np.array([one.query_index for one in sent], np.int64)
    if len(index) and index.max() >= queries:
        at = int(np.flatnonzero(index >= queries)[0])
        raise ProtocolViolation(f"lists[{at}].query_index: {index[at]} is not in 0..{queries - 1}")
    if len(np.unique(index)) != len(index):
        raise ProtocolViolation("lists: a query_index is there twice")
    kept: list[Sequence[types_pb2.RankedItem]] = [one.items for one in sent]
    if max(map(len, kept), default=0) > MAX_ITEMS_PER_LIST:
        kept = [items[:MAX_ITEMS_PER_LIST] for items in kept]
    lengths = np.array([len(items) for items in kept], np.int64)
    flat = list(chain.from_iterable(kept))
    scores = np.array([item.score for item in flat], np.float64)
    if not np.isfinite(scores).all():
        raise ProtocolViolation("lists: a score is not a finite number")
    ids = [item.item_id for item in flat]
    numbers = lists.known(
        np.fromiter(map(catalog.number_of.get, ids, repeat(UNKNOWN)), np.int32, count=len(ids)),
        catalog.available,
    )
    items = np.full((queries, int(lengths.max(initial=0))), NOTHING, np.int32)
    row = np.repeat(index, lengths)
    rank = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    items[row, rank] = numbers
    answered = np.zeros(queries, bool)
    answered[index] = True
    tokens = {one.query_index: one.attribution_token for one in sent if one.attribution_token}
    bad = {at: why for at, one in tokens.items() if (why := _wrong_with_token(one))}
    for at in bad:
        del tokens[at]
    reasons: dict[tuple[int, int], types_pb2.Explanation] = {}
    if explanations:
        reasons = {
            (int(row[n]), int(rank[n])): item.explanation
            for n, item in enumerate(flat)
            if item.HasField("explanation")
        }
    lost = np.flatnonzero(numbers == UNKNOWN)[:16]
    unknown = {
        (int(row[n]), int(rank[n])): _gone(ids[n])
        if ids[n] in catalog.number_of
        else f"unknown item {ids[n][:128]!r}"
        for n in lost.tolist()
    }
    return RawLists(items, answered, tokens, reasons, bad, unknown)


def _gone(item_id: str) -> str:
    return f"item {item_id!r} was withdrawn"


def _wrong_with_token(token: str) -> str:
    """Why an attribution token cannot be kept as it is, "" where it can."""
    if len(token.encode()) > MAX_TOKEN_BYTES:
        return f"more than {MAX_TOKEN_BYTES} bytes"
    return "" if is_plain(token) else "characters that cannot be printed"


def read_columns(
    result: work_pb2.RankBatchResult, queries: int, count: int, catalog: Catalog
) -> RawLists:
    """Lists of a RankBatchResult. ProtocolViolation where the lengths do not add up."""
    numbers = np.fromiter(result.item_numbers, np.int64, len(result.item_numbers))
    lengths = np.fromiter(result.list_lengths, np.int64, len(result.list_lengths))
    if len(lengths) == 0:
        if len(numbers) != queries * count:
            raise ProtocolViolation(
                f"item_numbers: {len(numbers)} numbers without list_lengths, "
                f"not {queries} lists of {count}"
            )
        items = numbers.reshape(queries, count)
    else:
        if len(lengths) != queries or lengths.sum() != len(numbers):
            raise ProtocolViolation(
                f"list_lengths: {len(lengths)} lengths with a sum of {lengths.sum()} for "
                f"{queries} queries and {len(numbers)} item_numbers"
            )
        width = min(int(lengths.max(initial=0)), MAX_ITEMS_PER_LIST)
        items = np.full((queries, width), NOTHING, np.int64)
        row = np.repeat(np.arange(queries), lengths)
        rank = np.arange(len(numbers)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        kept = rank < width
        items[row[kept], rank[kept]] = numbers[kept]
    known = lists.known(items, catalog.available)
    unknown: dict[tuple[int, int], str] = {}
    for at, place in np.argwhere(known == UNKNOWN)[:16].tolist():
        number = int(items[at, place])
        unknown[at, place] = (
            _gone(catalog.item_ids[number])
            if number < len(catalog)
            else f"unknown item number {number}"
        )
    return RawLists(known, np.ones(queries, bool), unknown=unknown)


EVIDENCE_KINDS = {
    types_pb2.Evidence.KIND_ITEM: evidence.ITEM,
    types_pb2.Evidence.KIND_FEATURE: evidence.FEATURE,
    types_pb2.Evidence.KIND_POPULARITY: "popularity",
    types_pb2.Evidence.KIND_SOCIAL: "social",
}


def told(
    explanation: types_pb2.Explanation, catalog: Catalog, item: int = NOTHING
) -> tuple[str, str, tuple[int, ...]]:
    """Text, evidence as the log keeps it and claims of an explanation of an item: cleaned and cut,
    pieces of no known kind left out. Claims are read from that evidence, not from what was sent;
    titles of the item and of those in the evidence claim nothing."""
    text = clean(explanation.text, MAX_EXPLANATION_CHARS)
    known = (piece for piece in explanation.evidence if piece.kind in EVIDENCE_KINDS)
    sent = [
        (EVIDENCE_KINDS[piece.kind], clean(piece.reference, evidence.MAX_REFERENCE_CHARS))
        for piece in islice(known, evidence.MAX_SENT)
    ]
    number = catalog.number_of
    named = [number.get(reference, NOTHING) for kind, reference in sent if kind == evidence.ITEM]
    titles = [catalog.titles[one] for one in (item, *named) if one >= 0]
    pieces = evidence.told(
        text,
        sent,
        in_a_line(explanation.method, evidence.MAX_REFERENCE_CHARS),
        in_a_line(explanation.locale, evidence.MAX_REFERENCE_CHARS),
        catalog,
        [*titles, *map(spoken_title, titles)],
    )
    return text, pieces, evidence.claims(pieces, catalog)


def paths(raw: RawLists, kept: Ints, count: int, expected: Ints) -> list[tuple[str, str]]:
    """What was dropped or missing, as (field path, what is wrong), the first 16."""
    found: list[tuple[str, str]] = []
    present: NDArray[np.bool_] = raw.items[:, :count] != NOTHING
    for row in range(len(raw.items)):
        if not raw.answered[row]:
            found.append((f"lists[{row}]", "no list for this query"))
            continue
        if row in raw.bad_tokens:
            found.append((f"lists[{row}].attribution_token", raw.bad_tokens[row]))
        good = set(kept[row][kept[row] >= 0].tolist())
        for rank in np.flatnonzero(present[row]).tolist():
            if rank not in good:
                what = "repeated or excluded item"
                if raw.items[row, rank] == UNKNOWN:
                    what = raw.unknown.get((row, rank), "unknown item")
                found.append((f"lists[{row}].items[{rank}].item_id", what))
        if len(good) < min(int(expected[row]), count):
            found.append((f"lists[{row}].items", f"{len(good)} usable items, {count} wanted"))
        if len(found) >= 16:
            break
    return found


def shown_explanations(
    raw: RawLists, kept: Ints, catalog: Catalog
) -> tuple[
    dict[tuple[int, int], str],
    dict[tuple[int, int], tuple[int, ...]],
    dict[tuple[int, int], str],
]:
    """Texts, claims and evidence of the explanations of items that are shown, as `told` has them,
    by (row, position), in the order of the fields of `Lists`; claims and evidence only where there
    is some."""
    texts: dict[tuple[int, int], str] = {}
    claims: dict[tuple[int, int], tuple[int, ...]] = {}
    pieces: dict[tuple[int, int], str] = {}
    for (row, rank), explanation in raw.explanations.items():
        found = np.flatnonzero(kept[row] == rank)
        if len(found):
            at = row, int(found[0])
            texts[at], offered, claimed = told(explanation, catalog, int(raw.items[row, rank]))
            if offered:
                pieces[at] = offered
            if claimed:
                claims[at] = claimed
    return texts, claims, pieces
