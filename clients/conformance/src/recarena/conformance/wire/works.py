"""Cases of works: several at once, withdrawn, late."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import grpc
from google.rpc.status_pb2 import Status

from recarena.conformance.case import Script
from recarena.conformance.findings import Unmet
from recarena.conformance.wire.asking import Work
from recarena.conformance.wire.peer import Peer
from recarena.conformance.wire.session import Session, answers
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.session_pb2 import CancelWork

SCRIPT = Script("works")
LINGER = 0.5
"""Seconds in which an answer that must not come is waited for."""
WITHDRAWN = "drop what CancelWork names from the queue, and throw its answer away"


@SCRIPT.case(
    "works that come before others are answered are all answered, each once",
    "queue works, and answer each by its work_id, in any order",
)
async def answers_each_of_several_works_once(peer: Peer) -> None:
    session = await peer.serving()
    at_once = min(session.outstanding, 8)
    works = [await session.ask([number, number + 1]) for number in range(at_once)]
    for work in works:
        answer = await session.answer(work)
        if {one.query_index for one in answer.lists} - {0, 1}:
            raise Unmet("the lists of another work")
    again = Counter(repeated(works, await session.heard() + await session.quiet(0.2)))
    if again:
        raise Unmet(f"{len(again)} of {at_once} works were answered more than once")


def repeated(works: Iterable[Work], came: Iterable[ConnectRequest]) -> list[str]:
    """The ids of these works that messages answer."""
    messages = list(came)
    return [work.work_id for work in works for one in messages if answers(one, work.work_id)]


@SCRIPT.case(
    "works that were withdrawn while they waited are not answered",
    WITHDRAWN,
)
async def does_not_answer_what_was_withdrawn(peer: Peer) -> None:
    session = await peer.serving()
    users = range(session.max_users)
    works = [await session.ask(users) for _ in range(max(2, min(session.outstanding, 4)))]
    withdrawn = works[1:]
    for work in reversed(withdrawn):
        await session.send(cancel_work=CancelWork(work_id=work.work_id))
    await session.heard()  # what was answered before CancelWork was read is no fault
    await still_answers(session, withdrawn)


@SCRIPT.case(
    "a CancelWork of a work that is answered, or that nobody knows, changes nothing",
    "ignore a CancelWork that names no work under way",
)
async def takes_a_cancel_that_comes_too_late(peer: Peer) -> None:
    session = await peer.serving()
    done = (await session.asked()).work
    for work_id in (done.work_id, "of-nobody"):
        await session.send(cancel_work=CancelWork(work_id=work_id))
    await still_answers(session, [done])


@SCRIPT.case(
    "a work is answered in its time, or, once it was withdrawn as late, not at all",
    "look at WorkHeader.timeout, and " + WITHDRAWN,
)
async def answers_in_time_or_not_at_all(peer: Peer) -> None:
    session = await peer.serving()
    work = await session.ask(range(session.max_users), timeout_s=0.05)
    await asyncio.sleep(0.05)
    late = Status(code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0], message="too late")
    await session.send(cancel_work=CancelWork(work_id=work.work_id, reason=late))
    await session.heard()
    await still_answers(session, [work])


async def still_answers(session: Session, withdrawn: list[Work]) -> None:
    """Unmet unless the next work is answered, and none of those that were withdrawn is."""
    following = await session.asked()
    came = await session.heard() + await session.quiet(LINGER)
    if again := repeated(withdrawn, came):
        raise Unmet(f"{len(set(again))} withdrawn works were answered after CancelWork was read")
    if repeated([following.work], came):
        raise Unmet("the work after them was answered twice")
