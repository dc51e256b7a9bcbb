"""Measures the speed of RecArena: `make bench`. One JSON line a figure on stdout, progress on
stderr. docs/performance.md says what each figure means."""

from __future__ import annotations

import os

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"  # before numpy is imported: one core means one

import argparse  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

if TYPE_CHECKING:
    from figures import Figure


@dataclass(frozen=True, slots=True)
class Family:
    """Figures that are measured together, by the `figures` of one module."""

    module: str
    summary: str

    def figures(self, quick: bool) -> Iterator[Figure]:
        """Measures them, one after the other; quick: sizes too small to mean anything."""
        yield from importlib.import_module(self.module).figures(quick)


FAMILIES = {
    "help": Family("startup", "how long `recarena --help` takes"),
    "choice": Family("choice", "rounds of the choice mind with a recommender in the process"),
    "commit": Family("commit", "committing a round to the run folder"),
    "inquiries": Family("inquiries", "inquiries a second over gRPC, against the bare choice mind"),
    "languages": Family("languages", "lists a second of the client of each language"),
    "llm": Family("llm", "decisions of LLM minds through the real SDKs, against the bare SDKs"),
    "memory": Family("memory", "memory per user"),
    "observatory": Family("observatory", "frames of its page, and what runs feel of watchers"),
    "remote": Family("remote", "a round of 100,000 users with a recommender over gRPC"),
    "sessions": Family("sessions", "200 sessions at once in one server, for a minute"),
    "serving": Family("serving", "lists a second over gRPC, against a bare echo of the messages"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 whether targets are met or not."""
    given = command().parse_args(arguments)
    if given.list:
        for name, family in FAMILIES.items():
            print(f"{name:11}  {family.summary}")
        return 0
    for name in given.only or FAMILIES:
        print(f"{name}: {FAMILIES[name].summary}", file=sys.stderr, flush=True)
        for figure in FAMILIES[name].figures(given.quick):
            print(figure.line(), flush=True)
        gc.collect()
    return 0


def command() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--list", action="store_true", help="say what can be measured, and leave")
    add(
        "--only",
        metavar="NAME",
        action="append",
        choices=FAMILIES,
        help="measure just this (may be given again)",
    )
    add("--quick", action="store_true", help="small sizes: to see that it works, not how fast")
    return parser


if __name__ == "__main__":
    sys.exit(main())
