"""How `recarena power` speaks: tables for people, or one JSON object a line."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence

from recarena.evaluation.planning.pilot import Pair
from recarena.evaluation.planning.plan import Plan, Step

MOST_PAIRS = 10
"""Pairs in a table; JSON has them all."""


class Terminal:
    """For people: results on stdout, errors on stderr."""

    def show(self, plan: Plan, steps: Sequence[Step], pairs: Sequence[Pair], metric: str) -> None:
        """The pairs of a pilot, what the effect needs, and the curve."""
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(highlight=False)
        console.width = min(console.width, 100) if console.is_terminal else 100

        def table(*headings: str) -> Table:
            made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
            for heading in headings:
                made.add_column(heading, justify="left" if heading == "pair" else "right")
            return made

        if pairs:
            headings = ["pair", "worlds", "difference", "sd", "sd at most"]
            measured = table(*headings, *(["worlds needed"] if plan.effect else []))
            for pair in pairs[:MOST_PAIRS]:
                spread = pair.spread
                cells = [str(spread.worlds), f"{pair.difference:+.4g}", f"{spread.sd:.3g}",
                         f"{spread.upper:.3g}"]  # fmt: skip
                if plan.effect:
                    few, many = plan.worlds(spread.sd), plan.worlds(spread.upper)
                    cells.append(f"{_count(few)}–{_count(many)}")
                measured.add_row(Text(f"{pair.a} – {pair.b}"), *cells)
            console.print(Text(f"{metric} in the pilot: differences from world to world", "bold"))
            console.print(measured)
            if len(pairs) > MOST_PAIRS:
                console.print(
                    Text(f"and {len(pairs) - MOST_PAIRS} more pairs; --json has all", "dim")
                )
        for line in sentences(plan, pairs):
            console.print(Text(line))
        headings = ["worlds", "smallest effect"]
        if plan.effect:
            headings[1:1] = ["power", "at least"] if pairs else ["power"]
        found = table(*headings)
        for step in steps:
            powers = [step.power, step.power_at_upper][: len(headings) - 2]
            cells = [
                str(step.worlds),
                *(f"{100 * one:.1f} %" for one in powers),
                f"{step.detectable:.3g}",
            ]
            found.add_row(*cells)
        console.print(found)
        for line in footnotes(plan, pairs):
            console.print(Text(line, "dim"))

    def error(self, text: str) -> None:
        """One red line."""
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True, highlight=False).print(Text(text, "red"), soft_wrap=True)


class JsonLines:
    """For programs: every line on stdout is a JSON object with the key `event`."""

    def show(self, plan: Plan, steps: Sequence[Step], pairs: Sequence[Pair], metric: str) -> None:
        """`pair` lines, the widest first; a `plan` line; `power` lines by number of worlds."""
        for pair in pairs:
            self._say(
                "pair", metric=metric, a=pair.a, b=pair.b, worlds=pair.spread.worlds,
                difference=pair.difference, sd=pair.spread.sd, sd_upper=pair.spread.upper,
                worlds_needed=plan.worlds(pair.spread.sd),
                worlds_needed_at_upper=plan.worlds(pair.spread.upper),
            )  # fmt: skip
        self._say(
            "plan", metric=metric if pairs else None, sd=plan.sd, sd_upper=plan.upper,
            effect=plan.effect, power=plan.target, alpha=plan.alpha, comparisons=plan.comparisons,
            worlds_needed=plan.worlds(plan.sd), worlds_needed_at_upper=plan.worlds(plan.upper),
            approximately=plan.approximately,
        )  # fmt: skip
        for step in steps:
            self._say(
                "power", worlds=step.worlds, power=_json(step.power),
                power_at_upper=_json(step.power_at_upper),
                minimum_detectable_effect=_json(step.detectable),
            )  # fmt: skip

    def error(self, text: str) -> None:
        """An `error` line."""
        self._say("error", message=text)

    def _say(self, event: str, **values: object) -> None:
        sys.stdout.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")


def sentences(plan: Plan, pairs: Sequence[Pair]) -> list[str]:
    """What the effect needs; nothing where none is stated."""
    if not plan.effect:
        return []
    level = f"{100 * plan.alpha:.3g} %"
    if plan.comparisons > 1:
        level += f" (5 % among {plan.comparisons} comparisons)"
    lines = [
        f"To find a difference of {plan.effect:g} with {100 * plan.target:.3g} % power at {level}: "
        f"{_worlds(plan.worlds(plan.sd))} where the standard deviation is {plan.sd:.3g}"
        + (f", {_worlds(plan.worlds(plan.upper))} where it is {plan.upper:.3g}." if pairs else ".")
    ]
    if plan.comparisons == 1 and len(pairs) > 1:
        every = Plan(plan.sd, plan.upper, plan.effect, plan.target, len(pairs))
        lines.append(
            f"To find it in each of the {len(pairs)} pairs at 5 % over all: "
            f"{_worlds(every.worlds(every.sd))} (--comparisons {len(pairs)})."
        )
    return lines


def footnotes(plan: Plan, pairs: Sequence[Pair]) -> list[str]:
    """Where the numbers come from."""
    lines = ["Two-sided paired t test over worlds, exact by the noncentral t distribution."]
    if plan.approximately is not None:
        lines.append(f"Rule of thumb, to check: {plan.approximately:.1f} worlds.")
    if pairs:
        lines.append(
            "Reckoned with the widest pair. “At most”: upper 80 % limit, since a pilot of few "
            "worlds tells the spread roughly; “at least”: the power with that."
        )
    lines.append(f"Smallest effect: what is found with {100 * plan.target:.3g} % power.")
    return lines


def _worlds(count: int | None) -> str:
    return f"{_count(count)} worlds"


def _count(count: int | None) -> str:
    return "over a million" if count is None else f"{count:,}"


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None
