"""The population: who the users are, as columns; a user is its position in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from recarena.server.types import Floats, unique_ids

PROFILE_FIELDS = ("age", "gender", "occupation", "traits", "interests")
"""Profile columns that a population may have, all strings; absent: unknown for everybody."""


@dataclass
class Population:
    """Users with profiles and the hidden traits of the choice mind (MINDS, section 3).

    Two users may have the same name; ids are unique. All trait columns have one row per user.
    Between two rounds a user may be edited, by `World` alone: whoever holds the population sees it.
    """

    user_ids: list[str]
    names: list[str]
    taste: Floats
    """[users, attributes]: theta_u, in rating points per unit of Catalog.attributes."""
    mean_rating: Floats
    """mu_u on the 1..5 scale."""
    activity: Floats
    """a_u: logit of doing something in a round."""
    conformity: Floats
    """c_u in 0..1: pull of popularity and of the displayed mean rating."""
    diversity: Floats
    """d_u in 0..1: liking for genres not seen of late."""
    position_bias: Floats
    """eta_u >= 0: exponent of the attention lost down the page."""
    posting: Floats
    """p_u: logit of posting rather than chatting when social."""
    sociability: Floats
    """Logit of going to the social network rather than the recommender when active."""
    trust: Floats
    """kappa_u >= 0: weight of an explanation's claims."""
    profile: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Name of PROFILE_FIELDS -> one string per user."""

    def __post_init__(self) -> None:
        unique_ids("user", self.user_ids)
        for name in ("names", *TRAITS, "taste"):
            if len(getattr(self, name)) != len(self):
                raise ValueError(f"population: {name} does not have {len(self)} rows")
        for name, column in self.profile.items():
            if name not in PROFILE_FIELDS or len(column) != len(self):
                raise ValueError(f"population: profile field {name!r} is unknown or too short")

    def __len__(self) -> int:
        return len(self.user_ids)

    @cached_property
    def number_of(self) -> dict[str, int]:
        """user_id -> user number."""
        return {one: number for number, one in enumerate(self.user_ids)}

    def rename(self, user: int, name: str) -> None:
        """Gives a user another display name."""
        self.names[user] = name

    def describe(self, user: int, profile: Mapping[str, str]) -> None:
        """Sets fields of a user's profile; one that nobody had is empty for everybody else."""
        for name, value in profile.items():
            self.profile.setdefault(name, [""] * len(self))[user] = value

    def endow(self, user: int, traits: Mapping[str, float], tastes: Mapping[int, float]) -> None:
        """Sets traits by their names, and tastes by the numbers of attributes."""
        for name, value in traits.items():
            column = getattr(self, name).copy()
            column[user] = np.float32(value)
            setattr(self, name, column)
        if tastes:
            self.taste = self.taste.copy()
            self.taste[user, list(tastes)] = np.array(list(tastes.values()), np.float32)


TRAITS = (
    "mean_rating",
    "activity",
    "conformity",
    "diversity",
    "position_bias",
    "posting",
    "sociability",
    "trust",
)
"""Names of the float columns of a Population, one number per user each."""
TRAIT_BOUNDS: dict[str, tuple[float, float]] = {
    "mean_rating": (1.0, 5.0),
    "activity": (-10.0, 10.0),
    "conformity": (0.0, 1.0),
    "diversity": (0.0, 1.0),
    "position_bias": (0.0, 5.0),
    "posting": (-10.0, 10.0),
    "sociability": (-10.0, 10.0),
    "trust": (0.0, 5.0),
}
"""The least and the most that a trait may be set to. Logits of ten are as good as never and
always."""
