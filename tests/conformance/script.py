"""What a case is, and how cases are put into the script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from conformance.client import Client

Act = Callable[[Client], Awaitable[None]]
COLUMNAR = ("--columnar",)
ENCODINGS: dict[str, tuple[str, ...]] = {"rich": (), "columnar": COLUMNAR}


@dataclass(frozen=True, slots=True)
class Case:
    """What is played, and with which options the program is started for it."""

    act: Act
    options: tuple[str, ...] = ()


@dataclass(slots=True)
class Script:
    """Cases by name, in the order in which they were written."""

    cases: dict[str, Case] = field(default_factory=dict[str, Case])

    def case(self, *options: str, name: str = "") -> Callable[[Act], Act]:
        """Adds a case; it is called as its function is, unless it has a name of its own."""

        def added(act: Act) -> Act:
            called = name or act.__name__
            assert called not in self.cases, called
            self.cases[called] = Case(act, options)
            return act

        return added

    def in_both_encodings(self, act: Act) -> Act:
        """Adds a case for each encoding."""
        for encoding, options in ENCODINGS.items():
            self.case(*options, name=f"{act.__name__}-{encoding}")(act)
        return act
