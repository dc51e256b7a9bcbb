"""A shadow on stage: the server that it dials in at, its programs, progress, and the end of it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recarena.server.cli.output import console, emit, say
from recarena.server.cli.programs import Programs
from recarena.server.cli.shadow_lists import ListWriter, Target
from recarena.server.cli.shadow_report import result, table
from recarena.server.cli.signals import stop_asked
from recarena.server.errors import NotFound
from recarena.server.rpc.server import Server
from recarena.server.runs import DRAIN_GRACE_S
from recarena.server.shadowing import Plan, Shadow

HURRIED_GRACE_S = 0.5
"""For a shadow that is broken off: nobody waits for what it has under way."""


@dataclass(frozen=True, slots=True)
class Staging:
    """How a shadow is brought to the server, and where the comparison goes."""

    command: str | None
    """Program to start for each arm; None: it dials in by itself."""
    listen: str
    patience_s: float
    """How long its sessions are waited for."""
    target: Target | None
    as_json: bool


@dataclass(slots=True)
class _Stage:
    shadow: Shadow
    staging: Staging
    writer: ListWriter | None
    address: str
    """Where the shadow dials in."""
    logs: Path
    """What its programs say."""
    rounds: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The events of single rounds."""

    async def play(self) -> None:
        """Waits for the shadow and compares to the end. NotFound where it does not come."""
        try:
            await self.shadow.arrived(self.staging.patience_s)
        except NotFound as error:
            raise NotFound(f"{error}. {self._remedy()}") from None
        wanted = self.shadow.plan.rounds
        async for parts in self.shadow.play():
            round = self.shadow.plan.first + self.shadow.compared - 1
            told = {"event": "round", "round": round, "arms": [part.as_json() for part in parts]}
            self.rounds.append(told)
            if self.writer:
                self.writer.write(parts)
            if self.staging.as_json:
                emit(told)
            elif wanted > 1:
                say(f"Round {round}: {self.shadow.compared} of {wanted} compared")

    def _remedy(self) -> str:
        """What to do where the sessions did not come."""
        plan = self.shadow.plan
        if self.staging.command:
            return f"It must register as {plan.recommender!r}; what it said is in {self.logs}"
        each = f" once for each of {len(plan.arms)} arms (or name one with --arm)"
        return (
            f"Let it dial in as {plan.recommender!r} at {self.address}"
            f"{each if len(plan.arms) > 1 else ''}, or wait longer with --wait"
        )


def stage(plan: Plan, staging: Staging) -> int:
    """Compares until the end, an interrupt or a problem; the exit code."""
    scratch, code = Path(tempfile.mkdtemp(prefix="recarena-shadow-")), 1
    try:
        code = asyncio.run(_stage(plan, staging, scratch))
        return code
    finally:
        # What programs said is kept where something went wrong.
        if code in (0, 130) or not (scratch / "logs").exists():
            shutil.rmtree(scratch)


async def _stage(plan: Plan, staging: Staging, scratch: Path) -> int:
    stopped = stop_asked()
    # The server has a house of its own, without runs: who dials in can start or change none.
    async with Server(scratch, staging.listen) as server:
        shadow = Shadow(plan, server.door)
        programs = Programs(scratch / "logs")
        data = shadow.world.data
        on = _Stage(
            shadow, staging,
            ListWriter(
                staging.target, data.population.user_ids, data.catalog.item_ids,
                shadow.words.texts,
            ) if staging.target else None,
            server.address, programs.logs,
        )  # fmt: skip
        problem = ""
        try:
            for arm in plan.arms if staging.command else ():
                name = f"{plan.recommender}-{plan.folder.arms[arm]}"
                await programs.start(name, staging.command or "", server.address)
            _announce(shadow, staging, server.address)
            problem = await _first_of(on.play(), programs, stopped)
        finally:
            if on.writer:
                on.writer.close(result(shadow))
            done = shadow.compared == plan.rounds
            await shadow.close(DRAIN_GRACE_S if done else HURRIED_GRACE_S)
            await programs.stop()
        return _report(on, problem, stopped.is_set())


async def _first_of(
    playing: Coroutine[Any, Any, None], programs: Programs, stopped: asyncio.Event
) -> str:
    """Compares until the end, or until a program dies or an interrupt; what went wrong, or ""."""
    played = asyncio.ensure_future(playing)
    died = asyncio.ensure_future(programs.ended())
    asked = asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait({played, died, asked}, return_when=asyncio.FIRST_COMPLETED)
        if played.done():
            await played
        elif died.done():
            return died.result()
        return ""
    finally:
        for task in (played, died, asked):
            task.cancel()
        await asyncio.wait({played})


def _announce(shadow: Shadow, staging: Staging, address: str) -> None:
    plan = shadow.plan
    arms = [plan.folder.arms[arm] for arm in plan.arms]
    waiting = [] if staging.command else [plan.recommender] * len(arms)
    if staging.as_json:
        emit({"event": "serving", "address": address, "run": str(plan.folder.path),
              "arms": arms, "waiting_for": waiting})  # fmt: skip
        return
    say(
        f"{plan.recommender} in the shadow of {plan.folder.run_id}: rounds {plan.first} to "
        f"{plan.last}, arms {', '.join(arms)}, on {address}"
    )
    if waiting:
        each = f" with {len(arms)} sessions, one for each arm" if len(arms) > 1 else ""
        say(f"Waiting for {plan.recommender} to dial in at {address}{each}")


def _report(on: _Stage, problem: str, interrupted: bool) -> int:
    """The end of it for people and machines; the exit code."""
    shadow, staging = on.shadow, on.staging
    found = result(shadow)
    mute = [one.arm for one in shadow.comparisons
            if one.sums and one.sums.asked and not one.sums.answered]  # fmt: skip
    if mute and not problem:
        problem = f"the shadow answered none of the lists of {', '.join(mute)}"
        if staging.command:
            problem += f"; what it said is in {on.logs}"
    if staging.as_json:
        emit({"event": "end", **found, "error": problem})
    else:
        if shadow.compared:
            console().print(table(found, on.rounds))
        if problem:
            say(f"recarena: {problem}")
        if found["partial"]:
            why = "Stopped" if interrupted else "Ended early"
            say(f"{why}: {shadow.compared} of {shadow.plan.rounds} rounds were compared")
        if on.writer and on.writer.rows:
            say(f"{on.writer.rows:,} lists in {on.writer.target.lists}")
    if problem:
        return 1
    return 130 if interrupted and found["partial"] else 0
