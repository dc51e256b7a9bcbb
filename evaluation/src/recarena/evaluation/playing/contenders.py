"""Recommenders that a command starts, as its options name them."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from recarena.evaluation.playing.processes import find_program

REFERENCE = "recarena-recommender"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
AT_ONCE = 8
"""Runs that a recommender of many sessions serves at the same time; further ones wait."""


class BadContender(Exception):
    """An option that names no recommender; the text is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A recommender, and the command that starts it; `{server}` in it stands for the address,
    `{sessions}` for how many runs it is to serve at once."""

    name: str
    """What arms ask for."""
    command: str
    """Empty: it is started by somebody else, and dials in."""

    @property
    def is_remote(self) -> bool:
        """Whether it is waited for, not started."""
        return not self.command

    @property
    def is_reference(self) -> bool:
        """Whether the command is that of a reference recommender."""
        return self.command.startswith(f"{REFERENCE} ")

    @property
    def at_once(self) -> int:
        """Runs that it serves at the same time: one, where its command does not say {sessions}.
        A remote one serves as many as it has sessions; further runs wait for it."""
        return AT_ONCE if self.is_remote or "{sessions}" in self.command else 1

    def words(self, server: str, runs: int) -> list[str]:
        """The program, with its path, and its arguments, for so many runs. BadContender where there
        is no such program."""
        try:
            program, *arguments = shlex.split(self.command)
        except ValueError as error:
            raise BadContender(f"the command of {self.name}: {error}") from None
        sessions = str(max(1, min(runs, self.at_once)))
        return [
            _found(self.name, program),
            *(one.replace("{server}", server).replace("{sessions}", sessions) for one in arguments),
        ]


def contender(text: str) -> Contender:
    """`ease` is a reference recommender; `mine=python mine.py {server}` a command of one's own.

    BadContender where it is neither.
    """
    name, own, command = text.partition("=")
    _check_name(name)
    if not own:
        _check_reference(name)
        return Contender(name, f"{REFERENCE} {name} --server {{server}} --sessions {{sessions}}")
    if not command.strip() or "{server}" not in command:
        raise BadContender(
            f"the command of {name} never says where the server is: write {{server}} where the "
            "address belongs"
        )
    return Contender(name, command)


def remote(name: str) -> Contender:
    """A recommender that dials in by itself. BadContender for a name that is none."""
    _check_name(name)
    return Contender(name, "")


def contenders(texts: Iterable[str]) -> tuple[Contender, ...]:
    """All that are named, each once, in their order. BadContender where two share a name."""
    found: dict[str, Contender] = {}
    for text in texts:
        one = contender(text)
        if found.setdefault(one.name, one) != one:
            raise BadContender(f"two recommenders are called {one.name}: give one another name")
    return tuple(found.values())


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BadContender(
            f"{name!r} is no name of a recommender: write small letters, digits, dots, dashes, "
            "at most 63 of them"
        )


def _check_reference(name: str) -> None:
    """BadContender where the reference recommenders are installed and none has this name. Where
    they are not, `words` says so."""
    try:
        reference = import_module("recarena.recommenders.cli")
    except ImportError:
        return
    if name not in reference.ROSTER:
        raise BadContender(
            f"{reference.unknown(name)}. For a program of your own write "
            f"-r '{name}=python mine.py {{server}}'"
        )


def _found(name: str, program: str) -> str:
    """A bare name is looked for beside this Python first. BadContender, MissingProgram."""
    if program == REFERENCE:
        return find_program(REFERENCE)
    beside = Path(sys.executable).parent / program
    bare = program == Path(program).name != ""
    path = str(beside) if bare and beside.is_file() else shutil.which(program)
    if not path:
        raise BadContender(f"there is no program {program!r} to start {name} with")
    return path
