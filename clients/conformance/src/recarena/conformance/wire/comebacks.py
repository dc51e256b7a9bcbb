"""Cases of sessions that are lost, refused or drained, and of leaving."""

from __future__ import annotations

import asyncio
import signal

import grpc
from google.rpc.status_pb2 import Status

from recarena.conformance.case import Scene, Script
from recarena.conformance.findings import Unmet
from recarena.conformance.wire.peer import Peer
from recarena.v1.session_pb2 import Drain

RESUMING, ENDINGS, LEAVING = Script("resuming"), Script("endings"), Script("leaving")
CODE = grpc.StatusCode
FOR_GOOD = (
    CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION, CODE.UNAUTHENTICATED, CODE.PERMISSION_DENIED,
)  # fmt: skip
FOR_NOW = (CODE.UNAVAILABLE, CODE.RESOURCE_EXHAUSTED, CODE.INTERNAL)
SHORTEST_PAUSE = 0.045
"""Seconds; 50 ms with some allowance for clocks."""


# ------------------------------------------------------------------------------ resuming
@RESUMING.case(
    "coming back, it names the run that it was serving",
    "send resume_run_id and resume_session_id in the Register after a lost session",
)
async def names_its_run_when_it_comes_back(peer: Peer) -> None:
    session = await peer.serving("run-9")
    session.stream.end(*peer.lost())
    register = (await peer.back()).register
    if register.resume_run_id != "run-9":
        raise Unmet(f"resume_run_id {register.resume_run_id!r}, and it was serving 'run-9'")


@RESUMING.case(
    "a work that was lost with its session is answered when it is sent again",
    "forget the works of a lost session; answer what comes again, with attempt 2, as any other",
)
async def answers_a_work_that_is_sent_again(peer: Peer) -> None:
    first = await peer.serving()
    work = await first.ask([0, 1, 2])
    first.stream.end(*peer.lost())
    again = await peer.back()
    await again.begin(resumed=True)
    await again.round(1)
    await again.asked([0, 1, 2], work_id=work.work_id, attempt=2)


@RESUMING.case(
    "resumed, it takes what it missed, is ready again, and goes on",
    "after Registered with resumed, send CatalogReady and go on as if nothing had been",
)
async def goes_on_when_it_is_resumed(peer: Peer) -> None:
    (await peer.serving()).stream.end(*peer.lost())
    again = await peer.back()
    await again.begin(resumed=True)
    await again.feedback("c1", 1)
    await again.round(2)
    await again.asked([0, 1], round=2)


@RESUMING.case(
    "not resumed, it starts from nothing: takes the history again, and then knows its cursor",
    "throw away what was learned where Registered.resumed is false, cursors too",
)
async def starts_afresh_when_it_is_not_resumed(peer: Peer) -> None:
    (await peer.serving()).stream.end(*peer.lost())
    again = await (await peer.back()).in_round("run-2", resumed=False)
    await again.asked()
    again.stream.end(*peer.lost())
    register = (await peer.back()).register
    found = (register.resume_run_id, register.feedback_cursor)
    if found != ("run-2", "h1"):
        raise Unmet(f"resume_run_id and feedback_cursor {found}, not ('run-2', 'h1')")


@RESUMING.case(
    "it comes back to a server that was started again",
    "keep trying to connect; a server that stops breaks streams with UNAVAILABLE",
)
async def comes_back_to_a_restarted_server(peer: Peer) -> None:
    await peer.serving()
    await peer.server.restart()
    await (await peer.back()).in_round()


def comes_back(code: grpc.StatusCode) -> Scene:
    """Whether it does after this status."""

    async def scene(peer: Peer) -> None:
        session = await peer.serving()
        session.stream.end(code, "not now")
        await peer.back()

    return scene


for status in FOR_NOW:
    RESUMING.add(
        f"comes_back_after_{status.name}",
        f"it comes back after {status.name}, within 30 s",
        "come back after a pause, whatever ended the stream but the five that are for good",
        comes_back(status),
    )


@RESUMING.case(
    "it comes back where the stream just ends, without Drain",
    "half-close without Drain is a loss like any other: come back",
)
async def comes_back_where_the_stream_just_ends(peer: Peer) -> None:
    (await peer.serving()).stream.end()
    await peer.back()


