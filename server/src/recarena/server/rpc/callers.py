"""Who calls. The guard of a server finds it out before a method runs; methods ask here."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """What a caller may do (the numbers of `recarena.v1.Role`)."""

    RECOMMENDER = 1
    OPERATOR = 2
    OBSERVER = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal: what a token or a certificate says of the caller."""

    name: str
    """For RECOMMENDER the recommender_id it speaks for."""
    role: Role
    key: str
    """What told it apart: the token's id or the certificate's fingerprint. Never a secret."""
    max_sessions: int = 2
    """Connect streams it may hold at once; 0: no limit."""


current_caller: ContextVar[Caller | None] = ContextVar("current_caller", default=None)
"""The caller of the method that is running; None where the server asks nobody who they are."""
