"""One command at a time plays a competition, and one that was killed is followed soon."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from recarena.evaluation.competing.lock import held
from recarena.evaluation.competing.plan import BadPlan
from recarena.evaluation.playing.processes import Program


def test_a_folder_is_played_by_one_command_at_a_time(tmp_path: Path):
    said: list[str] = []
    with (
        held(tmp_path / "new", said.append),
        pytest.raises(BadPlan, match="new is being played by another command"),
        held(tmp_path / "new", said.append),
    ):
        pytest.fail("two play it")
    with held(tmp_path / "new", said.append):
        pass
    assert not said


async def test_the_server_of_a_command_that_was_killed_is_waited_for(tmp_path: Path):
    said = asyncio.Event()
    loop = asyncio.get_running_loop()
    waits = [sys.executable, "-c", "import json, time; print(json.dumps({})); time.sleep(600)"]
    with held(tmp_path, pytest.fail) as lock:
        server = await Program.start("server", waits, tmp_path / "log", keeps=(lock,))
        await server.json_line(60)

    def next_one() -> None:
        with held(tmp_path, lambda _text: loop.call_soon_threadsafe(said.set)):
            pass

    try:
        with (
            pytest.raises(BadPlan, match=r"still plays in .* after 0 s"),
            held(tmp_path, lambda _text: None, wait_s=0),
        ):
            pytest.fail("its server still writes")
        following = asyncio.create_task(asyncio.to_thread(next_one))
        await asyncio.wait_for(said.wait(), 60)
        assert not following.done()
    finally:
        hurry = asyncio.Event()
        hurry.set()
        await server.stop(hurry)
    await following
