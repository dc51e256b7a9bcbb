"""`recarena demo --watch`: one run that goes slowly enough to be watched, and the page to watch it
on."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recarena.evaluation.demo.metronome import command
from recarena.evaluation.demo.output import Page
from recarena.evaluation.playing.contenders import Contender
from recarena.evaluation.playing.processes import INTERRUPT, Interrupted, ProgramDied, find_program
from recarena.evaluation.playing.stage import READY_TIMEOUT_S, Stage, staged
from recarena.v1.run_pb2 import Arm, Run
from recarena.v1.simulation_control_service_pb2 import CreateRunRequest, StartRunRequest
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub
from recarena.v1.types_pb2 import EXPLANATION_MODE_STRUCTURED, EXPLANATION_MODE_UNSPECIFIED

if TYPE_CHECKING:
    from recarena.evaluation.demo.output import Output, Plan

RUN = "demo"
AT_ONCE = 4
"""The run, and forks of it that are made on the page."""
EXPLAINS = "content"
"""Of the demo's recommenders the one whose lists come with reasons."""


@dataclass(frozen=True, slots=True)
class Watching:
    """How a demo is watched."""

    pace_s: float
    """Least time from the beginning of a round to that of the next; 0: as fast as it goes."""
    opened: bool
    """Whether the page is opened in the browser of this machine, where it has a screen."""


async def watch(plan: Plan, watching: Watching, output: Output) -> None:
    """Plays until it is told to stop; Interrupted then, and everything it started has ended."""
    taking_part, paced = in_beat(plan.recommenders, watching.pace_s)
    async with staged(plan.folder, taking_part, AT_ONCE, output.starting(plan)) as stage:
        run = await _begun(stage, plan)
        url = await _page(stage)
        folder = Path(run.folder) if run.folder else plan.folder / RUN
        output.watching(Page(url, RUN, folder, stage.address, paced))
        if watching.opened and has_screen():
            await asyncio.to_thread(_open, url)
        await stage.programs.while_alive(asyncio.Event().wait())


def watched(plan: Plan, watching: Watching, output: Output) -> int:
    """The command: Ctrl-C is how it ends, and no failure once there is a run. Interrupted else."""
    folder = plan.folder / RUN
    try:
        asyncio.run(watch(plan, watching, output))
    except Interrupted as stop:
        if stop.exit_code != INTERRUPT or not folder.exists():
            raise
        output.watched(folder)
    return 0


def in_beat(contenders: Sequence[Contender], pace_s: float) -> tuple[list[Contender], bool]:
    """The contenders, the first reference recommender of which keeps the beat, and whether there
    is one."""
    for at, one in enumerate(contenders):
        if pace_s > 0 and one.is_reference:
            beating = replace(one, command=command(pace_s, one.name))
            return [*contenders[:at], beating, *contenders[at + 1 :]], True
    return list(contenders), pace_s <= 0


def has_screen() -> bool:
    """Whether a browser that is opened here would be seen."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


async def _begun(stage: Stage, plan: Plan) -> Run:
    control = SimulationControlServiceStub(stage.channel)
    arms = [
        Arm(
            arm_id=name,
            recommender_id=name,
            explanation_mode=EXPLANATION_MODE_STRUCTURED
            if name == EXPLAINS
            else EXPLANATION_MODE_UNSPECIFIED,
        )
        for name in plan.names
    ]
    run = Run(run_id=RUN, seed=plan.seed, round_limit=plan.rounds, arms=arms,
              world=f"new:users={plan.users},seed={plan.seed}")  # fmt: skip
    created = await control.CreateRun(CreateRunRequest(run=run, request_id=uuid.uuid4().hex))
    await control.StartRun(StartRunRequest(run_id=RUN, request_id=uuid.uuid4().hex))
    return created.run


async def _page(stage: Stage) -> str:
    """Starts the observatory; the address of the run's page."""
    observatory = await stage.programs.start(
        "observatory", find_program("recarena"), "observatory",
        "--server", stage.address, "--json",
    )  # fmt: skip
    ready = await observatory.json_line(READY_TIMEOUT_S)
    if ready.get("event") != "serving" or not ready.get("url"):
        raise ProgramDied(observatory, f"said {ready} instead of where it serves")
    origin, _, query = str(ready["url"]).partition("/?")
    return f"{origin}/run/{RUN}?{query}"


def _open(url: str) -> None:
    import webbrowser

    webbrowser.open(url)
