"""How far a competition has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from recarena.evaluation.competing.plan import Plan
from recarena.evaluation.playing.mirrored import Bout, Played


@dataclass(slots=True)
class Standing:
    """What has been played, and how fast. It is told of what happens and changes nothing."""

    plan: Plan
    cost_of: Callable[[str], float] | None = None
    """What a run has cost so far, where users have LLM minds."""
    cap: float | None = None
    clock: Callable[[], float] = time.monotonic
    ended: set[str] = field(default_factory=set[str])
    """Runs that go no further, by name."""
    failed: set[str] = field(default_factory=set[str])
    waiting_for: set[str] = field(default_factory=set[str])
    """Remote recommenders that a run waits for."""
    _rounds: dict[str, int] = field(default_factory=dict[str, int])
    _before: int = 0
    """Rounds that were played before this began."""
    _began: float | None = None

    def already(self, run_ids: Iterable[str]) -> None:
        """Runs that had ended before."""
        for name in run_ids:
            self.ended.add(name)
            self._rounds[name] = self.plan.rounds
            self._before += self.plan.rounds

    def round(self, bout: Bout, round: int) -> None:
        """One more round of a run is committed, or is heard of again."""
        if self._began is None:
            self._began = self.clock()
        self._rounds[bout.run_id] = max(round, self._rounds.get(bout.run_id, 0))

    def end(self, played: Played) -> None:
        """A run goes no further."""
        self.ended.add(played.bout.run_id)
        if played.error:
            self.failed.add(played.bout.run_id)
            # What it will not play is not waited for.
            self._rounds[played.bout.run_id] = self.plan.rounds
            self._before += self.plan.rounds - played.rounds

    @property
    def runs(self) -> int:
        """Of the plan."""
        return len(self.plan.bouts())

    @property
    def worlds_done(self) -> int:
        """Worlds all of whose runs have ended."""
        return sum(
            all(bout.run_id in self.ended for bout in self.plan.bouts_in(world))
            for world in self.plan.worlds
        )

    @property
    def rounds_done(self) -> int:
        """Over all runs."""
        return sum(self._rounds.values())

    @property
    def rounds_in_all(self) -> int:
        """Over all runs of the plan."""
        return self.runs * self.plan.rounds

    @property
    def rounds_per_second(self) -> float | None:
        """Since the first round; None before it."""
        if self._began is None or self.clock() <= self._began:
            return None
        return (self.rounds_done - self._before) / (self.clock() - self._began)

    @property
    def seconds_left(self) -> float | None:
        """At the speed so far; None while it is not known."""
        speed = self.rounds_per_second
        return (self.rounds_in_all - self.rounds_done) / speed if speed else None

    @property
    def cost(self) -> float | None:
        """What LLM minds have cost so far; None without."""
        if self.cost_of is None:
            return None
        return sum(self.cost_of(bout.run_id) for bout in self.plan.bouts())

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        speed, left = self.rounds_per_second, self.seconds_left
        told: dict[str, Any] = {
            "worlds_done": self.worlds_done,
            "worlds": len(self.plan.worlds),
            "runs_done": len(self.ended),
            "runs": self.runs,
            "rounds_done": self.rounds_done,
            "rounds": self.rounds_in_all,
            "rounds_per_s": None if speed is None else round(speed, 2),
            "seconds_left": None if left is None else round(left, 1),
        }
        if self.cost_of is not None:
            told |= {"cost": self.cost, "max_cost": self.cap}
        return told
