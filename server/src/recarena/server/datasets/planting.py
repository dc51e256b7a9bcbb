"""What is planted in a world: its form, its place in the world's origin, and its file.

The truth stands in `origin["planted"]` as JSON values, goes with the world into every run folder's
manifest, and never to recommenders. Items and users are named by their numbers there; the file
`planted.json` of a world folder says the same with ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from recarena.server.errors import InputError

if TYPE_CHECKING:
    from recarena.server.datasets.world_data import WorldData

KEY = "planted"
"""Key of the origin."""
MOST_GROUPS = 10
STRONGEST = 10.0
"""Largest influence, fatigue and credulity."""
STRENGTHS = ("influence", "fatigue", "credulity")

WORDS = {"word_of_mouth": 0.9, "search_heard": 1.1}
CROWD = {"social_unread": 0.35, "conformity": 0.4, "rating_conformity": 0.5}
FATIGUE, NOVELTY, FATIGUE_MEMORY = 0.35, 0.4, 0.7
"""Defaults of the choice mind and the dynamics, of which influence and fatigue are multiples; a
test says so."""
FORGOTTEN_AT_ONCE = 0.001
"""Half-life in rounds after which nothing is left of a mention in the next round."""


@dataclass(frozen=True, slots=True)
class Planting:
    """What to plant beside tastes. InputError for numbers that cannot be."""

    groups: int = 0
    """Item groups of equal merit and unequal fame; 0: none."""
    edges: int = 0
    """Ties along which words move the hearer, and as many matched ones along which they do not."""
    influence: float | None = None
    """How much users move one another, by word of mouth first of all: 1 as by default, 0 not at
    all; None: as the run's settings say."""
    fatigue: float | None = None
    """How users tire of genres: 1 as by default, 0 not at all; None: as the run's settings say."""
    credulity: float | None = None
    """What praise in an explanation adds for a user who trusts explanations as the usual one does:
    0, as by default, nothing; None: as the run's settings say."""

    def __post_init__(self) -> None:
        if self.groups and not 2 <= self.groups <= MOST_GROUPS:
            raise InputError(
                f"{self.groups} groups cannot be compared",
                where="groups",
                remedy=f"Ask for 2 to {MOST_GROUPS}, or for none",
            )
        if self.edges < 0:
            raise InputError(f"there cannot be {self.edges} edges", where="edges")
        for name in STRENGTHS:
            value = getattr(self, name)
            if value is not None and not 0 <= value <= STRONGEST:
                raise InputError(
                    f"{value:g} is not in 0..{STRONGEST:g}",
                    where=name,
                    remedy="0 is none, and by default there is none"
                    if name == "credulity"
                    else "1 is the strength that worlds have by default, 0 is none",
                )

    @property
    def usual_history(self) -> int:
        """Ratings per user before the run where none are asked for. With groups there are few:
        what users have watched is shown to them no more by a good recommender, and more of the
        famous group is watched."""
        return 5 if self.groups else 20

    @property
    def label(self) -> str:
        """What is planted, as a part of a world's name; empty for nothing."""
        parts = [
            f"{letter}{value:g}"
            for letter, value in (
                ("g", self.groups or None),
                ("e", self.edges or None),
                ("i", self.influence),
                ("f", self.fatigue),
                ("c", self.credulity),
            )
            if value is not None
        ]
        return "".join(f"-{part}" for part in parts)

    def settings(self) -> dict[str, dict[str, float]]:
        """Settings of a run that make the planted strengths true; empty where none is planted.

        Influence X: what was heard weighs X times as much in a choice and in a search. Below 1
        unread posts draw less to the social network, and what everybody watches and how it is
        rated count less, too, so that at 0 no user makes a difference to another: each does what
        it would do alone, to the last draw, as long as its recommender does the same. Fatigue X: a
        recent watch of a genre costs X times as much and, above 1, is felt X times as long; below 1
        what is new of a genre attracts less, too, so that at 0 no genre wears off. Credulity X:
        praise is worth X to a user of trust 1 in a choice, and as many rating points in what it
        expects; at 0 praise moves nobody, to the last draw.
        """
        choice: dict[str, float] = {}
        dynamics: dict[str, float] = {}
        if self.influence is not None:
            choice |= {name: value * self.influence for name, value in WORDS.items()}
            if self.influence < 1:
                choice |= {name: value * self.influence for name, value in CROWD.items()}
            if not self.influence:
                choice["mention_half_life"] = FORGOTTEN_AT_ONCE
        if self.fatigue is not None:
            choice["fatigue"] = FATIGUE * self.fatigue
            if self.fatigue < 1:
                choice["novelty"] = NOVELTY * self.fatigue
            if self.fatigue > 1:
                # It is felt for 1 / (1 - memory) rounds on average.
                dynamics["fatigue_memory"] = 1 - (1 - FATIGUE_MEMORY) / self.fatigue
        if self.credulity is not None:
            choice["credulity"] = self.credulity
        tables = {"choice": choice, "dynamics": dynamics}
        return {
            table: {name: round(value, 6) for name, value in values.items()}
            for table, values in tables.items()
            if values
        }


def truth_of(world: WorldData) -> Mapping[str, Any]:
    """What is planted in a world, as its origin has it; empty for nothing."""
    planted = world.origin.get(KEY)
    return cast("Mapping[str, Any]", planted) if isinstance(planted, Mapping) else {}


def world_settings(world: WorldData) -> dict[str, dict[str, Any]]:
    """Settings that a run in this world has unless it says otherwise, as in a settings file."""
    return {name: dict(values) for name, values in truth_of(world).get("settings", {}).items()}


def planted_file(world: WorldData) -> dict[str, object]:
    """What `planted.json` of a world folder says: the planted truth with ids for numbers."""
    truth = truth_of(world)
    items, users = world.catalog.item_ids, world.population.user_ids
    about: dict[str, object] = {
        "format": "recarena-planted",
        "format_version": 1,
        "settings": truth.get("settings", {}),
    }
    if groups := truth.get("groups"):
        about["groups"] = [
            {"item_id": items[item], "group": groups["names"][group], "merit": merit}
            for item, (group, merit) in enumerate(
                zip(groups["of_item"], groups["merit_of_item"], strict=True)
            )
        ]
    if edges := truth.get("edges"):
        about["edges"] = [
            {"speaker": users[speaker], "hearer": users[hearer], "kind": kind, "closeness": near}
            for kind, near in (("planted", edges["closeness"]), ("null", 0.0))
            for speaker, hearer in edges[kind]
        ]
    return about


def planted_summary(world: WorldData) -> dict[str, object]:
    """What `recarena world show` says of it."""
    truth = truth_of(world)
    about: dict[str, object] = {name: truth[name] for name in STRENGTHS if name in truth}
    if groups := truth.get("groups"):
        names: list[str] = groups["names"]
        of_item: list[int] = groups["of_item"]
        fame = world.catalog.popularity
        for number, name in enumerate(names):
            members = [item for item, group in enumerate(of_item) if group == number]
            about[f"group {name}"] = {
                "items": len(members),
                "merit": round(sum(groups["merit_of_item"][item] for item in members), 3),
                "watches before the run": int(fame[members].sum()),
            }
    if edges := truth.get("edges"):
        about["planted edges"] = len(edges["planted"])
        about["null edges"] = len(edges["null"])
    if settings := truth.get("settings"):
        about["settings of runs"] = settings
    return about
