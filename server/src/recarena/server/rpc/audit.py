"""Who changed what: a line for every call that changes something, and for calls that a known caller
was refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf import json_format
from google.protobuf.message import Message

from recarena.server.rpc.allowance import Allowance, Rate
from recarena.server.rpc.callers import current_caller
from recarena.server.rpc.refusal import Context

log = structlog.get_logger()

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MAX_REQUEST_BYTES = 4096
"""Of a larger request only the digest is kept."""
SPOKEN = ("inquiries", "wanted")
"""Fields with what users are asked and told: only their digest is kept, however small."""
REFUSED_READS = Rate(per_second=0.1, burst=20)
"""Refused calls of one caller that would have changed nothing, and are written all the same."""


class Audit(grpc.aio.ServerInterceptor):
    """Appends a JSON line to a file for every call of these methods: before the reply of one that
    has changed something, and also for one that failed or that a caller of another role tried."""

    def __init__(self, path: Path, methods: Set[str]) -> None:
        self._path, self.methods = path, methods
        self._turn = asyncio.Lock()
        self._refused_reads = Allowance(REFUSED_READS)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method, with its calls written down if it changes something."""
        path = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None or path not in self.methods:
            return handler
        method: Any = handler.unary_unary

        async def audited(request: Message, context: Context) -> Any:
            reply: Message | None = None
            code = grpc.StatusCode.UNKNOWN
            try:
                reply = await method(request, context)
                code = grpc.StatusCode.OK
                return reply
            except grpc.aio.AbortError:
                code = context.code()
                raise
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            finally:
                await self.write(path, context, request, reply, code)

        return grpc.unary_unary_rpc_method_handler(
            audited, handler.request_deserializer, handler.response_serializer
        )

    async def refused(self, path: str, context: Context, code: grpc.StatusCode) -> None:
        """Appends a line for a call of the contract that its caller was refused; of calls that
        would have changed nothing not more than the allowance, so that nobody fills the disk."""
        caller = current_caller.get()
        if path in self.methods or (caller and not self._refused_reads.take(caller.key)):
            await self.write(path, context, None, None, code)

    async def write(
        self,
        path: str,
        context: Context,
        request: Message | None,
        reply: Message | None,
        code: grpc.StatusCode,
    ) -> None:
        """Appends a line for a call; it is on the disk afterwards. The request of a call that was
        refused before it was read is None."""
        caller = current_caller.get()
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "caller": caller
            and {"role": caller.role.name.lower(), "name": caller.name, "key": caller.key},
            "peer": context.peer(),
            "method": path,
            **_about(request, reply),
            "code": code.name,
        }
        text = json.dumps(line, ensure_ascii=False) + "\n"
        # A call that is given up is written down all the same.
        await asyncio.shield(self._append(text.encode()))

    async def _append(self, line: bytes) -> None:
        async with self._turn:
            try:
                await asyncio.to_thread(_append, self._path, line)
            except OSError as error:
                log.error("audit log cannot be written", why=str(error), line=line.decode())


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line  # a line that a power cut left half written
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)


def _about(request: Message | None, reply: Message | None) -> dict[str, Any]:
    """Which run a call was about, and what it asked for."""
    named = _run_id(request)
    made = _run_id(reply)
    return {
        "run_id": named or made or None,
        "new_run_id": made if made != named else None,
        "request_id": getattr(request, "request_id", "") or None,
        "request": None if request is None else _copy(request),
    }


def _run_id(message: Message | None) -> str:
    if message is None:
        return ""
    run = getattr(message, "run", None)
    return getattr(message, "run_id", "") or getattr(run, "run_id", "")


def _copy(request: Message) -> dict[str, Any]:
    """The request, or its digest where it is large; nothing of what users are asked and told."""
    spoken = [name for name in SPOKEN if name in request.DESCRIPTOR.fields_by_name]
    kept = type(request)()
    kept.CopyFrom(request)
    for name in spoken:
        kept.ClearField(name)
    if kept.ByteSize() <= 4 * MAX_REQUEST_BYTES:  # no JSON is four times shorter
        values = json_format.MessageToDict(kept, preserving_proto_field_name=True)
        if len(json.dumps(values, ensure_ascii=False).encode()) <= MAX_REQUEST_BYTES:
            return values | _digest(request) if spoken else values
    return _digest(request)


def _digest(request: Message) -> dict[str, Any]:
    message = request.SerializeToString(deterministic=True)
    return {"sha256": hashlib.sha256(message).hexdigest(), "bytes": len(message)}
