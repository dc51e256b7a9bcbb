"""What a competition is going to play: recommenders, worlds, rounds, and what is claimed after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.playing.contenders import Contender
from recarena.evaluation.playing.mirrored import Bout, run_name
from recarena.evaluation.runs.run_log import SHARED


class BadPlan(Exception):
    """A competition cannot be played as it was asked for; the text is one line with the remedy."""


class Design(StrEnum):
    """How recommenders and users come together."""

    MIRRORED = "mirrored"
    """Each recommender has a copy of each world to itself: what the ranking rests on."""
    SPLIT = "split"
    """All recommenders share each world, an arm each."""
    BOTH = "both"
    """Both, which measures how much arms of one world spill over."""


class Split(StrEnum):
    """How the users of one world are shared among its arms."""

    USERS = "users"
    CLUSTERS = "clusters"
    """Whole clusters of the social graph, so that fewer ties cross."""


@dataclass(frozen=True, slots=True)
class World:
    """One world of a competition."""

    number: int
    """From 0."""
    spec: str
    """As CreateRun takes it: a folder, or what to make up, with its seed."""
    seed: int
    """Of everything random in its runs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A competition, before anything is played. BadPlan where it makes no sense."""

    name: str
    recommenders: tuple[Contender, ...]
    worlds: tuple[World, ...]
    rounds: int
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    """Of all runs, with the keys of a configuration file but seed, rounds and arms."""
    design: Design = Design.MIRRORED
    split: Split = Split.USERS
    primary: str = "watch_rate"
    """Name of the one metric that recommenders are ranked by."""
    minimum_effect: float | None = None
    """Smallest difference in the primary metric that matters; None: not stated."""
    gate: Gate = field(default_factory=Gate)
    """What a recommender must keep to beside its place."""
    stop_early: bool = False
    """Whether the competition may end after a world, by a confidence sequence."""

    def __post_init__(self) -> None:
        names = [one.name for one in self.recommenders]
        if not names:
            raise BadPlan(
                "no recommender is named. Say -r popular, or --remote NAME for one that dials in"
            )
        for name in names:
            if names.count(name) > 1:
                raise BadPlan(f"two recommenders are called {name}: give one another name")
        if self.design is not Design.MIRRORED and len(names) < 2:
            raise BadPlan(
                "one recommender alone shares no world: name another, or say --design mirrored"
            )
        if not self.worlds:
            raise BadPlan("no world is named")
        if self.rounds < 1:
            raise BadPlan(f"at least 1 round is played, not {self.rounds}")
        _check_primary(self.primary)
        if self.minimum_effect is not None and not 0 < self.minimum_effect < math.inf:
            raise BadPlan(f"--minimum-effect is more than 0, not {self.minimum_effect:g}")
        for key in ("seed", "rounds", "arms"):
            if key in self.settings:
                raise BadPlan(
                    f"the settings say {key}, which a competition decides itself: "
                    "leave it out of the file and use --seed, --rounds and -r"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the recommenders."""
        return tuple(one.name for one in self.recommenders)

    def bouts(self) -> list[Bout]:
        """All runs, world by world."""
        return [bout for world in self.worlds for bout in self.bouts_in(world)]

    def bouts_in(self, world: World) -> list[Bout]:
        """The runs in one world: those of the ranking first, then the shared one."""
        found: list[Bout] = []
        if self.design is not Design.SPLIT:
            found = [
                Bout(run_name(world.number, name), (name,), world.spec, world.seed, self.settings)
                for name in self.names
            ]
        if self.design is not Design.MIRRORED:
            shared = f"{SHARED}w{world.number}"
            assignment = {**dict(self.settings.get("assignment") or {}), "by": str(self.split)}
            settings = {**self.settings, "assignment": assignment}
            found.append(Bout(shared, self.names, world.spec, world.seed, settings))
        return found


MADE_UP = ("new", "planted")
"""Kinds of worlds that are made up from a seed."""


def worlds_of(places: Sequence[str], number: int | None, seed: int) -> tuple[World, ...]:
    """The worlds that arguments name: `number` of them, or one of each place.

    World w (from 0) has the seed `seed` + w. A made-up world is made anew from it; a folder is
    the same each time, and its worlds differ in what users decide. Several places are taken in
    turn. BadPlan for a place that is none.
    """
    if not places:
        raise BadPlan("no world is named: say new:users=200, or the folder of a world")
    many = len(places) if number is None else number
    if many < 1:
        raise BadPlan(f"at least 1 world is played, not {many}")
    return tuple(
        World(at, _spec(places[at % len(places)], seed + at), seed + at) for at in range(many)
    )


def _spec(place: str, seed: int) -> str:
    kind, colon, rest = place.partition(":")
    if Path(place).is_dir():
        return str(Path(place).absolute())
    if not colon or kind not in MADE_UP:
        raise BadPlan(
            f"there is no world {place}: name the folder of one, or what to make up, such as "
            "new:users=200 or planted:users=200,items=500"
        )
    pieces = [piece for piece in rest.split(",") if piece]
    if any(piece.partition("=")[0] == "seed" for piece in pieces):
        raise BadPlan(
            f"{place} has a seed of its own: leave it out and say --seed, from which each world "
            "gets another"
        )
    return f"{kind}:{','.join([*pieces, f'seed={seed}'])}"


def _check_primary(name: str) -> None:
    from recarena.evaluation.leaderboard.comparing import checked_primaries

    try:
        checked_primaries(name)
    except ValueError as error:
        raise BadPlan(f"--primary: {error}") from None
