"""Plays cases side by side, each with a program of its own, and says what became of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recarena.conformance.case import Case, Outcome, Scene, Verdict
from recarena.conformance.findings import Unmet
from recarena.conformance.suites import Suite, Trial

Told = Callable[[Outcome], None]


async def play(
    suite: Suite, picked: Sequence[Case], *, jobs: int, logs: Path, told: Told
) -> list[Outcome]:
    """The outcomes of the cases in their order; `told` is called with each as it is known.

    Raises:
        NotPlayable: the command does not get as far as dialling in.
    """
    trial = await suite.trial(logs / "trial.log")
    found: dict[str, Outcome] = {}

    def note(*outcomes: Outcome) -> None:
        for outcome in outcomes:
            found[outcome.case.name] = outcome
            told(outcome)

    if trial.failure is not None:
        first, *others = picked
        note(_failed(first, trial.failure, 0.0, trial.last_lines, str(logs / "trial.log")))
        note(*(Outcome(one, Verdict.NOT_PLAYED, "it does not register") for one in others))
        return [found[case.name] for case in picked]
    groups: dict[Scene, list[Case]] = {}
    for case in picked:
        missing = [] if trial.offered is None else sorted(set(case.needs) - trial.offered)
        if missing:
            words = " and ".join(missing).replace("RICH", "the rich encoding")
            note(Outcome(case, Verdict.NOT_OFFERED, f"{words} is not in force"))
        else:
            groups.setdefault(case.scene, []).append(case)
    turns = asyncio.Semaphore(jobs)

    async def in_turn(cases: list[Case]) -> None:
        async with turns:
            note(*await _perform(suite, trial, cases, logs))

    async with asyncio.TaskGroup() as group:
        for cases in groups.values():
            group.create_task(in_turn(cases))
    return [found[case.name] for case in picked]


async def _perform(suite: Suite, trial: Trial, cases: list[Case], logs: Path) -> list[Outcome]:
    """Plays the scene that the cases share, and judges each by it."""
    first, began = cases[0], time.monotonic()
    if first.scene is trial.scene:
        return [_judged(case, trial.seen, 0.0, str(logs / "trial.log")) for case in cases]
    log = logs / f"{first.name}.log"
    async with suite.stage(first, log) as (given, program):
        try:
            seen = await first.scene(given)
        except Exception as error:  # noqa: BLE001 (what the program does may break any step)
            took, lines = time.monotonic() - began, tuple(program.last_lines())
            why = f"{first.name} did not get that far"
            others = [Outcome(case, Verdict.NOT_PLAYED, why) for case in cases[1:]]
            return [_failed(first, in_words(error), took, lines, str(log)), *others]
        lines = tuple(program.last_lines())
    took = time.monotonic() - began
    return [_judged(case, seen, took, str(log), lines) for case in cases]


def _judged(
    case: Case, seen: Any, seconds: float, log: str, lines: tuple[str, ...] = ()
) -> Outcome:
    if case.judge is not None:
        try:
            case.judge(seen)
        except Unmet as unmet:
            return _failed(case, unmet, seconds, lines, log)
    return Outcome(case, Verdict.PASSED, seconds=seconds, log=log)


def _failed(
    case: Case, unmet: Unmet, seconds: float, lines: tuple[str, ...], log: str
) -> Outcome:  # fmt: skip
    here = f"; here: {unmet.required}" if unmet.required else ""
    required = f"{case.required}{here}"
    fix = unmet.fix or case.fix
    return Outcome(case, Verdict.FAILED, unmet.seen, required, fix, seconds, lines, log)


def in_words(error: Exception) -> Unmet:
    """What went wrong in a scene, where it was nothing that the scene looks for."""
    if isinstance(error, Unmet):
        return error
    if isinstance(error, TimeoutError):
        return Unmet("nothing came in time")
    return Unmet(f"{type(error).__name__}: {error}")
