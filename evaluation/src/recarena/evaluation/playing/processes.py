"""Programs that a command starts, watches and stops, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

T = TypeVar("T")

GRACE_S = 10.0
"""Time to end after SIGINT; then SIGKILL."""
EXPLAINS_S = 2.0
"""How much later than an error the end of a program may show that explains it."""
TAIL_LINES = 12
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TETHER = Path(__file__).with_name("tether.py")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPT = 128 + signal.SIGINT
"""Exit code of what Ctrl-C ended."""


class MissingProgram(Exception):
    """A program is not installed beside this one; the text has the remedy."""


class ProgramDied(Exception):
    """A program ended, or said nothing, when it was needed. The text ends with its last lines."""

    def __init__(self, program: Program, problem: str) -> None:
        said = program.last_lines()
        tail = "".join(f"\n  {line}" for line in said) or "\n  (it said nothing)"
        super().__init__(f"{program.name} {problem}; the last lines of {program.log}:{tail}")
        self.program = program


class Interrupted(Exception):
    """The user, or the system, asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = 128 + number


def computing_among(programs: int) -> dict[str, str]:
    """Environment of one of so many programs that compute at the same time: as many threads as it
    may have processors, at least one, unless this process's own says otherwise. With more they
    only wait for one another."""
    threads = max(1, (os.cpu_count() or 1) // programs)
    return {name: os.environ.get(name, str(threads)) for name in THREADS}


def find_program(name: str) -> str:
    """Path of a program installed with this interpreter, or on the PATH. MissingProgram."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if not found:
        raise MissingProgram(f"there is no program {name} in {beside.parent}. Run `make setup`")
    return found


class Program:
    """One started program in a process group of its own; what it says goes to its log file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        """Use `start`."""
        self.name, self.log = name, log
        self._process = process
        self._copying: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        arguments: list[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        keeps: Sequence[int] = (),
    ) -> Program:
        """Starts `arguments`, the first of which is a path. Its output is appended to `log` once
        `json_line` has been read, or from the beginning where it is not. `environment` goes over
        that of this process; `keeps` are file descriptors that it inherits. It ends with this
        process even if that is killed (on Linux)."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-IS", str(TETHER), *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
                start_new_session=True,
                pass_fds=keeps,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def json_line(self, timeout_s: float) -> dict[str, Any]:
        """The first line of its output as a JSON object. ProgramDied where none comes in time."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout_s)
        except TimeoutError:
            raise ProgramDied(self, f"was not ready after {timeout_s:g} s") from None
        self.copy_output(line)
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            await self._ends_within(EXPLAINS_S)
            raise ProgramDied(self, self._how_it_ended() or "did not say that it is ready")
        return value

    def copy_output(self, already_read: bytes = b"") -> None:
        """From now on its output goes to the log."""
        if self._copying is None:
            self._copying = asyncio.create_task(self._copy(already_read))

    async def _copy(self, already_read: bytes) -> None:
        assert self._process.stdout is not None
        with self.log.open("ab") as file:
            _write(file, already_read)
            while part := await self._process.stdout.read(65536):
                _write(file, part)

    async def died(self) -> ProgramDied:
        """Returns when it has ended, however it did."""
        await self._process.wait()
        return ProgramDied(self, self._how_it_ended())

    def _how_it_ended(self) -> str:
        code = self._process.returncode
        if code is None:
            return ""
        if code < 0:
            return f"was ended by signal {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def last_lines(self, count: int = TAIL_LINES) -> list[str]:
        """The end of the log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(self.log.stat().st_size - 65536, 0))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-count:]

    async def stop(self, hurry: asyncio.Event) -> None:
        """SIGINT, then SIGKILL after GRACE_S or at once when `hurry` is set; returns when neither
        it nor anything in its process group is left."""
        if self.running:
            self._signal(signal.SIGINT)
            hurried = asyncio.create_task(hurry.wait())
            ended = asyncio.create_task(self._process.wait())
            await asyncio.wait(
                {hurried, ended}, timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED
            )
            hurried.cancel()
            self._signal(signal.SIGKILL)
            await ended
        else:
            self._signal(signal.SIGKILL)
        if self._copying:
            await self._copying

    def _signal(self, number: signal.Signals) -> None:
        # Neither: the whole group has ended.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _ends_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)


class Programs:
    """All programs of one command: `async with Programs(logs) as programs`.

    Leaving the block stops them: the first one (the server) before the others, so that it does not
    take their end for a failure. Inside it SIGINT, SIGTERM and SIGHUP cancel the task that entered
    it, and the block then raises Interrupted; a second signal kills what is still ending.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._all: list[Program] = []
        self._hurry = asyncio.Event()
        self._signal = 0
        self._stopping = False
        self._task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        return self

    def _on_signal(self, number: int) -> None:
        if self._signal:
            self._hurry.set()
            return
        self._signal = number
        if self._task and not self._stopping:
            self._task.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        try:
            for some in (self._all[:1], self._all[1:]):
                await asyncio.gather(*(program.stop(self._hurry) for program in some))
        finally:
            loop = asyncio.get_running_loop()
            for number in SIGNALS:
                loop.remove_signal_handler(number)
        if self._signal and (error is None or isinstance(error, asyncio.CancelledError)):
            if self._task:
                self._task.uncancel()
            raise Interrupted(self._signal) from None

    async def start(
        self,
        name: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        keeps: Sequence[int] = (),
    ) -> Program:
        """Starts a program whose first line is to be read with `json_line`."""
        log = self._logs / f"{name}.log"
        program = await Program.start(name, list(arguments), log, environment, keeps)
        self._all.append(program)
        return program

    async def start_silent(
        self, name: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> Program:
        """Starts a program all of whose output goes to its log."""
        program = await self.start(name, *arguments, environment=environment)
        program.copy_output()
        return program

    async def while_alive(
        self, work: Coroutine[Any, Any, T], needed: Collection[Program] | None = None
    ) -> T:
        """The result of `work`. ProgramDied as soon as a program ends before it, also where work
        fails just before that shows; with `needed`, as soon as one of those does."""
        working = asyncio.create_task(work)
        watched = self._all if needed is None else needed
        deaths = {asyncio.create_task(program.died()) for program in watched}
        try:
            await asyncio.wait({working, *deaths}, return_when=asyncio.FIRST_COMPLETED)
            if working.done() and (working.cancelled() or working.exception()):
                await asyncio.wait(deaths, timeout=EXPLAINS_S, return_when=asyncio.FIRST_COMPLETED)
                dead = [one for one in deaths if one.done()]
                if dead:
                    raise dead[0].result() from None
            if not working.done():
                raise next(one for one in deaths if one.done()).result()
            return working.result()
        finally:
            for task in (working, *deaths):
                task.cancel()
            await asyncio.gather(working, *deaths, return_exceptions=True)


def _write(file: BinaryIO, part: bytes) -> None:
    file.write(part)
    file.flush()
