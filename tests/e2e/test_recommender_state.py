"""A reference recommender with `--state` is killed in the middle of a run, and nobody can tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recarena.server.rpc.server import Server
from support.arena import begin, finished, recommender, settings, until

ROUNDS = 6


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "runs") as server:
        yield server


@pytest.mark.parametrize(("name", "encoding"), [("als", "rich"), ("bandit", "columnar")])
async def test_killed_and_begun_again_the_run_ends_as_an_uninterrupted_one(
    name: str, encoding: str, server: Server, tmp_path: Path
):
    options = ["--encoding", encoding]
    async with recommender(server, name, *options, log=tmp_path / "whole"):
        whole = await finished(await begin(server, settings(name, rounds=ROUNDS), "whole"))
    options += ["--state", str(tmp_path / "states")]
    run = await begin(server, settings(name, rounds=ROUNDS), "cut")
    async with recommender(server, name, *options, log=tmp_path / "cut") as process:
        await until(run, 3)
        process.kill()
        await process.wait()
    assert run.round < ROUNDS
    async with recommender(server, name, *options, log=tmp_path / "cut"):
        assert await finished(run) == whole


async def test_a_damaged_state_ends_the_program_in_one_line_and_stays(
    server: Server, tmp_path: Path
):
    states = tmp_path / "states"
    options = ["--state", str(states), "--once"]
    async with recommender(server, "popular", *options, log=tmp_path / "log") as process:
        await finished(await begin(server, settings("popular", rounds=1), "first"))
        assert await process.wait() == 0
    (file,) = states.glob("*.npz")
    file.write_bytes(file.read_bytes()[:-50])
    kept = file.read_bytes()
    run = await begin(server, settings("popular", rounds=1), "second")
    async with recommender(server, "popular", *options, log=tmp_path / "refused") as process:
        assert await process.wait() == 1
    *log, said = (tmp_path / "refused").read_text().splitlines()
    assert said == (
        f"recarena-recommender: state file {file} is damaged, or no state file; it was left as it"
        " is: move it away to start from nothing, or give another --state"
    )
    assert not [line for line in log if "Traceback" in line or "StateError" in line]
    assert file.read_bytes() == kept
    await run.stop()
