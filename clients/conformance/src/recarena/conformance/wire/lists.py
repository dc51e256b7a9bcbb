"""Cases of lists and searches."""

from __future__ import annotations

import math
from collections import Counter

from recarena.conformance.case import Script
from recarena.conformance.findings import Unmet
from recarena.conformance.wire.asking import PAGE, Answer
from recarena.conformance.wire.peer import Peer
from recarena.conformance.wire.session import MAX_MESSAGE_BYTES, MAX_TOKEN_BYTES, Session
from recarena.conformance.wire.settings import RICH
from recarena.v1.types_pb2 import CandidateSet

LISTS, SEARCH, LIMITS = Script("lists"), Script("search"), Script("limits")
USERS = tuple(range(20))
SEARCHED = (
    "", " ", "the", "été 🎬", "日本語の映画", "<script>alert(1)</script>", "'; --", "%s%n{}",
    "a" * 200, "\u202eenod",
)  # fmt: skip


async def listing(peer: Peer) -> tuple[Session, Answer]:
    """Twenty users want a page each."""
    session = await peer.serving()
    return session, await session.asked(USERS)


@LISTS.judged(
    listing,
    "each query has one list, with the query's index",
    "answer with a RankedList per RankQuery, query_index as in the query (columnar: in order)",
)
def answers_each_query(found: tuple[Session, Answer]) -> None:
    indexes = [one.query_index for one in found[1].lists]
    if sorted(indexes) != list(range(len(USERS))):
        missing = sorted(set(range(len(USERS))) - set(indexes))
        odd = sorted(index for index, times in Counter(indexes).items() if times > 1)
        wrong = sorted(index for index in set(indexes) if index >= len(USERS))
        raise Unmet(f"of {len(USERS)} queries: missing {missing}, twice {odd}, unknown {wrong}")


@LISTS.judged(
    listing,
    "no item stands twice in a list",
    "leave out what the list has already",
)
def lists_no_item_twice(found: tuple[Session, Answer]) -> None:
    for index, page in enumerate(found[1].pages):
        for item, times in Counter(page).items():
            if times > 1:
                raise Unmet(f"{item} stands {times} times in the list of query {index}")


@LISTS.judged(
    listing,
    "all items are of the catalogue in force",
    "list item_id as StreamCatalog gave it (columnar: its position, from 0)",
)
def lists_items_of_the_catalogue(found: tuple[Session, Answer]) -> None:
    session, answer = found
    known = {item.item_id for item in session.items}
    unknown = sorted({item for page in answer.pages for item in page if item not in known})
    if unknown:
        raise Unmet(f"{', '.join(unknown[:5])} (of {len(unknown)}) are not in the catalogue")


@LISTS.judged(
    listing,
    "a list has at most result_count items",
    "cut lists at result_count",
)
def lists_no_more_than_asked_for(found: tuple[Session, Answer]) -> None:
    longest = max(map(len, found[1].pages))
    if longest > PAGE:
        raise Unmet(f"a list of {longest} items, result_count {PAGE}")


@LISTS.judged(
    listing,
    "a list has result_count items where the catalogue has as many",
    "fill lists up, for example with what is watched most: a short list is shown short and counted",
    optional=True,
)
def fills_the_page(found: tuple[Session, Answer]) -> None:
    shortest = min(map(len, found[1].pages))
    if shortest < min(PAGE, len(found[0].items)):
        raise Unmet(f"a list of {shortest} items, result_count {PAGE}")


@LISTS.judged(
    listing,
    "scores are finite numbers, or absent",
    "leave score unset where there is none: NaN and infinity make a list REJECTED",
    needs=(RICH,),
)
def scores_are_finite(found: tuple[Session, Answer]) -> None:
    for one in found[1].lists:
        for item in one.items:
            if not math.isfinite(item.score):
                raise Unmet(f"{item.item_id} has the score {item.score}")


@LIMITS.judged(
    listing,
    f"attribution tokens have at most {MAX_TOKEN_BYTES} bytes, all of which can be printed",
    "send a short key in attribution_token, and keep what belongs to it yourself",
    needs=(RICH,),
)
def tokens_are_short_and_printable(found: tuple[Session, Answer]) -> None:
    for one in found[1].lists:
        token = one.attribution_token
        if len(token.encode()) > MAX_TOKEN_BYTES:
            raise Unmet(f"a token of {len(token.encode())} bytes")
        if token and not token.isprintable():
            raise Unmet(f"token {token!r}")


@LISTS.case(
    "excluded items are not listed",
    "leave out candidates.excluded_item_ids before the list is cut",
    needs=(RICH,),
)
async def leaves_out_what_is_excluded(peer: Peer) -> None:
    session = await peer.serving()
    first = (await session.asked([0])).pages[0]
    known = [item.item_id for item in session.items]
    excluded = [*(item for item in first[:3] if item in known), *known[:3], "no-such-item"]
    candidates = CandidateSet(whole_catalog=True, excluded_item_ids=excluded)
    page = (await session.asked([0], of_queries={"candidates": candidates})).pages[0]
    shown = [item for item in page if item in excluded]
    if shown:
        raise Unmet(f"{', '.join(shown)} are listed, and were excluded")


