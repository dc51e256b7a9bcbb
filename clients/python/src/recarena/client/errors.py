"""The error tree.

ClientError                  all that the SDK raises on purpose, one line of text each
├── Refused                  the server said no for good: trying again would not help
│   ├── InvalidRegister      INVALID_ARGUMENT: the registration breaks a rule
│   ├── PreconditionFailed   FAILED_PRECONDITION: no common version, or RANK is missing
│   ├── NotAuthenticated     UNAUTHENTICATED: the server does not know who this is
│   ├── NotPermitted         PERMISSION_DENIED: this identity may not be that recommender
│   └── Fenced               ABORTED: a newer session of the same instance took the run
├── Unreachable              no connection for `retry_for` seconds
├── BadCredentials           files for TLS that cannot be used
├── ProtocolBroken           the server broke a rule of the session
├── RecommenderFailed        a method of the recommender raised; its error is the __cause__
└── WrongAnswer              an answer does not fit its work (it becomes a WorkFailed)
"""

from __future__ import annotations

import grpc


class ClientError(Exception):
    """Base of all errors that the SDK raises on purpose."""


class Refused(ClientError):
    """The server's final no. `code` and `text` are the server's."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        self.code, self.text = code, one_line(text)
        super().__init__(f"the server refused: {self.text or 'no reason given'} ({code.name})")


class InvalidRegister(Refused):
    """The registration breaks a rule, for example the form of recommender_id."""


class PreconditionFailed(Refused):
    """Server and recommender have no common ground, for example no common version."""


class NotAuthenticated(Refused):
    """The token or certificate is missing, expired or unknown."""


class NotPermitted(Refused):
    """The token or certificate is somebody else's."""


class Fenced(Refused):
    """A newer session of the same instance serves the run."""


class Unreachable(ClientError):
    """There was no connection for `retry_for` seconds."""


class BadCredentials(ClientError):
    """A file for TLS cannot be read, or is not what it is given as."""


class ProtocolBroken(ClientError):
    """The server broke a rule of the session."""


class RecommenderFailed(ClientError):
    """The recommender's `method` raised `error`."""

    def __init__(self, method: str, error: BaseException) -> None:
        self.method, self.error = method, error
        super().__init__(f"{method} raised {described(error)}")


class WrongAnswer(ClientError):
    """What the recommender returned does not fit the work."""


FINAL: dict[grpc.StatusCode, type[Refused]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRegister,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionFailed,
    grpc.StatusCode.UNAUTHENTICATED: NotAuthenticated,
    grpc.StatusCode.PERMISSION_DENIED: NotPermitted,
    grpc.StatusCode.ABORTED: Fenced,
}


def refusal(error: grpc.aio.AioRpcError) -> Refused | None:
    """The typed error of a final status; None when it is worth coming back."""
    kind = FINAL.get(error.code())
    return None if kind is None else kind(error.code(), error.details() or "")


def described(error: BaseException) -> str:
    """Type and text of an error on one line."""
    text = one_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def one_line(text: str, limit: int = 300) -> str:
    """`text` without control characters, at most `limit` characters long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
