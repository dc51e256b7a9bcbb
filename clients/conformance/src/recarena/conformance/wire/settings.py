"""What a suite is played with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recarena.v1.session_pb2 import CAPABILITY_COLUMNAR, Capability, Register
from recarena.v1.types_pb2 import Item

RICH = "RICH"
"""Of a case that needs what the columnar form does not carry."""
DEFAULT_USERS, MOST_USERS = {False: 64, True: 4096}, {False: 256, True: 16_384}
"""Users of one work, rich and columnar."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The command under test, and what it is told."""

    command: Sequence[str]
    items: Sequence[Item]
    users: int = 100
    encoding: str = "auto"
    """auto: columnar where the program offers it; rich: never."""
    patience: float = 10.0
    """Seconds that any one answer may take."""
    dial_in: float = 30.0
    """Seconds that the program may take to start, or to come back."""

    def granted(self, register: Register) -> list[Capability.ValueType]:
        """The capabilities in force with a program that registers so."""
        known = set(Capability.values()) - {0}
        if self.encoding == "rich":
            known.discard(CAPABILITY_COLUMNAR)
        return [one for one in register.capabilities if one in known]

    def offered(self, register: Register) -> frozenset[str]:
        """Their names, and RICH where works come in that form."""
        granted = self.granted(register)
        names = {Capability.Name(one).removeprefix("CAPABILITY_") for one in granted}
        return frozenset(names if CAPABILITY_COLUMNAR in granted else names | {RICH})

    def max_users(self, register: Register) -> int:
        """Most users in one work, as the program has declared."""
        columnar = CAPABILITY_COLUMNAR in self.granted(register)
        return min(register.max_users_per_work or DEFAULT_USERS[columnar], MOST_USERS[columnar])
