"""Where the recommenders of runs come from, and what each of them serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from recarena.server.catalog import Catalog
from recarena.server.config import ArmSettings, Settings
from recarena.server.ports import Feedback, Recommender, WorldView
from recarena.server.spans import Span


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one arm of one run is to its recommender."""

    run_id: str
    epoch: int
    arm_number: int
    arm: ArmSettings
    settings: Settings
    world: WorldView
    catalog: Catalog
    user_ids: list[str]
    past: Callable[[int], Feedback]
    """Feedback of a committed round, 0: history."""
    told: int
    """Last committed round when the assignment begins."""
    is_closed: Callable[[], bool] = lambda: False
    """Whether the run has let go of its folder, so that the past can be asked for no more."""
    note: Callable[[Mapping[str, Any]], None] = lambda _: None
    """Keeps what is to be told of the recommender's conduct when the run lets go of it."""


class HostedRecommender(Recommender, Protocol):
    """A recommender of an arm that may come late and go early."""

    async def arrived(self) -> None:
        """Returns when it is there."""
        ...

    async def dismiss(self, grace_s: float, come_back: bool) -> None:
        """Its run is over, or stops for now."""
        ...


class Door(Protocol):
    """Where recommenders come from."""

    def open(self, assignment: Assignment) -> HostedRecommender:
        """Wants a recommender for an arm from now on."""
        ...

    def close(self, recommender: HostedRecommender) -> None:
        """Wants it no more."""
        ...

    def round_span(self, run_id: str, round: int) -> AbstractContextManager[Span]:
        """Entered for as long as a round is played, so that what is asked of recommenders
        meanwhile can be told as its parts."""
        ...
