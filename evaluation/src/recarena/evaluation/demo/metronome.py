"""A reference recommender that lets rounds begin in a beat, so that people can follow a run:

    python -m recarena.evaluation.demo.metronome 1.0 popular --server HOST:PORT

The number is the least time in seconds from the beginning of a round to that of the next; the rest
goes to `recarena-recommender`. The run itself goes on as it does at full speed: Pause, Resume, Step
and Stop mean what they always mean, and no list comes later than it would.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

MOST_S = 30.0
"""Sessions wait for a recommender to be ready, but not for ever."""


def command(seconds: float, name: str) -> str:
    """The command of a contender of that name."""
    program = shlex.join([sys.executable, "-m", "recarena.evaluation.demo.metronome"])
    beat = f"{min(seconds, MOST_S):g}"
    return f"{program} {beat} {name} --server {{server}} --sessions {{sessions}}"


def beating(
    kind: type[Any],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> type[Any]:
    """The class with rounds of at least so many seconds: it is ready for one no earlier than that
    after it was ready for the one before."""

    class Beating(kind):
        _ready_at = float("-inf")

        def ready(self, round: int) -> None:
            """Waits for the beat, then does what it always does."""
            super().ready(round)
            sleep(max(0.0, self._ready_at + seconds - clock()))
            self._ready_at = clock()

    Beating.__name__ = kind.__name__
    return Beating


def main(arguments: Sequence[str]) -> int:
    """Runs the command. The exit code is that of `recarena-recommender`."""
    seconds, name, *rest = arguments
    reference = import_module("recarena.recommenders.cli")
    entry = reference.ROSTER[name]
    module: ModuleType = import_module(f"recarena.recommenders.{entry.module}")
    kind = beating(getattr(module, entry.class_name), float(seconds))
    setattr(module, "Beating", kind)  # noqa: B010 - the roster finds classes by name
    reference.ROSTER[name] = replace(entry, class_name="Beating")
    return reference.main([name, *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
