"""How many worlds the effect that matters needs, said before anything is played."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

from recarena.evaluation.competing.plan import Plan


def advice(plan: Plan, pilot: Path | None) -> str:
    """A sentence for people; empty where no effect was stated and nothing can be said.

    With a pilot (run folders, or a competition's) whose spread between worlds is known: the worlds
    that the pair with the largest spread needs at 80 % power, reckoned with the upper 80 % limit
    of its standard deviation, and with alpha shared among all pairs (Holm's first step), as places
    are. UnreadableRun where the pilot cannot be read.
    """
    effect, worlds = plan.minimum_effect, len(plan.worlds)
    if effect is None:
        return (
            "No smallest difference that matters is stated: say --minimum-effect, so that too few "
            "worlds show before they are played."
        )
    if pilot is None:
        return (
            f"Whether {worlds} worlds can show a difference of {effect:g} depends on how much it "
            f"varies between them: recarena power says so from a pilot, or --pilot RUNS here."
        )
    spread, pair = _largest_spread(pilot, plan.primary)
    if not math.isfinite(spread):
        return f"The pilot {pilot} has no two recommenders with two worlds in common."
    from recarena.evaluation.statistics.power import ALPHA, worlds_needed

    pairs = math.comb(len(plan.names), 2)
    needed = worlds_needed(effect, spread, alpha=ALPHA / max(pairs, 1))
    if needed is None:
        return f"A difference of {effect:g} is too small to be shown, by the pilot {pilot}."
    enough = "are enough" if worlds >= needed else "are too few"
    among = f" among {pairs} pairs" if pairs > 1 else ""
    return (
        f"By the pilot {pilot} (sd of {pair} up to {spread:.2g}) a difference of {effect:g} "
        f"needs {needed} worlds for 80 % power{among}; {worlds} {enough}."
    )


def _largest_spread(pilot: Path, primary: str) -> tuple[float, str]:
    """Upper limit of the largest standard deviation of paired differences, and whose it is."""
    from recarena.evaluation.leaderboard.board import build
    from recarena.evaluation.runs.run_log import RunLog, find_runs
    from recarena.evaluation.statistics.power import spread_of

    folders = find_runs(pilot)
    board = build((RunLog.open(folder) for folder in folders), primary)
    largest, whose = -math.inf, ""
    for a, b in combinations(board.rows, 2):
        of_a, of_b = a.by_world, b.by_world
        common = sorted(set(of_a) & set(of_b))
        spread = spread_of([of_a[world] - of_b[world] for world in common])
        if math.isfinite(spread.upper) and spread.upper > largest:
            largest, whose = spread.upper, f"{a.recommender} and {b.recommender}"
    return largest, whose
