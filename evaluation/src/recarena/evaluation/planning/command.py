"""`recarena power`: how many worlds a competition needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recarena.evaluation.planning.pilot import Pair

FAILED, USAGE = 1, 2


def command(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Run folders of a pilot, or folders with run folders in them: the standard "
            "deviation is measured there.",
        ),
    ] = None,
    sd: Annotated[
        float | None,
        typer.Option(
            min=0, help="Standard deviation over worlds of the difference of two recommenders."
        ),
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="The smallest difference that matters, as 0.01.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="The metric that is measured in runs.")
    ] = "watch_rate",
    worlds: Annotated[
        int | None, typer.Option(min=2, help="Tell what so many worlds can show, too.")
    ] = None,
    target: Annotated[
        float, typer.Option("--power", help="Chance to find the effect that is wanted, 0 to 1.")
    ] = 0.8,
    comparisons: Annotated[
        int, typer.Option(min=1, help="Pairs that are claimed together: 5 % is shared among them.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Say how many worlds find an effect, and which effect so many worlds find.

    Two-sided paired t test at 5 %, the world being the unit. Runs of a pilot tell how far the
    differences vary from world to world; else say so with --sd.

    Example: recarena power runs/pilot --effect 0.01 --metric watch_rate
    """
    from recarena.evaluation.planning.output import JsonLines, Terminal
    from recarena.evaluation.planning.plan import Plan, curve

    output = JsonLines() if as_json else Terminal()

    def refuse(text: str, code: int = USAGE) -> typer.Exit:
        output.error(text)
        return typer.Exit(code)

    if (sd is None) == (not runs):
        raise refuse("Give either run folders to measure in, or a standard deviation with --sd")
    if sd is not None and not 0 <= sd < float("inf"):
        raise refuse(f"--sd {sd:g}: a standard deviation is a number of 0 or more")
    if effect is not None and not 0 < effect < float("inf"):
        raise refuse(f"--effect {effect:g}: an effect is a number above 0")
    if not 0 < target < 1:
        raise refuse(f"--power {target:g}: a power is between 0 and 1")
    pairs: list[Pair] = []
    upper = sd or 0.0
    if runs:
        from recarena.evaluation.runs.run_log import UnreadableRun

        try:
            pairs = _measured(runs, metric)
        except (UnreadableRun, ValueError) as error:
            raise refuse(str(error), FAILED) from None
        sd, upper = pairs[0].spread.sd, max(pair.spread.upper for pair in pairs)
    plan = Plan(sd or 0.0, upper, effect, target, comparisons, worlds)
    output.show(plan, curve(plan), pairs, metric)


def _measured(runs: list[Path], metric: str) -> list[Pair]:
    """ValueError, as a sentence, where nothing can be measured."""
    from recarena.evaluation.metrics.measures import METRICS
    from recarena.evaluation.planning.pilot import pairs_of
    from recarena.evaluation.runs.run_log import RunLog, find_runs

    by_name = {one.name: one for one in METRICS}
    if metric not in by_name:
        raise ValueError(f"--metric: there is no {metric!r}; there are {', '.join(by_name)}")
    folders = {run.resolve(): run for path in runs for run in find_runs(path)}
    pairs = pairs_of((RunLog.open(folder) for folder in folders.values()), by_name[metric])
    if not pairs:
        raise ValueError(
            f"{', '.join(map(str, runs))}: no two recommenders have {metric} in two worlds or more "
            "in common. Play a pilot of at least two worlds"
        )
    return pairs
