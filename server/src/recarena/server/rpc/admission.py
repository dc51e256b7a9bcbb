"""Who may open a session, what it is told of its limits, and with what status it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable

import grpc
from google.rpc import status_pb2

from recarena.server.config import NAME
from recarena.server.errors import (
    NotYours,
    ProtocolViolation,
    RecArenaError,
    TooManySessions,
    TooSlow,
)
from recarena.server.rpc import limits, status
from recarena.server.rpc.callers import Caller
from recarena.server.rpc.lobby import Fenced
from recarena.server.rpc.remote import EXTENSION, RemoteRecommender
from recarena.server.rpc.session import PROTOCOL_MINOR, Session, parsed
from recarena.server.rpc.times import duration
from recarena.v1 import session_pb2

REGISTER_TIMEOUT_S = 10.0


class Incompatible(ProtocolViolation):
    """There is no protocol both sides can speak."""


async def first_register(requests: AsyncIterator[bytes]) -> session_pb2.Register:
    """The Register that a stream begins with. ProtocolViolation where it does not, or where the
    Register breaks its rules."""
    try:
        async with asyncio.timeout(REGISTER_TIMEOUT_S):
            first = parsed(await anext(requests))
    except TimeoutError:
        raise TooSlow(f"no Register within {REGISTER_TIMEOUT_S:g} s") from None
    except StopAsyncIteration:
        raise ProtocolViolation("the stream ended before Register") from None
    if first.WhichOneof("message") != "register":
        raise ProtocolViolation("the first message must be Register")
    register = first.register
    if not re.fullmatch(NAME, register.recommender_id):
        raise ProtocolViolation(
            f"register.recommender_id: {register.recommender_id[:80]!r} does not match {NAME}"
        )
    if len(register.instance_id.encode()) > limits.MAX_ID_BYTES:
        raise ProtocolViolation(f"register.instance_id: more than {limits.MAX_ID_BYTES} bytes")
    if session_pb2.CAPABILITY_RANK not in register.capabilities:
        raise Incompatible("register.capabilities: RANK is required")
    return register


def admit(register: session_pb2.Register, caller: Caller | None, held: Iterable[Session]) -> None:
    """Refuses a caller that speaks for another (NotYours), or that would have more sessions than it
    may (TooManySessions); `held` are those it has. A session that the new one fences counts not."""
    if not caller:
        return
    if caller.name != register.recommender_id:
        raise NotYours(f"the credentials are of {caller.name!r}, not of {register.recommender_id}")
    others = [
        session
        for session in held
        if not register.instance_id or session.register.instance_id != register.instance_id
    ]
    if caller.max_sessions and len(others) >= caller.max_sessions:
        raise TooManySessions(
            f"{caller.name} holds {len(others)} sessions, and may hold {caller.max_sessions}"
        )


def registered(session: Session, arm: RemoteRecommender, resumed: bool) -> session_pb2.Registered:
    """The answer to Register."""
    a = arm.assignment
    timeout = a.settings.session.work_timeout(a.arm)
    return session_pb2.Registered(
        session_id=session.session_id,
        resumed=resumed,
        protocol_minor=min(session.register.protocol_minor, PROTOCOL_MINOR),
        capabilities=session.capabilities,
        run_id=a.run_id,
        epoch=a.epoch,
        arm_ids=[a.arm.id],
        catalog_version=arm.catalog.version,
        catalog_size=len(arm.catalog),
        user_count=len(a.user_ids),
        round_limit=a.settings.rounds,
        page_size=a.settings.visits.page_size,
        work_timeout=duration(timeout),
        max_work_timeout=duration(timeout * EXTENSION),
        resume_window=duration(a.settings.session.resume_window_s),
        ping_interval=duration(a.settings.session.ping_interval_s),
        limits=session_pb2.Limits(
            max_message_bytes=limits.MAX_MESSAGE_BYTES,
            max_answer_bytes=limits.MAX_ANSWER_BYTES,
            max_users_per_work=session.max_users(a.settings.session.max_users_per_work),
            max_items_per_list=limits.MAX_ITEMS_PER_LIST,
            max_explanation_chars=limits.MAX_EXPLANATION_CHARS,
            max_id_bytes=limits.MAX_ID_BYTES,
            max_token_bytes=limits.MAX_TOKEN_BYTES,
            max_unsolicited_messages=limits.MAX_UNSOLICITED,
            max_rejected_in_a_row=limits.MAX_REJECTED,
            max_sessions=session.caller.max_sessions if session.caller else 0,
        ),
        strict=a.arm.strict,
        replicas=a.arm.replicas,
    )


def ending(error: Exception, begun: bool = True) -> status_pb2.Status:
    """The status of a stream that the server ends, or (`begun` False) does not let begin."""
    if isinstance(error, Incompatible):
        code = grpc.StatusCode.FAILED_PRECONDITION
        return status.status_proto(
            code, str(error), "INCOMPATIBLE", supported=f"recarena.v1 minor 0..{PROTOCOL_MINOR}"
        )
    if isinstance(error, Fenced):
        text = "a newer session of this instance took its place"
        return status.status_proto(grpc.StatusCode.ABORTED, text, "FENCED")
    if type(error) is ProtocolViolation and begun:
        code = grpc.StatusCode.FAILED_PRECONDITION
        return status.status_proto(code, str(error), status.reason_of(ProtocolViolation))
    if isinstance(error, RecArenaError):
        return status.of_error(error)
    return status.status_proto(grpc.StatusCode.INTERNAL, "internal error")
