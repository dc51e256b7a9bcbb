"""Language models that decide for a competition's users: what the options say, and one cap on what
all runs together may cost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recarena.evaluation.competing.plan import BadPlan
from recarena.evaluation.playing.mirrored import Bout
from recarena.evaluation.playing.processes import find_program
from recarena.evaluation.runs.thinking import FILE

PROVIDERS = ("anthropic", "openai", "openai-compatible")


def mind_settings(mind: str, **options: Any) -> dict[str, Any]:
    """Values of `[llm]` for the options that were given; empty for the choice mind. BadPlan for a
    mind that is none."""
    given = {name: value for name, value in options.items() if value not in (None, "", [])}
    if not mind or mind == "choice":
        return given
    provider, _, model = mind.partition(":")
    if provider not in PROVIDERS or not model:
        raise BadPlan(
            f"--mind: {mind!r} is no mind. Write PROVIDER:MODEL with one of the providers "
            f"{', '.join(PROVIDERS)}, or choice"
        )
    return {"provider": provider, "model": model, **given}


def server_options(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Options of `recarena serve` that let runs have these minds."""
    llm = settings.get("llm") or {}
    if not llm.get("provider"):
        return ()
    urls = {str((settings.get(name) or {}).get("base_url") or "") for name in ("llm", "memory")}
    return ("--llm", *(word for url in sorted(urls - {""}) for word in ("--llm-url", url)))


def spent(run: Path) -> float:
    """What the calls of a run have cost so far: those of which it is not known, in the worst case;
    0 for a run without LLM minds."""
    file = run / FILE
    if not file.is_file():
        return 0.0
    try:
        with sqlite3.connect(f"file:{file.absolute()}?mode=ro", uri=True) as database:
            (sum_,) = database.execute(
                "SELECT COALESCE(SUM(COALESCE(cost, worst, 0)), 0) FROM calls WHERE paid = 1"
            ).fetchone()
        database.close()
    except sqlite3.Error:
        return 0.0
    return float(sum_)


async def change_cap(run: Path, cap: float) -> None:
    """Changes the cap on the cost of a run that nobody plays just now. BadPlan where it cannot be
    changed."""
    process = await asyncio.create_subprocess_exec(
        find_program("recarena"), "resume", str(run), "--max-cost", repr(cap), "--only-change",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    if process.returncode:
        raise BadPlan(f"the cap of {run} cannot be changed: {said.decode('utf-8', 'replace')}")


@dataclass(slots=True)
class Purse:
    """A cap on what all runs of a competition cost together.

    Each run begins with an equal share of what is left, as its own cap, which no call of it may
    break; what a run does not use is shared among those after it. So the sum cannot go over the
    cap, whatever is under way when it is reached.
    """

    cap: float | None
    """None: no cap."""
    to_begin: int
    """Runs that are still to begin."""
    cost_of: Callable[[str], float]
    """What a run, by name, has cost so far."""
    _live: dict[str, float] = field(default_factory=dict[str, float])
    """Caps of runs under way."""
    _over: float = 0.0
    """What those that have ended cost."""

    def count(self, cost: float) -> None:
        """Something that was spent before."""
        self._over += cost

    def hold(self, run_id: str, cap: float) -> None:
        """A run that was begun before, with its cap."""
        self._live[run_id] = cap

    def left(self, cap: float) -> float:
        """What no run has spent, or may spend."""
        return max(cap - self._over - sum(self._live.values()), 0.0)

    def begin(self, bout: Bout, private: Mapping[str, Any]) -> Bout:
        """The bout with its share as its cap, and further values of `[llm]` for this playing; a run
        that was begun before keeps the cap it has."""
        if bout.run_id in self._live:
            return bout
        llm = {**dict(bout.settings.get("llm") or {}), **private}
        if self.cap is not None:
            share = self.left(self.cap) / max(self.to_begin, 1)
            self._live[bout.run_id] = llm["max_cost"] = share
        self.to_begin -= 1
        return replace(bout, settings={**bout.settings, "llm": llm}) if llm else bout

    def end(self, run_id: str) -> None:
        """A run goes no further: what it did not spend is free again."""
        if self._live.pop(run_id, None) is not None:
            self._over += self.cost_of(run_id)
