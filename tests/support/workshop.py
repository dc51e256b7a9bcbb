"""A folder with a world and a run in it, for tests of the program."""

from __future__ import annotations

import asyncio
import copy
import shutil
from pathlib import Path

from support.commands import Ended, recarena

ROUNDS = 6
HISTORY = 3
PLAY = ("run", "world", "-r", "popular", "--seed", 5, "--rounds", ROUNDS, "--json")


class Workshop:
    """A folder with a world and one run that was played to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = self.run(
            "world", "new", "world", "--users", 60, "--seed", 4, "--history", HISTORY, "--json"
        ).went_well()
        self.played = self.run(*PLAY, "--name", "whole").went_well()
        self.digest = str(self.played.values[-1]["digest"])

    def run(self, *words: object) -> Ended:
        return asyncio.run(recarena(*words, cwd=self.folder))

    def copied(self, folder: Path) -> Workshop:
        """The same in another folder, which is not there yet."""
        other = copy.copy(self)
        other.folder = shutil.copytree(self.folder, folder)
        return other
