"""Programs that a command starts: watched while they are needed, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from recarena.evaluation.playing.processes import (
    GRACE_S,
    Interrupted,
    MissingProgram,
    ProgramDied,
    Programs,
    computing_among,
    find_program,
)

READY = 'print(\'{"event": "serving", "address": "here"}\'); '
FOREVER = "import time; time.sleep(600)"
ANYTHING = 30.0


def holding(fifo: Path) -> str:
    """A program that keeps the writing end of a pipe open as long as it lives."""
    return f"import time; end = open({str(fifo)!r}, 'w'); time.sleep(600)"


T = TypeVar("T")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]


class Scene:
    """Programs that are started in a block, and what happens in it."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.pids: dict[str, int] = {}

    async def play(self, what: Callable[[Programs], Awaitable[T]], **programs: str) -> T:
        """Runs `what` in a block in which each program (Python source) has been started."""
        async with Programs(self.logs) as block:
            for name, source in programs.items():
                one = await block.start(name, sys.executable, "-c", source)
                self.pids[name] = one.pid
                if READY in source:
                    await one.json_line(ANYTHING)
                else:
                    one.copy_output()
            return await what(block)

    @property
    def left(self) -> list[str]:
        """Programs that are still there."""
        return [name for name, pid in self.pids.items() if alive(pid)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def work(block: Programs) -> int:
    return 7


async def work_for_long(block: Programs) -> None:
    await block.while_alive(asyncio.sleep(600))


async def failing_work(block: Programs) -> None:
    async def fail() -> None:
        raise ConnectionError

    await block.while_alive(fail())


async def test_the_first_line_is_read_and_the_rest_is_logged(tmp_path: Path):
    both = f'import sys; sys.stdout.write(\'{{"event": "serving"}}\\nmore\\n\'); {FOREVER}'
    async with Programs(tmp_path) as programs:
        one = await programs.start("one", sys.executable, "-uc", both)
        assert await one.json_line(ANYTHING) == {"event": "serving"}
    assert not alive(one.pid)
    assert (tmp_path / "one.log").read_text().splitlines()[:2] == ['{"event": "serving"}', "more"]


async def test_a_program_that_ends_early_is_quoted(scene: Scene):
    broken = "import sys; sys.stderr.write('no port is free\\n'); sys.exit(3) #" + READY
    with pytest.raises(ProgramDied) as caught:
        await scene.play(work, server=broken)
    assert "server ended with exit code 3" in str(caught.value)
    assert "no port is free" in str(caught.value)
    assert str(scene.logs / "server.log") in str(caught.value)


async def test_a_program_that_says_nothing_is_not_waited_for_forever(scene: Scene):
    async def read(block: Programs) -> None:
        await (await block.start("slow", sys.executable, "-c", FOREVER)).json_line(0.1)

    with pytest.raises(ProgramDied, match=r"slow was not ready after 0\.1 s"):
        await scene.play(read)


async def test_work_ends_when_a_program_does(scene: Scene):
    with pytest.raises(ProgramDied, match="brief ended with exit code 0"):
        await scene.play(work_for_long, other=FOREVER, brief="pass")
    assert scene.left == []


async def test_the_end_of_a_program_explains_the_failure_of_work(scene: Scene):
    with pytest.raises(ProgramDied, match="server ended"):
        await scene.play(failing_work, server="import time; time.sleep(0.3)")


async def test_work_that_fails_by_itself_fails_with_its_own_error(scene: Scene):
    with pytest.raises(ConnectionError):
        await scene.play(failing_work, server=FOREVER)
    assert scene.left == []


async def test_work_that_ends_first_gives_its_result(scene: Scene):
    assert await scene.play(lambda block: block.while_alive(work(block)), server=FOREVER) == 7
    assert scene.left == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_block_and_all_programs(scene: Scene, number: signal.Signals):
    async def signalled(block: Programs) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        await asyncio.sleep(600)

    with pytest.raises(Interrupted) as caught:
        await scene.play(signalled, one=READY + FOREVER)
    assert caught.value.exit_code == 128 + number
    assert scene.left == []


async def test_a_second_signal_kills_what_does_not_end(scene: Scene):
    async def signalled_twice(block: Programs) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(os.kill, os.getpid(), signal.SIGINT)
        loop.call_later(0.3, os.kill, os.getpid(), signal.SIGINT)
        await asyncio.sleep(600)

    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); " + READY + FOREVER
    started = time.monotonic()
    with pytest.raises(Interrupted):
        await scene.play(signalled_twice, one=deaf)
    assert scene.left == []
    assert time.monotonic() - started < GRACE_S


async def test_children_of_a_program_end_with_it(tmp_path: Path):
    held = tmp_path / "held"
    os.mkfifo(held)
    parent = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', "
        f"{holding(held)!r}]); print('{{}}', flush=True); child.wait()"
    )
    async with Programs(tmp_path) as programs:
        one = await programs.start("parent", sys.executable, "-c", parent)
        await one.json_line(ANYTHING)
        reader = await asyncio.to_thread(held.open)  # opens when the child has opened its end
    with reader:
        assert await asyncio.to_thread(reader.read) == ""  # ends when the child has


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children")
def test_programs_end_when_the_command_is_killed(tmp_path: Path):
    held = tmp_path / "held"
    os.mkfifo(held)
    program = READY + "import sys; sys.stdout.flush(); " + holding(held)
    command = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from recarena.evaluation.playing.processes import Programs

        async def main():
            async with Programs(Path({str(tmp_path)!r})) as programs:
                one = await programs.start("one", sys.executable, "-c", {program!r})
                await one.json_line(30)
                print(one.pid, flush=True)
                await asyncio.sleep(600)

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert int(started.stdout.readline()) > 0
        with held.open() as reader:  # opens when the program has opened its end
            started.kill()
            assert reader.read() == ""  # ends when the program has


async def test_the_end_of_one_that_is_not_needed_is_nobody_elses(scene: Scene):
    async def go_on(block: Programs) -> int:
        brief = await block.start_silent("brief", sys.executable, "-c", "pass")
        needed = await block.start_silent("needed", sys.executable, "-c", FOREVER)

        async def until_it_died() -> int:
            assert "brief ended with exit code 0" in str(await brief.died())
            return 7

        return await block.while_alive(until_it_died(), [needed])

    assert await scene.play(go_on) == 7


async def test_the_first_program_is_stopped_before_the_others(tmp_path: Path):
    ended = tmp_path / "ended"
    tell = (
        "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: (open("
        f"{str(ended)!r}, 'a').write(sys.argv[1]), sys.exit())); "
        "print('{}', flush=True); time.sleep(600)"
    )
    async with Programs(tmp_path) as programs:
        for name in "abc":
            one = await programs.start(name, sys.executable, "-c", tell, name)
            await one.json_line(ANYTHING)
    assert ended.read_text()[0] == "a"


def test_programs_that_compute_together_share_the_processors(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv("MKL_NUM_THREADS", "5")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert computing_among(2)["OMP_NUM_THREADS"] == "4"
    assert computing_among(100)["OMP_NUM_THREADS"] == "1"
    assert computing_among(2)["MKL_NUM_THREADS"] == "5"


def test_a_program_that_is_not_installed_is_named_with_a_remedy():
    with pytest.raises(MissingProgram, match=r"no program recarena-nonsense.*make setup"):
        find_program("recarena-nonsense")
    assert Path(find_program("recarena")).exists()
