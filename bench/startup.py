"""How long the program takes to say what it can do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from figures import Figure, Target, alternately, median, seconds, spread

LONGEST_S = 0.3


def figures(quick: bool) -> Iterator[Figure]:
    """`recarena --help` against Python with typer imported, and against Python alone."""
    program = Path(sys.executable).with_name("recarena")
    helped, typed, bare = alternately(
        2 if quick else 5,
        partial(ran, [str(program), "--help"]),
        partial(ran, [sys.executable, "-c", "import typer"]),
        partial(ran, [sys.executable, "-c", "pass"]),
    )
    yield Figure(
        "help",
        median(helped),
        "s",
        median(typed),
        {"baseline": "python -c 'import typer'", "python_alone_s": median(bare),
         "between_s": spread(helped)},
        Target("value", "below", LONGEST_S),
    )  # fmt: skip


def ran(line: Sequence[str]) -> float:
    """Seconds that a command takes."""
    return seconds(lambda: subprocess.run(line, check=True, capture_output=True))
