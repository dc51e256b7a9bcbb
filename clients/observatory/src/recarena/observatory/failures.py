"""What cannot be done, as the page is told: status, message, field and remedy."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

STATUS_OF = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""HTTP status of what the server answers; 502 for all that is not here."""
UNAVAILABLE = "UNAVAILABLE"


class Failure(Exception):
    """A request that cannot be answered as it was meant."""

    def __init__(
        self, status: int, code: str, message: str, *, field: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.field, self.remedy = field, remedy

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "error": {
                "message": self.message,
                "field": self.field,
                "remedy": self.remedy,
                "code": self.code,
            }
        }


def bad(field: str, message: str, remedy: str = "") -> Failure:
    """A request that breaks a rule of API.md."""
    return Failure(400, "INVALID_ARGUMENT", message, field=field, remedy=remedy)


def missing(message: str, remedy: str = "") -> Failure:
    """Something that was named is not there."""
    return Failure(404, "NOT_FOUND", message, remedy=remedy)


def failure_of(error: grpc.aio.AioRpcError) -> Failure:
    """What the RecArena server said, for the page."""
    code, text = error.code(), one_line(error.details() or "")
    status = STATUS_OF.get(code, 502)
    if code is grpc.StatusCode.UNAVAILABLE:
        remedy = "It is tried again; see that the server runs"
        return Failure(status, UNAVAILABLE, "the RecArena server cannot be reached", remedy=remedy)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        remedy = "Update the server, or take an observatory of its version"
        text = "the RecArena server is of a version that does not know this"
        return Failure(status, code.name, text, remedy=remedy)
    field, problem = _violation(error)
    said = f"{field}: {problem}"
    if field and text.startswith(said):
        return Failure(
            status, code.name, problem, field=field, remedy=text[len(said) :].strip(". ")
        )
    return Failure(status, code.name, text or code.name.lower(), field=field)


def one_line(text: str, most: int = 600) -> str:
    """`text` without line breaks and control characters, cut where it is long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _violation(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """The first field that the server found wrong, and what was; both empty where it named none."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        status, found = Status(), BadRequest()
        status.ParseFromString(value)
        for detail in status.details:
            if detail.Unpack(found) and found.field_violations:
                first = found.field_violations[0]
                return first.field, one_line(first.description)
    return "", ""
