"""Cases of explanations and conversations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recarena.conformance.case import Script
from recarena.conformance.findings import Unmet
from recarena.conformance.wire.asking import Answer, Row, user, user_id
from recarena.conformance.wire.peer import Peer
from recarena.conformance.wire.session import (
    MAX_EXPLANATION_CHARS,
    MAX_ID_BYTES,
    Session,
    answers,
)
from recarena.conformance.wire.settings import RICH
from recarena.v1.session_pb2 import WorkHeader
from recarena.v1.types_pb2 import Evidence, Explanation, ExplanationMode, RankedItem
from recarena.v1.work_pb2 import ConverseWork, Turn

EXPLANATIONS, CONVERSATION = Script("explanations"), Script("conversation")
EXPLAINING = ("EXPLAIN", RICH)
STRUCTURED = ExplanationMode.EXPLANATION_MODE_STRUCTURED


async def explaining(peer: Peer) -> tuple[Session, Answer]:
    """Users with a history want lists with reasons."""
    session = await peer.serving()
    mode = {"explanation_mode": STRUCTURED}
    return session, await session.asked(range(6), count=10, of_queries=mode)


def explained(answer: Answer) -> Iterator[tuple[RankedItem, Explanation]]:
    """The items that come with a reason."""
    for one in answer.lists:
        for item in one.items:
            if item.HasField("explanation"):
                yield item, item.explanation


@EXPLANATIONS.judged(
    explaining,
    "lists come with reasons where they are asked for",
    "fill RankedItem.explanation.text where explanation_mode is TEXT or STRUCTURED",
    needs=EXPLAINING,
)
def explains_when_it_is_asked_to(found: tuple[Session, Answer]) -> None:
    texts = [explanation.text for _, explanation in explained(found[1])]
    if not texts:
        raise Unmet("no item of sixty has an explanation, though the users have a history")
    if not all(text.strip() for text in texts):
        raise Unmet("an explanation without a text")


@EXPLANATIONS.judged(
    explaining,
    f"explanations have at most {MAX_EXPLANATION_CHARS} characters (Limits.max_explanation_chars)",
    "shorten the text: what is beyond the limit is cut and counted",
    needs=EXPLAINING,
)
def explanations_are_short(found: tuple[Session, Answer]) -> None:
    longest = max((len(one.text) for _, one in explained(found[1])), default=0)
    if longest > MAX_EXPLANATION_CHARS:
        raise Unmet(f"a text of {longest} characters")


@EXPLANATIONS.judged(
    explaining,
    "evidence has a known kind, and refers to an item of the catalogue, a feature, or a user",
    "use the kinds of Evidence, and the reference that each asks for",
    needs=EXPLAINING,
)
def evidence_can_be_checked(found: tuple[Session, Answer]) -> None:
    session, answer = found
    known = {item.item_id for item in session.items}
    users = {user_id(number) for number in range(max(session.max_users, 1000))}
    for item, explanation in explained(answer):
        for piece in explanation.evidence:
            if wrong := wrong_with(piece, known, users):
                raise Unmet(f"evidence of {item.item_id}: {wrong}")


def wrong_with(piece: Evidence, items: set[str], users: set[str]) -> str:
    """What keeps a piece of evidence from being checked, "" where nothing does."""
    reference = piece.reference
    if len(reference.encode()) > MAX_ID_BYTES:
        return f"a reference of more than {MAX_ID_BYTES} bytes"
    if piece.kind == Evidence.KIND_ITEM:
        return "" if reference in items else f"KIND_ITEM {reference!r} is not in the catalogue"
    if piece.kind == Evidence.KIND_FEATURE:
        return "" if "=" in reference else f"KIND_FEATURE {reference!r} is not name=value"
    if piece.kind == Evidence.KIND_POPULARITY:
        number = not reference or reference.replace(".", "", 1).isdecimal()
        return "" if number else f"KIND_POPULARITY {reference!r} is no number"
    if piece.kind == Evidence.KIND_SOCIAL:
        return "" if reference in users else f"KIND_SOCIAL {reference!r} is no user of the run"
    return f"kind {piece.kind} is not of the contract"


@EXPLANATIONS.case(
    "lists come without reasons where none are asked for",
    "leave explanation unset where explanation_mode is NONE: what is sent is dropped",
    needs=EXPLAINING,
    optional=True,
)
async def does_not_explain_unasked(peer: Peer) -> None:
    session = await peer.serving()
    answer = await session.asked(range(6), count=10)
    unasked = [item.item_id for item, _ in explained(answer)]
    if unasked:
        raise Unmet(f"{len(unasked)} items have an explanation, none was asked for")


# ------------------------------------------------------------------------------ conversation
@CONVERSATION.case(
    "each turn of a conversation gets a reply with words, and items of the catalogue alone",
    "answer ConverseWork by ConverseResult with reply_text and at most result_count items",
    needs=("CONVERSE",),
)
async def replies_in_conversations(peer: Peer) -> None:
    session = await peer.serving()
    await session.feedback("c1", 1, rows=[Row(0, 3)])
    turns = [Turn(speaker=Turn.SPEAKER_USER, text="Something like the last one, please.")]
    for number in range(2):
        reply = await converse(session, f"talk-{number}", turns)
        if not reply.reply_text.strip():
            raise Unmet("a reply without words")
        known = {item.item_id for item in session.items}
        offered = [item.item_id for item in reply.items]
        if len(offered) > 3 or not known.issuperset(offered):
            raise Unmet(f"items {offered}, 3 of the catalogue were asked for")
        turns += [
            Turn(speaker=Turn.SPEAKER_RECOMMENDER, text=reply.reply_text),
            Turn(speaker=Turn.SPEAKER_USER, text="¿Y algo más corto? 🎬"),
        ]


async def converse(session: Session, work_id: str, turns: list[Turn]) -> Any:
    """What the program replies to these turns."""
    header = WorkHeader(work_id=work_id, attempt=1, round=1, epoch=1)
    header.timeout.FromSeconds(60)
    work = ConverseWork(
        header=header, user=user(0), conversation_id="c-1", turns=turns, result_count=3
    )
    await session.send(converse_work=work)
    request = await session.until("a reply", lambda one: answers(one, work_id))
    if not request.HasField("converse_result"):
        raise Unmet(f"{request.WhichOneof('message')}: {request.work_failed.status.message}")
    return request.converse_result
