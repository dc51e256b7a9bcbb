"""Whether a competition may end before all its worlds are played."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from recarena.evaluation.competing.folder import CompetitionFolder
from recarena.evaluation.competing.plan import Plan
from recarena.evaluation.playing.mirrored import run_name
from recarena.evaluation.runs.last_round import last_round

if TYPE_CHECKING:
    from recarena.evaluation.statistics.stopping import StoppingRule


def rule_of(plan: Plan) -> StoppingRule:
    """Looks after every world, with alpha shared among all pairs."""
    from recarena.evaluation.leaderboard.board import CONFIDENCE
    from recarena.evaluation.statistics.stopping import StoppingRule

    pairs = math.comb(len(plan.names), 2)
    return StoppingRule(len(plan.worlds), confidence=CONFIDENCE, comparisons=max(1, pairs))


@dataclass(slots=True)
class Stopper:
    """Looks at the worlds in their order, and only at those before which none is missing: which
    worlds are looked at must not depend on what came out in them."""

    folder: CompetitionFolder
    _values: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """By recommender: the primary metric in worlds 0, 1, ..."""
    _seen: int = 0

    def look(self) -> str:
        """Why the competition may end now; empty where it goes on.

        It may where every pair of recommenders is separated, or closer than the smallest effect
        that matters, by a confidence sequence that holds at every look (alpha shared among the
        pairs). Recommenders with a failed run are not waited for.
        """
        from recarena.evaluation.statistics.stopping import decide

        plan = self.folder.plan
        self._read(plan)
        names = [name for name in plan.names if len(self._values.get(name, ())) == self._seen]
        pairs = list(combinations(names, 2))
        if not pairs or not self._seen:
            return ""
        rule = rule_of(plan)
        for a, b in pairs:
            apart = [x - y for x, y in zip(self._values[a], self._values[b], strict=True)]
            if not decide(apart, rule, plan.minimum_effect).may_stop:
                return ""
        closer = "" if plan.minimum_effect is None else f" or closer than {plan.minimum_effect:g}"
        return f"after {self._seen} worlds every pair is separated{closer} in {plan.primary}"

    def _read(self, plan: Plan) -> None:
        """Takes in the next worlds, as long as none is missing."""
        for world in plan.worlds[self._seen :]:
            values = _of_world(self.folder, plan.names, world.number, plan.primary)
            if values is None:
                return
            for name, value in values.items():
                self._values.setdefault(name, []).append(value)
            self._seen += 1


def _of_world(
    folder: CompetitionFolder, names: Sequence[str], world: int, primary: str
) -> dict[str, float] | None:
    """The primary metric of those who finished; None while somebody is still playing."""
    from recarena.evaluation.leaderboard.comparing import BY_NAME
    from recarena.evaluation.runs.run_log import RunLog

    found: dict[str, float] = {}
    for name in names:
        path = folder.runs / run_name(world, name)
        stands = last_round(path)
        if stands is None or stands.state not in ("succeeded", "failed", "stopped"):
            return None
        if stands.state == "succeeded":
            value = BY_NAME[primary].measure(RunLog.open(path), name)
            if math.isfinite(value):
                found[name] = value
    return found
