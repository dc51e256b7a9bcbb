"""Recommender programs that a run starts for itself."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from recarena.server.errors import InputError

BUILT_IN = "recarena-recommender"
STOP_GRACE_S = 5.0
TETHER = Path(__file__).with_name("tether.py")


def command_of(recommender: str) -> tuple[str, str]:
    """(recommender, command) of a `--recommender` option: NAME for a reference recommender, or
    NAME=COMMAND, in which {server} stands for the address."""
    name, equals, command = recommender.partition("=")
    if not equals:
        return name, f"{BUILT_IN} {name} --server {{server}}"
    if "{server}" not in command:
        raise InputError(
            f"the command {command!r} never says where the server is",
            where="--recommender",
            remedy="Write {server} where the address belongs",
        )
    return name, command


def words_of(command: str) -> list[str]:
    """The program of a command, with its path, and its arguments. A bare name is looked for beside
    this Python, then on the PATH. InputError where there is no such program."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"the command {command!r}: {error}", where="--recommender") from None
    name = words[0] if words else ""
    beside = Path(sys.executable).parent / name
    bare = name == Path(name).name != ""
    program = str(beside) if bare and beside.is_file() else shutil.which(name)
    if not program:
        raise InputError(f"no program {name!r} to start", where="--recommender")
    return [program, *words[1:]]


@dataclass(slots=True)
class Programs:
    """Programs started for one run; all are gone when `stop` returns, and with this process."""

    logs: Path
    _started: dict[str, asyncio.subprocess.Process] = field(
        default_factory=dict[str, asyncio.subprocess.Process]
    )

    async def start(self, name: str, command: str, server: str) -> None:
        """Starts a program, its output going to logs/NAME.log."""
        words = [word.replace("{server}", server) for word in words_of(command)]
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            self._started[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-IS", str(TETHER), *words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ended(self) -> str:
        """Waits until one of them ends; says which and what it said last. Never returns without."""
        if not self._started:
            await asyncio.Event().wait()
        waits = {asyncio.ensure_future(p.wait()): name for name, p in self._started.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        name = waits[next(iter(done))]
        log = self.logs / f"{name}.log"
        tail = log.read_text("utf-8", "replace").strip().splitlines()[-5:]
        said = "\n  ".join(tail) or "(nothing)"
        code = self._started[name].returncode
        return f"the recommender {name} ended with code {code}; its last words ({log}):\n  {said}"

    async def stop(self) -> None:
        """Asks all to stop, then makes them."""
        running = [p for p in self._started.values() if p.returncode is None]
        for process in running:
            process.send_signal(signal.SIGINT)
        if running:
            waits = [asyncio.ensure_future(process.wait()) for process in running]
            await asyncio.wait(waits, timeout=STOP_GRACE_S)
            for process in running:
                if process.returncode is None:
                    process.kill()
            await asyncio.gather(*waits)
