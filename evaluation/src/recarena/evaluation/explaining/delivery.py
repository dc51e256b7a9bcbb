"""What explanations did inside the run, where some were withheld by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recarena.evaluation.judging.estimates import number
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.clustered import difference_of_ratios
from recarena.evaluation.statistics.worlds import Interval
from recarena.evaluation.stimuli.exposures import Exposures


@dataclass(frozen=True, slots=True)
class Delivered:
    """Share of explained exposures from which the item was watched, shown less withheld."""

    recommender: str
    shown: int
    withheld: int
    rate_shown: float
    """NaN: none was."""
    rate_withheld: float
    effect: Interval
    """Shown less withheld; its units are users of a run. NaN where not both came about."""

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "recommender": self.recommender, "shown": self.shown, "withheld": self.withheld,
            "rate_shown": number(self.rate_shown), "rate_withheld": number(self.rate_withheld),
            "effect": number(self.effect.mean), "low": number(self.effect.low),
            "high": number(self.effect.high), "users": self.effect.worlds,
            "reason": self.effect.reason,
        }  # fmt: skip


def delivered(runs: Sequence[RunLog]) -> list[Delivered]:
    """By recommender, by name; without those of which no explanation was withheld. Users are the
    units: those of one world influence one another, which the interval does not know."""
    columns: dict[str, list[tuple[bool, bool, str]]] = {}
    for log in runs:
        exposures = Exposures.of(log)
        arm = log.arm_of_user[exposures.user]
        for row in np.flatnonzero(arm >= 0).tolist():
            user = f"{log.run_id}/{log.user_ids[int(exposures.user[row])]}"
            columns.setdefault(log.arms[int(arm[row])].recommender, []).append(
                (bool(exposures.shown[row]), bool(exposures.watched[row]), user)
            )
    found = [_of(name, rows) for name, rows in sorted(columns.items())]
    return [one for one in found if one.withheld]


def _of(name: str, rows: Sequence[tuple[bool, bool, str]]) -> Delivered:
    shown = np.array([one for one, _, _ in rows], np.float64)
    watched = np.array([one for _, one, _ in rows], np.float64)
    withheld = 1 - shown
    found = difference_of_ratios(
        (watched * shown, shown), (watched * withheld, withheld), [user for _, _, user in rows]
    )
    effect = Interval(
        found.value, found.low, found.high, found.clusters, found.confidence, found.reason
    )
    return Delivered(
        name, int(shown.sum()), int(withheld.sum()), _rate(watched, shown),
        _rate(watched, withheld), effect,
    )  # fmt: skip


def _rate(watched: np.ndarray, among: np.ndarray) -> float:
    count = float(among.sum())
    return float((watched * among).sum()) / count if count else float("nan")
