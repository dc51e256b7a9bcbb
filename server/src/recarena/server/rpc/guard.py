"""The guard before every method: who calls, whether that role may, how often, and for how long."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias
from urllib.parse import unquote

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from recarena.server.rpc import behaviour, status
from recarena.server.rpc.allowance import Allowance, Rate
from recarena.server.rpc.audit import Audit
from recarena.server.rpc.callers import Caller, current_caller
from recarena.server.rpc.credentials import Credentials, Shown, Stranger
from recarena.server.rpc.permits import OF_GRPC, PUBLIC, Permits
from recarena.server.rpc.refusal import Context, abort
from recarena.server.rpc.security import Security
from recarena.server.rpc.times import duration

log = structlog.get_logger()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
CHECK_AGAIN_S = 1.0
LINES = Rate(per_second=5, burst=50)
"""Refusals that are logged."""


@dataclass(slots=True, eq=False)
class _Open:
    """A call under way."""

    task: asyncio.Task[Any]
    caller: Caller
    shown: Shown
    lost: Stranger | None = None
    """Why its caller is none any more."""


class Guard(grpc.aio.ServerInterceptor):
    """Refuses what is not permitted, before the request is read. Methods find their caller in
    `current_caller`."""

    def __init__(self, security: Security, permits: Permits, audit: Audit) -> None:
        """InputError where the file of tokens is missing or broken."""
        self._credentials: Credentials = security.credentials()
        self._permits: Permits = {**OF_GRPC, **permits}
        self._audit = audit
        self._calls = Allowance(security.calls)
        self._failures = Allowance(security.failures)
        self._lines = Allowance(LINES)
        self._unsaid = 0
        self._open: set[_Open] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The method with the guard before it; of one that does not exist, only the guard."""
        path = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler and path in PUBLIC:
            return handler

        async def guarded(requests: AsyncIterator[Any], context: Context) -> None:
            call = await self._let_in(path, handler, context)
            assert handler
            await self._run(call, handler, requests, context)

        return grpc.stream_stream_rpc_method_handler(
            guarded,
            handler.request_deserializer if handler else None,
            handler.response_serializer if handler else None,
        )

    async def watch(self) -> None:
        """Ends open calls whose token was revoked or has expired, until it is cancelled."""
        while True:
            await asyncio.sleep(CHECK_AGAIN_S)
            # One that is ending already is left to clean up.
            for call in [call for call in self._open if not call.lost]:
                try:
                    now = self._credentials.caller(call.shown)
                    if (now.role, now.name) != (call.caller.role, call.caller.name):
                        raise Stranger("BAD_TOKEN", "the token was given to somebody else")
                except Stranger as why:
                    call.lost = why
                    call.task.cancel()

    async def _let_in(self, path: str, handler: Handler | None, context: Context) -> _Open:
        """A call that may run."""
        shown = Shown.by(context)
        try:
            caller = self._credentials.caller(shown)
        except Stranger as why:
            await self._turn_away(path, why, context)
        current_caller.set(caller)
        if wait := self._calls.take(caller.key):
            self._say(path, "RATE_LIMITED", context, caller)
            await abort(context, _later("more calls than one caller may make", wait))
        if handler is None:
            code = grpc.StatusCode.UNIMPLEMENTED
            await abort(context, status.status_proto(code, "there is no such method"))
        if caller.role not in self._permits.get(path, frozenset()):
            await self._forbid(path, caller, context)
        task = asyncio.current_task()
        assert task
        return _Open(task, caller, shown)

    async def _run(
        self, call: _Open, handler: Handler, requests: AsyncIterator[Any], context: Context
    ) -> None:
        self._open.add(call)
        try:
            await behaviour.run(handler, requests, context)
        except asyncio.CancelledError:
            if not call.lost:
                raise
        except grpc.aio.BaseError:
            raise
        except Exception:  # gRPC would send the words of any exception to the caller
            log.exception("a method failed")
            code = grpc.StatusCode.INTERNAL
            await abort(context, status.status_proto(code, "internal error"))
        finally:
            self._open.discard(call)
        if call.lost:
            call.task.uncancel()
            await abort(context, _unauthenticated(call.lost))

    async def _turn_away(self, path: str, why: Stranger, context: Context) -> NoReturn:
        """Refuses a stranger. What an address does wrong is held against nobody else there: a
        valid token is let in however many bad ones came from behind the same address."""
        if wait := self._failures.take(host_of(context.peer())):
            await abort(context, _later("too many failed attempts from this address", wait))
        self._say(path, why.reason, context, None)
        await abort(context, _unauthenticated(why))

    async def _forbid(self, path: str, caller: Caller, context: Context) -> NoReturn:
        self._say(path, "WRONG_ROLE", context, caller)
        code = grpc.StatusCode.PERMISSION_DENIED
        if path in self._permits:
            await self._audit.refused(path, context, code)
        text = f"the role {caller.role.name.lower()} may not call this method"
        await abort(context, status.status_proto(code, text, "WRONG_ROLE"))

    def _say(self, path: str, reason: str, context: Context, caller: Caller | None) -> None:
        """Logs a refusal, unless there have been too many to tell."""
        if self._lines.take(""):
            self._unsaid += 1
            return
        unsaid, self._unsaid = self._unsaid, 0
        log.warning(
            "call refused",
            # What is no method may be anything, and as long as the caller likes.
            method=path if path in self._permits else "unknown",
            peer=context.peer(),
            reason=reason,
            caller=f"{caller.role.name.lower()} {caller.name}" if caller else None,
            others_not_logged=unsaid,
        )


def host_of(peer: str) -> str:
    """The address behind gRPC's name of a peer, without its port. Of IPv6 the network, which is
    what one subscriber has."""
    kind, _, rest = unquote(peer).partition(":")
    if kind == "ipv4":
        return rest.rpartition(":")[0]
    if kind == "ipv6":
        address = rest.rpartition(":")[0].strip("[]").partition("%")[0]
        return str(ipaddress.ip_network(f"{address}/64", strict=False))
    return peer


def _unauthenticated(why: Stranger) -> status_pb2.Status:
    return status.status_proto(grpc.StatusCode.UNAUTHENTICATED, str(why), why.reason)


def _later(text: str, seconds: float) -> status_pb2.Status:
    """RESOURCE_EXHAUSTED that says when to try again."""
    made = status.status_proto(grpc.StatusCode.RESOURCE_EXHAUSTED, text, "RATE_LIMITED")
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration(seconds)))
    made.details.append(detail)
    return made