@RESUMING.case(
    "it pauses before it comes back, 50 ms or more, and longer when it fails again and again",
    "wait before each attempt: 0.1 s, doubled each time, up to some seconds, with jitter",
)
async def pauses_before_it_comes_back(peer: Peer) -> None:
    clock = asyncio.get_running_loop().time
    session, pauses = await peer.accepted(), list[float]()
    for _ in range(5):
        session.stream.end(CODE.UNAVAILABLE, "not now")
        before = clock()
        session = await peer.back()
        pauses.append(clock() - before)
    told = ", ".join(f"{pause:.3f}" for pause in pauses)
    if min(pauses) < SHORTEST_PAUSE:
        raise Unmet(f"it came back after {told} s")
    if max(pauses[2:]) <= pauses[0]:
        raise Unmet(f"the pauses do not grow: {told} s")


# ------------------------------------------------------------------------------ endings
@ENDINGS.case(
    "fenced (ABORTED) it stays away: a newer session took its place",
    "end where the stream ends with ABORTED; coming back would fence the newer session",
)
async def stays_away_when_it_is_fenced(peer: Peer) -> None:
    session = await peer.serving()
    session.stream.end(CODE.ABORTED, "a newer session of this instance took its place")
    await peer.stays_away()


def stays_away(code: grpc.StatusCode) -> Scene:
    """Whether it does after this status."""

    async def scene(peer: Peer) -> None:
        session = await peer.accepted()
        session.stream.end(code, "you are not wanted here")
        await peer.stays_away()

    return scene


for status in FOR_GOOD:
    ENDINGS.add(
        f"stays_away_after_{status.name}",
        f"it does not come back after {status.name}",
        "end with the server's words: trying again changes nothing",
        stays_away(status),
    )


@ENDINGS.case(
    "at Drain it closes its half; then it waits for the next run, as if new, or ends with 0",
    "after Drain with OK close the stream; open a new one without the resume fields",
)
async def closes_when_the_run_is_over(peer: Peer) -> None:
    session = await peer.serving()
    await session.asked()
    await session.round_ended(1)
    await session.send(drain=Drain(reason=Status(message="the run is over")))
    await session.closed()
    session.stream.end()
    try:
        register = (await peer.back()).register
    except Unmet:
        if peer.program.code == 0:
            return
        raise
    if register.resume_run_id or register.feedback_cursor:
        raise Unmet(
            f"resume_run_id {register.resume_run_id!r}, feedback_cursor"
            f" {register.feedback_cursor!r} after a run that is over"
        )


@ENDINGS.case(
    "at Drain it answers what is under way before it closes its half",
    "answer the works that came before Drain, then close the stream",
)
async def finishes_its_work_when_drained(peer: Peer) -> None:
    session = await peer.serving()
    works = [await session.ask([number]) for number in range(2)]
    drain = Drain(reason=Status(code=CODE.UNAVAILABLE.value[0], message="maintenance"))
    drain.grace.FromSeconds(10)
    await session.send(drain=drain)
    for work in works:
        await session.answer(work)
    await session.closed()


@ENDINGS.case(
    "after Drain with UNAVAILABLE it comes back to the same run with its cursor",
    "keep what was learned where Drain.reason is UNAVAILABLE, and come back",
)
async def comes_back_when_the_server_stops_for_now(peer: Peer) -> None:
    session = await peer.serving()
    await session.send(drain=Drain(reason=Status(code=CODE.UNAVAILABLE.value[0])))
    await session.closed()
    session.stream.end()
    register = (await peer.back()).register
    if register.resume_run_id != "run-1" or not register.feedback_cursor:
        raise Unmet(
            f"resume_run_id {register.resume_run_id!r},"
            f" feedback_cursor {register.feedback_cursor!r}"
        )


# ------------------------------------------------------------------------------ leaving
LEAVE = "at SIGINT and SIGTERM send Drain, close the stream, end with 0 within 10 s"


@LEAVING.case("told by Ctrl-C, it says Drain, closes its half, and ends with 0", LEAVE)
async def says_goodbye_at_sigint(peer: Peer) -> None:
    await peer.leaves(await peer.serving(), signal.SIGINT)


@LEAVING.case("told by SIGTERM, it says Drain, closes its half, and ends with 0", LEAVE)
async def says_goodbye_at_sigterm(peer: Peer) -> None:
    await peer.leaves(await peer.serving(), signal.SIGTERM)


@LEAVING.case("it leaves in the same way while it waits for a run", LEAVE)
async def says_goodbye_in_the_lobby(peer: Peer) -> None:
    session = await peer.accepted()
    await session.heard()
    await peer.leaves(session, signal.SIGINT)