@LISTS.case(
    "the next page does not repeat the page before it",
    "answer with ranks offset .. offset + result_count - 1 of the user's list",
)
async def goes_on_where_the_last_page_ended(peer: Peer) -> None:
    session = await peer.serving()
    known = {item.item_id for item in session.items}
    answer = await session.asked([0, 0, 1, 1], offsets=[0, PAGE, 0, PAGE])
    for first, second in (answer.pages[:2], answer.pages[2:]):
        repeated = sorted(set(first) & set(second) & known)
        if repeated:
            raise Unmet(f"{', '.join(repeated)} stand at offset 0 and at offset {PAGE} again")


@LISTS.case(
    "pages beyond the end of the catalogue are short or empty",
    "let a list end with the catalogue, also where offset is beyond it",
)
async def ends_with_the_catalogue(peer: Peer) -> None:
    session = await peer.serving()
    size = len(session.items)
    answer = await session.asked([0, 1, 2], offsets=[size - 2, size, size + 100])
    longest = [len(page) for page in answer.pages]
    if longest[0] > 2 or any(longest[1:]):
        raise Unmet(f"{longest} items at the offsets {size - 2}, {size}, {size + 100} of {size}")


@LISTS.case(
    "a work of as many users as Register.max_users_per_work is answered",
    "answer for all users of a work, or register a smaller max_users_per_work",
)
async def answers_for_as_many_users_as_it_takes(peer: Peer) -> None:
    session = await peer.serving()
    users = range(session.max_users)
    answer = await session.asked(users)
    answered = {one.query_index for one in answer.lists}
    if answered != set(users):
        raise Unmet(f"lists for {len(answered)} of {len(users)} users")


@LISTS.case(
    "a work of no users is answered, by no lists",
    "send an answer without lists, not WorkFailed and not nothing",
)
async def answers_a_work_of_no_users(peer: Peer) -> None:
    session = await peer.serving()
    answer = await session.asked([])
    if answer.lists:
        raise Unmet(f"{len(answer.lists)} lists for no users")
    await session.asked([0])


@LISTS.case(
    "users that it was never told of get lists as well",
    "have something for users without a history, for example what is watched most",
)
async def lists_for_users_without_a_history(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    await session.round(1)
    await session.asked([session.max_users - 1, 0])


# ------------------------------------------------------------------------------ search
@SEARCH.case(
    "a search has one list per query, items of the catalogue, at most result_count",
    "answer SearchWork by RankResult (SearchBatch by RankBatchResult); a list may be empty",
    needs=("SEARCH",),
)
async def answers_searches(peer: Peer) -> None:
    session = await peer.serving()
    known = {item.item_id for item in session.items}
    word = next((word for word in session.items[0].title.split() if len(word) > 3), "film")
    for text in (session.items[0].title, word, "no item has these words"):
        answer = await session.asked([0, 1, 2], text=text)
        answers_each_search(answer)
        for page in answer.pages:
            if len(page) > PAGE or not known.issuperset(page):
                raise Unmet(f"{text!r} found {page}")


def answers_each_search(answer: Answer) -> None:
    """Unmet unless there is a list for each query."""
    indexes = sorted(one.query_index for one in answer.lists)
    if indexes != list(range(len(answer.work.users))):
        raise Unmet(f"lists of the queries {indexes} to {len(answer.work.users)} queries")


@SEARCH.case(
    "any words are answered, if by an empty list",
    "take search words as plain text: other scripts, symbols, 200 characters, none at all",
    needs=("SEARCH",),
)
async def answers_any_words(peer: Peer) -> None:
    session = await peer.serving()
    for text in SEARCHED:
        try:
            await session.asked([0], text=text)
        except Unmet as unmet:
            raise Unmet(f"{unmet.seen}, for the words {text!r}") from None


@SEARCH.case(
    "searches of no users are answered, by no lists",
    "send an answer without lists",
    needs=("SEARCH",),
)
async def answers_searches_of_nobody(peer: Peer) -> None:
    session = await peer.serving()
    await session.asked([], text="words")
    await session.asked([0], text="words")


# ------------------------------------------------------------------------------ limits
@LIMITS.case(
    "no message is larger than Limits.max_message_bytes",
    "measure an answer before it is sent; send WorkFailed where it is too large",
    optional=True,
)
async def sends_no_message_larger_than_allowed(peer: Peer) -> None:
    limit = 4096
    session = await peer.accepted()
    await session.in_round(max_message_bytes=limit)
    await session.ask(range(min(64, session.max_users)), count=min(100, len(session.items)))
    came = [await session.first("an answer, or WorkFailed")] + await session.heard()
    largest = max(one.ByteSize() for one in came if one is not None)
    if largest > limit:
        raise Unmet(f"a message of {largest} bytes, {limit} are allowed here")


@LIMITS.judged(
    listing,
    "answers stay far below the 4 MiB that a message may have",
    "send ids alone, and explanations only where they are asked for",
)
def answers_are_small(found: tuple[Session, Answer]) -> None:
    size = sum(one.ByteSize() for one in found[1].lists)
    most = MAX_MESSAGE_BYTES * len(USERS) // 256
    if size > most:
        raise Unmet(f"{size} bytes for {len(USERS)} users")
