"""One table from errors to gRPC status. The detail is logged, the public text is sent."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from recarena.server.errors import (
    AlreadyThere,
    Changed,
    Conflict,
    Flooded,
    InputError,
    LogDeparted,
    NotFound,
    NotYours,
    ProtocolViolation,
    Quarantined,
    RecArenaError,
    RunClosed,
    RunFailed,
    RunPaused,
    SessionLost,
    TooManySessions,
    TooSlow,
)

DOMAIN = "recarena"
MOST_HEADER = 2600
"""Bytes of a status' words as a header has them, most signs but plain letters as three a byte."""
MOST_TEXT = 2000
"""Bytes of the same in the details, beside which go those of:"""
MOST_FIELDS = 1600
MOST_FIELD = 300
"""Fields and what is wrong with them, and one of them. All of it stays below 8 KiB, which is what
clients take of headers."""

CODES: dict[type[RecArenaError], grpc.StatusCode] = {
    InputError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    AlreadyThere: grpc.StatusCode.ALREADY_EXISTS,
    Changed: grpc.StatusCode.ABORTED,
    ProtocolViolation: grpc.StatusCode.INVALID_ARGUMENT,
    TooSlow: grpc.StatusCode.DEADLINE_EXCEEDED,
    Flooded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Quarantined: grpc.StatusCode.FAILED_PRECONDITION,
    TooManySessions: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NotYours: grpc.StatusCode.PERMISSION_DENIED,
    SessionLost: grpc.StatusCode.UNAVAILABLE,
    RunClosed: grpc.StatusCode.UNAVAILABLE,
    LogDeparted: grpc.StatusCode.DATA_LOSS,
    RunPaused: grpc.StatusCode.FAILED_PRECONDITION,
    RunFailed: grpc.StatusCode.ABORTED,
    RecArenaError: grpc.StatusCode.INTERNAL,
}
"""Every class of the error tree has its own row (a test says so)."""


def status_proto(
    code: grpc.StatusCode, text: str, reason: str = "", **metadata: str
) -> status_pb2.Status:
    """A google.rpc.Status; `reason` (UPPER_SNAKE) and metadata travel as ErrorInfo."""
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=text)
    if reason:
        info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
        detail = any_pb2.Any()
        detail.Pack(info)
        status.details.append(detail)
    return status


def reason_of(kind: type[RecArenaError]) -> str:
    """The reason that ErrorInfo gives for a class of errors: NotFound is NOT_FOUND."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper()


def of_error(error: RecArenaError) -> status_pb2.Status:
    """The status of an error of the tree, with BadRequest details for bad input. What a caller sent
    may stand in it, at most so much of it that the status still reaches the caller."""
    code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    status = status_proto(code, sendable(str(error)), reason_of(type(error)))
    if isinstance(error, InputError) and (error.where or error.fields):
        fields = error.fields or ((error.where, error.problem),)
        status.details.extend(bad_request("", fields).details)
    return status


def bad_request(text: str, fields: Sequence[tuple[str, str]]) -> status_pb2.Status:
    """INVALID_ARGUMENT with at most 16 field violations, the first one among them."""
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message=text)
    bad, room = error_details_pb2.BadRequest(), MOST_FIELDS
    for path, what in fields[:16]:
        field, description = clipped(path, MOST_FIELD), clipped(what, MOST_FIELD)
        room -= len(field.encode()) + len(description.encode())
        if room >= 0:
            bad.field_violations.add(field=field, description=description)
    detail = any_pb2.Any()
    detail.Pack(bad)
    status.details.append(detail)
    return status


def sendable(text: str) -> str:
    """The text, or as much of its beginning as headers have room for."""
    header = size = 0
    for at, letter in enumerate(text):
        data = letter.encode("utf-8", "replace")
        size += len(data)
        header += 1 if " " <= letter <= "~" and letter != "%" else 3 * len(data)
        if header > MOST_HEADER or size > MOST_TEXT:
            return text[: max(at - 9, 0)] + "…"
    return text


def clipped(text: str, most: int) -> str:
    """The text, or its beginning where it has more than so many bytes."""
    data = text.encode("utf-8", "replace")
    if len(data) <= most:
        return text
    return data[: most - len("…".encode())].decode("utf-8", "ignore") + "…"


def to_grpc(status: status_pb2.Status) -> grpc.Status:
    """For `context.abort_with_status`."""
    return rpc_status.to_status(status)
