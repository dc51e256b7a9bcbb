"""Runs on a server: what is played, how it ends, and mirrored worlds, in which every recommender
plays its own copy of each world."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONGEST_NAME = 63
"""Letters in the name of a run."""


@dataclass(frozen=True, slots=True)
class Bout:
    """One run to play: a recommender in its own copy of a world, or several that share one."""

    run_id: str
    recommenders: tuple[str, ...]
    """An arm each, in this order."""
    world: str
    """As CreateRun takes it."""
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    """Further settings of the run, as in a configuration file."""
    explained: bool = False
    """Whether lists are asked for with explanations."""

    @property
    def recommender(self) -> str:
        """The only one; of several all, with + between them."""
        return "+".join(self.recommenders)


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a recommender was seen to behave, beside its answers."""

    software: str
    """What it said of itself; empty where it said nothing."""
    unsolicited: int
    """Messages that answered nothing."""
    quarantined: int
    """Sessions that were ended for refused answers in a row."""


@dataclass(frozen=True, slots=True)
class Played:
    """How a bout ended."""

    bout: Bout
    folder: Path
    """Where the run is kept; the current folder where it was never begun."""
    rounds: int
    """Committed rounds."""
    error: str
    """Empty: all rounds were played."""
    conduct: Mapping[str, Conduct] = field(default_factory=dict[str, Conduct], hash=False)
    """By recommender, as of the round before the last; empty where the server did not say."""


Progress = Callable[[Bout, int], None]
"""Called with the number of committed rounds whenever one more is."""


def run_name(world: int, name: str) -> str:
    """Name of the run of a recommender in world number `world`, at most 63 letters long."""
    whole = f"w{world}-{name}"
    if len(whole) <= LONGEST_NAME:
        return whole
    mark = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{whole[: LONGEST_NAME - len(mark) - 1]}-{mark}"


def mirrored(recommenders: Sequence[str], worlds: int, users: int, seed: int) -> list[Bout]:
    """The bouts of all recommenders in worlds of generated users, world by world.

    Copies of world w share users, catalogue, network and everything random: seed + w.
    """
    return [
        Bout(run_name(world, name), (name,), f"new:users={users},seed={seed + world}", seed + world)
        for world in range(worlds)
        for name in recommenders
    ]
