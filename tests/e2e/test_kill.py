"""Programs that are killed at any moment: nothing is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recarena.server.rpc.server import Server
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind
from support.arena import PATIENCE, begin, finished, recommender, settings, until
from support.commands import Live, free_port, helper, recarena, started
from support.thoroughness import thorough

WORLD = "new:users=60,seed=4,history=3"
ROUNDS = 6
KILLS = thorough(20, otherwise=8)
KILLS_PER_RUN = 5
LONGEST_DELAY_S = 0.12
"""About as long as a round of this world takes."""


def play(name: str, port: int) -> tuple[object, ...]:
    return (
        "run", WORLD, "--remote", "recorder", "--seed", 11, "--rounds", ROUNDS, "--name", name,
        "--listen", f"127.0.0.1:{port}", "--json",
    )  # fmt: skip


async def kill_somewhere(live: Live, dice: random.Random) -> bool:
    """Kills the program at a random moment after a random event; whether it was still there."""
    kind, count = dice.choice([("serving", 1), ("round", 1), ("round", 1), ("round", 2)])
    for _ in range(count):
        if await live.event(kind) is None:
            break
    await asyncio.sleep(dice.uniform(0, LONGEST_DELAY_S))
    if live.process.returncode is None:
        live.process.kill()
    await live.ended()
    return live.process.returncode == -9


def state_of(path: Path) -> str:
    return RunFolder.open(path).status["state"]


def told_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def owed(folder: RunFolder) -> tuple[Counter[str], Counter[str]]:
    """Ids of the interactions and impressions that the log of a run speaks of."""
    world = folder.world()
    users, items = world.population.user_ids, world.catalog.item_ids
    past = world.history
    interactions = Counter(
        f"0-{users[user]}-{items[item]}"
        for user, item in zip(past.user.tolist(), past.item.tolist(), strict=True)
    )
    impressions: Counter[str] = Counter()
    for round, (events, _) in enumerate(folder.rounds(1, folder.last_round), start=1):
        pages, watches = events.of(EventKind.PAGE), events.of(EventKind.WATCH)
        impressions.update(
            f"{round}-{users[user]}-{step}"
            for user, step in zip(pages.user.tolist(), pages.step.tolist(), strict=True)
        )
        interactions.update(
            f"{round}-{users[user]}-{step}-{position}"
            for user, step, position in zip(
                watches.user.tolist(), watches.step.tolist(), watches.position.tolist(),
                strict=True,
            )
        )  # fmt: skip
    return interactions, impressions


def lives(told: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """What each recommender of a run was told: one, and another only where the run was killed after
    the first had been sent away and before it was written down that the run is over."""
    starts = [at for at, line in enumerate(told) if "start" in line]
    assert starts[:1] == [0]
    return [told[at:end] for at, end in zip(starts, [*starts[1:], None], strict=True)]


def assert_told_once(told: list[dict[str, Any]], folder: RunFolder) -> None:
    """The recommender was given each batch once, and all of them."""
    batches = [line for line in told if "cursor" in line]
    cursors = [line["cursor"] for line in batches]
    assert len(set(cursors)) == len(cursors)
    assert [line["round"] for line in batches] == sorted(line["round"] for line in batches)
    interactions, impressions = owed(folder)
    assert Counter(one for line in batches for one in line["interactions"]) == interactions
    assert Counter(one for line in batches for one in line["impressions"]) == impressions
    assert [line for line in told if "cursor" not in line] == [
        {"start": folder.run_id, "epoch": 1},
        {"close": True},
    ]


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_server_killed_at_any_moment_loses_nothing_and_repeats_nothing(tmp_path):
    dice = random.Random(20)
    port = free_port()
    told = tmp_path / "told"
    told.mkdir()
    async with helper(
        "support.recorder", f"127.0.0.1:{port}", told, log=tmp_path / "recorder.log"
    ) as recorder:
        whole = (await recarena(*play("whole", port), cwd=tmp_path)).went_well()
        expected = whole.values[-1]["digest"]
        kills, names = 0, ["whole"]
        while kills < KILLS:
            name = f"killed-{len(names)}"
            names.append(name)
            words = play(name, port)
            for _ in range(KILLS_PER_RUN):
                async with started(*words, cwd=tmp_path) as live:
                    kills += await kill_somewhere(live, dice)
                if state_of(tmp_path / "runs" / name) == "succeeded":
                    break
                words = ("resume", f"runs/{name}", "--listen", f"127.0.0.1:{port}", "--json")
            else:
                last = (await recarena(*words, cwd=tmp_path)).went_well().values[-1]
                assert (last["rounds"], last["state"]) == (ROUNDS, "succeeded")
                assert last["digest"] == expected, name
        assert recorder.returncode is None
    for name in names:
        folder = RunFolder.open(tmp_path / "runs" / name)
        assert folder.verify_digest() == expected, name
        for life in lives(told_of(told / f"{name}.jsonl")):
            assert_told_once(life, folder)


@pytest.mark.slow
async def test_a_recommender_killed_in_the_middle_is_replaced_and_the_log_is_the_same(tmp_path):
    found = []
    async with Server(tmp_path / "runs") as server:
        for name, killed in (("whole", False), ("killed", True)):
            run = await begin(server, settings("ease", rounds=5), run_id=name, world=WORLD)
            if killed:
                async with recommender(server, "ease", log=tmp_path / "first") as first:
                    await until(run, 2)
                    first.kill()
                    await first.wait()
                    assert run.folder.last_round < 5
            async with recommender(server, "ease", log=tmp_path / "second"):
                found.append(await finished(run))
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
async def test_programs_that_a_run_started_end_with_it_when_it_is_killed(tmp_path):
    words = ("run", WORLD, "-r", "popular", "--rounds", 500, "--name", "run", "--json")
    async with started(*words, cwd=tmp_path) as live:
        assert await live.event("round")
        children = children_of(live.process.pid)
        assert len(children) == 1
        watches = [os.pidfd_open(child) for child in children]
        live.process.kill()
        await live.ended()
    for watch in watches:  # readable when the process has ended
        ended, _, _ = await asyncio.to_thread(select.select, [watch], [], [], PATIENCE)
        os.close(watch)
        assert ended


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
