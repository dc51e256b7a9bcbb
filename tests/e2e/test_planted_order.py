"""In planted worlds the truth is known, so the order of recommenders is, too."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

from recarena.evaluation.metrics.users import watch_rate
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.statistics.worlds import Interval, world_interval
from recarena.server.config import parse_settings
from recarena.server.datasets.planted import planted_world
from recarena.server.datasets.world_folder import save_world
from recarena.server.founding import RunState
from recarena.server.rpc.server import Server
from support import figures

WORLDS, USERS, ITEMS, ROUNDS = 6, 400, 300, 8
LEARNED = ("random", "popular", "item-knn", "ease")
PROGRAM = str(Path(sys.executable).with_name("recarena-recommender"))


async def watch_rates(folder: Path) -> dict[str, list[float]]:
    """Recommender -> watch rate in each mirrored world, played by real processes over gRPC."""
    runs = {}
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(folder))
        for world in range(WORLDS):
            path = folder / f"world-{world}"
            save_world(planted_world(USERS, ITEMS, world + 1), path)
            for name in (*LEARNED, f"oracle-{world}"):
                settings = parse_settings(
                    {"arms": [{"recommender": name}], "rounds": ROUNDS, "seed": world + 1}, "test"
                )
                run = await server.house.create(f"w{world}-{name}", str(path), settings)
                runs[name.partition("-")[0] if "oracle" in name else name, world] = run
                run.start()
        address = ("--server", server.address, "--once")
        commands = [(name, *address, "--sessions", str(WORLDS)) for name in LEARNED]
        commands += [
            (
                "oracle",
                *address,
                "--id",
                f"oracle-{world}",
                "--world",
                str(folder / f"world-{world}"),
            )
            for world in range(WORLDS)
        ]
        programs = [await asyncio.create_subprocess_exec(PROGRAM, *command) for command in commands]
        await asyncio.gather(*(run.settled() for run in runs.values()))
        assert {run.state for run in runs.values()} == {RunState.SUCCEEDED}
        assert [await program.wait() for program in programs] == [0] * len(programs)
        paths = {key: run.folder.path for key, run in runs.items()}
    rates: dict[str, list[float]] = {}
    for (name, _), path in sorted(paths.items()):
        rates.setdefault(name, []).append(watch_rate(RunLog.open(path)))
    return rates


def above(a: Interval, b: Interval) -> bool:
    return a.low > b.high


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_oracle_beats_learned_beats_popular_beats_random_with_separated_intervals(
    tmp_path: Path,
):
    rates = await watch_rates(tmp_path)
    interval = {name: world_interval(values) for name, values in rates.items()}
    for name, one in sorted(interval.items(), key=lambda pair: -pair[1].mean):
        figures.report(
            f"watch rate of {name} in {WORLDS} planted worlds", mean=round(one.mean, 4),
            low=round(one.low, 4), high=round(one.high, 4),
        )  # fmt: skip
    assert above(interval["oracle"], interval["item-knn"])
    assert above(interval["oracle"], interval["ease"])
    assert above(interval["item-knn"], interval["popular"])
    assert above(interval["ease"], interval["popular"])
    assert above(interval["popular"], interval["random"])
