"""Cases of the handshake, the lobby, and what a later version of the contract may send."""

from __future__ import annotations

import re

from recarena.conformance.case import Script
from recarena.conformance.findings import Unmet
from recarena.conformance.scripted_server import REGISTER_WITHIN
from recarena.conformance.unknown import send_with_unknown_fields
from recarena.conformance.wire.asking import Row
from recarena.conformance.wire.peer import Peer
from recarena.conformance.wire.session import MAX_ID_BYTES, Session, kind_of
from recarena.conformance.wire.settings import RICH
from recarena.v1.session_pb2 import (
    CAPABILITY_RANK,
    Capability,
    Ping,
    Registered,
    RoundStarted,
    WorkOutcome,
)

SCRIPT = Script("handshake")
TOLERANCE = Script("tolerance")
NAME = "[a-z0-9][a-z0-9._-]{0,62}"


# ------------------------------------------------------------------------------ Register
async def registering(peer: Peer) -> Session:
    """The first session of a program that was just started."""
    return await peer.accepted()


@SCRIPT.judged(
    registering,
    "Register is the first message of a stream, within 10 s",
    "send Register at once when the stream is open, and nothing before it",
)
def registers_first(session: Session) -> None:
    took = session.stream.registered_after
    if took > REGISTER_WITHIN:
        raise Unmet(f"Register came after {took:.1f} s")


@SCRIPT.judged(
    registering,
    f"Register.recommender_id matches {NAME}",
    "use small letters, digits, dots, dashes and underscores, at most 63 of them",
)
def has_a_name_that_arms_can_ask_for(session: Session) -> None:
    name = session.register.recommender_id
    if not re.fullmatch(NAME, name):
        raise Unmet(f"recommender_id {name!r}")


@SCRIPT.judged(
    registering,
    f"Register.instance_id is there, of at most {MAX_ID_BYTES} bytes",
    "make a UUID when the program starts, and send it in every Register",
)
def has_an_instance_id(session: Session) -> None:
    instance = session.register.instance_id
    if not 1 <= len(instance.encode()) <= MAX_ID_BYTES:
        raise Unmet(f"instance_id {instance!r}")


@SCRIPT.judged(
    registering,
    "Register.capabilities hold RANK, and none that the contract does not have",
    "offer CAPABILITY_RANK, and what else the program really does",
)
def offers_rank_and_nothing_unknown(session: Session) -> None:
    offered = list(session.register.capabilities)
    if CAPABILITY_RANK not in offered:
        raise Unmet("RANK is missing")
    unknown = [one for one in offered if one not in Capability.values() or not one]
    if unknown:
        raise Unmet(f"capabilities {unknown} are not of recarena.v1")


@SCRIPT.judged(
    registering,
    "a program that was just started names no run, no session and no cursor",
    "leave the resume fields and feedback_cursor empty until a session was lost",
)
def begins_with_nothing_to_resume(session: Session) -> None:
    register = session.register
    resumed = (register.resume_run_id, register.resume_session_id, register.feedback_cursor)
    if any(resumed):
        raise Unmet(f"resume_run_id, resume_session_id, feedback_cursor: {resumed}")


# ------------------------------------------------------------------------------ sessions
@SCRIPT.case(
    "it waits until a run wants it: answers pings, and neither sends nor loads anything",
    "wait for Registered for however long, and read the stream meanwhile",
)
async def waits_in_the_lobby(peer: Peer) -> None:
    session = await peer.accepted()
    came = [request for _ in range(3) for request in await session.heard()]
    came += await session.quiet(0.2)
    if came:
        raise Unmet(f"{kind_of(came[0])} came before Registered")
    if peer.server.catalog_requests:
        raise Unmet("StreamCatalog was called before Registered")
    await session.in_round()


@SCRIPT.case(
    "each Ping is answered by Pong with its nonce, in every state",
    "answer Ping where the stream is read, whatever else the program is doing",
)
async def answers_each_ping_with_its_nonce(peer: Peer) -> None:
    session = await peer.serving()
    nonces = [1, 2**64 - 1, 7]
    for nonce in nonces:
        await session.send(ping=Ping(nonce=nonce))
    found = [
        (await session.until("Pong", lambda one: one.HasField("pong"))).pong.nonce for _ in nonces
    ]
    if sorted(found) != sorted(nonces):
        raise Unmet(f"Pongs {found} to Pings {nonces}")


@SCRIPT.case(
    "the instance_id stays the same over the reconnects of a session",
    "make the instance_id once, when the program starts, not for each stream",
)
async def keeps_its_instance_id(peer: Peer) -> None:
    session = await peer.serving()
    before = session.register.instance_id
    session.stream.end(*peer.lost())
    after = (await peer.back()).register.instance_id
    if after != before:
        raise Unmet(f"instance_id {before!r}, then {after!r}")


# ------------------------------------------------------------------------------ tolerance
@TOLERANCE.case(
    "messages of an unknown kind are ignored, before Registered and after",
    "do nothing where the oneof `message` is unset",
)
async def ignores_messages_of_an_unknown_kind(peer: Peer) -> None:
    session = await peer.accepted()
    await session.written(send_with_unknown_fields(session.stream))
    await session.send()
    await session.in_round()
    await session.written(send_with_unknown_fields(session.stream))
    await session.asked()


@TOLERANCE.case(
    "fields that are not known are ignored in every message",
    "parse with the protobuf library as it is; do not reject unknown fields",
)
async def ignores_unknown_fields(peer: Peer) -> None:
    session = await peer.accepted()
    given = Registered(
        session_id="s",
        run_id="run-1",
        catalog_version="v1",
        catalog_size=len(session.items),
        page_size=5,
        user_count=session.max_users,
        capabilities=peer.settings.granted(session.register),
    )
    session.granted(given.capabilities)
    await session.written(send_with_unknown_fields(session.stream, registered=given))
    await session.loaded()
    opened = RoundStarted(round=1)
    await session.written(send_with_unknown_fields(session.stream, round_started=opened))
    await session.until("RoundReady", lambda one: one.HasField("round_ready"))
    await session.asked()


@TOLERANCE.case(
    "numbers that an enum does not have yet are taken",
    "treat an unknown Interaction.Type, Surface or ExplanationMode as the unspecified one",
)
async def takes_numbers_that_no_enum_has_yet(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    await session.feedback("h1", rows=[Row(0, 0), Row(1, 1, type=99)])
    await session.round(1)
    odd = {} if session.columnar else {"surface": 99, "explanation_mode": 99}
    await session.asked(of_queries=odd)


@TOLERANCE.case(
    "feedback about items that the catalogue does not have changes nothing else",
    "look items up so that an unknown id is passed over",
    needs=(RICH,),
)
async def takes_feedback_about_unknown_items(peer: Peer) -> None:
    session = await peer.accepted()
    await session.begin()
    await session.feedback("h1", rows=[Row(0, len(session.items)), Row(0, 0)])
    await session.round(1)
    await session.asked()


@TOLERANCE.case(
    "a WorkOutcome is at most logged, whatever it says",
    "do not end the session at a WorkOutcome; the next work wants an answer",
)
async def takes_every_outcome_of_a_work(peer: Peer) -> None:
    session = await peer.serving()
    answered = await session.asked()
    for disposition in [*WorkOutcome.Disposition.values(), 99]:
        for work_id in (answered.work.work_id, "of-nobody"):
            outcome = WorkOutcome(work_id=work_id)
            outcome.disposition = disposition  # pyright: ignore[reportAttributeAccessIssue]
            await session.send(work_outcome=outcome)
    await session.asked()
