"""How cases are put into the script of the probe suite."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from recarena.conformance.case import Case, Script
from recarena.conformance.probe.client import Client

Act = Callable[[Client], Awaitable[None]]
COLUMNAR = ("--columnar",)
ENCODINGS: dict[str, tuple[str, ...]] = {"rich": (), "columnar": COLUMNAR}
FIX = "the README of the conformance kit says what the probe program must do here"


@dataclass(slots=True)
class ProbeScript:
    """Cases of one area. A case's name says what is required."""

    area: str
    script: Script = field(init=False)

    def __post_init__(self) -> None:
        self.script = Script(self.area)

    @property
    def cases(self) -> list[Case]:
        """In the order in which they were written."""
        return self.script.cases

    def case(self, *options: str, name: str = "") -> Callable[[Act], Act]:
        """Adds a case; it is called as its function is, unless it has a name of its own."""

        def added(act: Act) -> Act:
            called = name or act.__name__
            words = called.replace("_", " ").replace("-", ", ")
            self.script.add(called, words, FIX, act, options=options)
            return act

        return added

    def in_both_encodings(self, act: Act) -> Act:
        """Adds a case for each encoding."""
        for encoding, options in ENCODINGS.items():
            self.case(*options, name=f"{act.__name__}-{encoding}")(act)
        return act
