"""What a case is, what becomes of it, and how cases are put into a script."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

A = TypeVar("A", bound=Callable[..., Any])
Scene = Callable[[Any], Awaitable[Any]]
Judge = Callable[[Any], None]


class Verdict(enum.Enum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_OFFERED = "not offered"
    NOT_PLAYED = "not played"


@dataclass(frozen=True, slots=True)
class Case:
    """One requirement. Its scene is played with the program; `judge` looks at what the scene gave
    back. Cases of the same scene are judged by one performance of it."""

    area: str
    name: str
    required: str
    fix: str
    scene: Scene
    judge: Judge | None = None
    needs: tuple[str, ...] = ()
    """Capabilities without which it is not offered."""
    optional: bool = False
    """Whether failing it is a hint, which the exit code does not tell."""
    options: tuple[str, ...] = ()
    """What the program is started with, in the probe suite."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case, its verdict, and where it failed what was required, seen and is to be done."""

    case: Case
    verdict: Verdict
    seen: str = ""
    required: str = ""
    fix: str = ""
    seconds: float = 0.0
    last_lines: tuple[str, ...] = ()
    """The end of the program's output, where the case failed."""
    log: str = ""
    """The file with all of its output."""

    @property
    def is_failure(self) -> bool:
        """Whether a required case failed."""
        return self.verdict is Verdict.FAILED and not self.case.optional


@dataclass(slots=True)
class Script:
    """The cases of one area, in the order in which they were written."""

    area: str
    cases: list[Case] = field(default_factory=list[Case])

    def case(
        self, required: str, fix: str, *, needs: tuple[str, ...] = (), optional: bool = False
    ) -> Callable[[A], A]:
        """Adds a case that is called as its function is: a scene that raises Unmet."""

        def added(scene: A) -> A:
            self._add(Case(self.area, scene.__name__, required, fix, scene, None, needs, optional))
            return scene

        return added

    def judged(
        self,
        scene: Scene,
        required: str,
        fix: str,
        *,
        needs: tuple[str, ...] = (),
        optional: bool = False,
    ) -> Callable[[A], A]:
        """Adds a case that is called as its function is: it judges what the scene gives back."""

        def added(judge: A) -> A:
            self._add(Case(self.area, judge.__name__, required, fix, scene, judge, needs, optional))
            return judge

        return added

    def add(self, name: str, required: str, fix: str, scene: Scene, *, options: tuple[str, ...] = ()
    ) -> None:  # fmt: skip
        """Adds a case under a name of its own."""
        self._add(Case(self.area, name, required, fix, scene, options=options))

    def _add(self, case: Case) -> None:
        if any(one.name == case.name for one in self.cases):
            raise ValueError(f"two cases are called {case.name}")
        self.cases.append(case)
