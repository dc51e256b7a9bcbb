"""Cases of history, rounds and feedback."""

from __future__ import annotations

from recarena.conformance.case import Script
from recarena.conformance.findings import Unmet
from recarena.conformance.wire.asking import Row
from recarena.conformance.wire.peer import Peer
from recarena.conformance.wire.session import Session, kind_of

ROUNDS, FEEDBACK = Script("rounds"), Script("feedback")
LAST_APPLIED = "keep the cursor of the last batch applied; it comes back in Register"


@ROUNDS.case(
    "after history and RoundStarted comes one RoundReady, of that round",
    "answer each RoundStarted with RoundReady(round=RoundStarted.round), once",
)
async def is_ready_for_the_round_that_opens(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    await session.feedback("h1")
    await session.feedback("h2", rows=[Row(3, 5)])
    await session.round(1)
    more = [one for one in await session.heard() if one.HasField("round_ready")]
    if more:
        raise Unmet("RoundReady came twice")


@ROUNDS.case(
    "nothing is sent before it is asked for",
    "send lists only for works, RoundReady only after RoundStarted",
)
async def says_nothing_unasked(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    await session.feedback("h1")
    came = await session.heard() + await session.quiet(0.2)
    if came:
        raise Unmet(f"{kind_of(came[0])} came, and nothing was asked")


@ROUNDS.case(
    "it goes through round after round: ready, lists, feedback, the end of the round",
    "after RoundEnded, wait for the next RoundStarted",
)
async def goes_through_round_after_round(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    await session.feedback("h1")
    for number in (1, 2, 3):
        await session.round(number)
        await session.asked([0, 1, 2], round=number)
        await session.feedback(f"c{number}", number, rows=[Row(0, number), Row(1, number + 3)])
        await session.round_ended(number)


# ------------------------------------------------------------------------------ feedback
async def cursor_after(peer: Peer, session: Session) -> str:
    """The cursor with which the program comes back, all that was sent having been applied."""
    await session.round(1)
    session.stream.end(*peer.lost())
    return (await peer.back()).register.feedback_cursor


@FEEDBACK.case(
    "the cursor in Register is that of the last batch applied",
    LAST_APPLIED,
)
async def tells_the_cursor_of_the_last_batch(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    await session.feedback("h1")
    await session.feedback("h2", rows=[Row(2, 3)])
    found = await cursor_after(peer, session)
    if found != "h2":
        raise Unmet(f"feedback_cursor {found!r} after the batches 'h1', 'h2'")


@FEEDBACK.case(
    "a batch without anything in it counts as well",
    LAST_APPLIED + ", also of an empty batch",
)
async def takes_a_batch_without_rows(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    await session.feedback("h1")
    await session.feedback("h2", rows=[])
    found = await cursor_after(peer, session)
    if found != "h2":
        raise Unmet(f"feedback_cursor {found!r} after the batches 'h1' and 'h2', which was empty")


@FEEDBACK.case(
    "a batch that comes again changes nothing: the cursor stays",
    "remember the cursors of the run, and ignore a batch whose cursor was seen before",
)
async def takes_a_repeated_batch_once(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    for cursor in ("h1", "h2", "h1", "h2", "h1"):
        await session.feedback(cursor)
    found = await cursor_after(peer, session)
    if found != "h2":
        raise Unmet(f"feedback_cursor {found!r} after the batches 'h1', 'h2', and both again")
