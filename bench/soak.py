"""A server under fire for as long as is wished: `make soak ARGS="--minutes 10"`.

One server process plays one run with two recommenders. One is killed every few seconds and started
again, is late now and then, and stays away at times until its works are lost; the other does as it
should. Then everything is counted: see docs/performance.md. What it finds is said in lines of JSON;
the exit code is 1 where anything is not as promised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from figures import rounded, say
from google.protobuf.duration_pb2 import Duration
from served import PATIENCE_S, PROGRAM, Gauge, Served, light, served

from recarena.server.datasets.world_data import WorldData
from recarena.server.feedback import history_feedback
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventColumns, EventKind, Outcome
from recarena.v1.run_pb2 import FAILURE_POLICY_FALLBACK_POPULAR, Arm

RUN, GOOD, MORTAL = "soak", "good", "mortal"
ARMS = (GOOD, MORTAL)
WORK_TIMEOUT_S, RESUME_WINDOW_S = 1.0, 3.0
"""Of the mortal arm, and of the run: short, so that both are often exceeded."""
DELAY_S = 0.02
"""That an answer takes: it sets the pace of the run."""
LATE, LATE_FOR_S = 0.01, 1.5
AWAY_EVERY = 8
"""The mortal recommender stays away for longer than the resume window every so many deaths."""
FLAT = 1.10
"""Memory of the last quarter over that of the first."""


@dataclass
class Mortal:
    """The recommender that is killed and started again."""

    server: str
    folder: Path
    every_s: float
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    kills: int = 0
    absences: int = 0
    process: asyncio.subprocess.Process | None = None

    async def live(self) -> None:
        """Dies and lives until it is cancelled; it is alive then, or will be."""
        while True:
            await self.born()
            await asyncio.sleep(self.dice.uniform(0.2, 1.8) * self.every_s)
            assert self.process is not None
            if self.process.returncode is not None:
                raise RuntimeError(f"the recommender ended by itself: see {self.folder}")
            self.process.kill()
            await self.process.wait()
            self.kills += 1
            if self.kills % AWAY_EVERY == 0:
                self.absences += 1
                await asyncio.sleep(RESUME_WINDOW_S + 1.0)

    async def born(self) -> None:
        """Starts the process, unless it lives."""
        if self.process is None or self.process.returncode is not None:
            self.process = await light(
                self.server, self.folder / "mortal.log", MORTAL, "--delay", DELAY_S,
                "--late", LATE, "--late-for", LATE_FOR_S, "--seed", self.kills,
                "--memory", self.folder,
            )  # fmt: skip


async def soak(folder: Path, seconds: float, users: int, kill_every_s: float) -> dict[str, Any]:
    """Plays for so long. What is known without looking into the run: kills, memory, time."""
    async with served(folder) as server:
        timeout = Duration(nanos=int(WORK_TIMEOUT_S * 1e9) % 10**9, seconds=int(WORK_TIMEOUT_S))
        policy = FAILURE_POLICY_FALLBACK_POPULAR
        good = await light(
            server.address, folder / "good.log", GOOD, "--delay", DELAY_S, "--memory", folder
        )
        await server.play(
            RUN, f"new:users={users},seed=5", {"session": {"resume_window_s": RESUME_WINDOW_S}},
            Arm(recommender_id=GOOD),
            Arm(recommender_id=MORTAL, work_timeout=timeout, failure_policy=policy),
        )  # fmt: skip
        mortal = Mortal(server.address, folder, kill_every_s)
        living = asyncio.ensure_future(mortal.live())
        try:
            await server.until(RUN, lambda run: run.round > 0)
            gauge, cpu, start = Gauge(server.process.pid), server.cpu_s, time.monotonic()
            await gauge.watch(seconds, lambda: living.done() and living.result())
        finally:
            living.cancel()
            await asyncio.wait({living})
        took, used = time.monotonic() - start, server.cpu_s - cpu
        await end(server, good, mortal)
    first, last = gauge.quarters()
    return {
        "seconds": took, "kills": mortal.kills, "absences": mortal.absences,
        "server_cpu_share": used / took,
        "rss_first_quarter_mib": first, "rss_last_quarter_mib": last,
        "rss_ratio": last / first if first else 1.0,
        "rss_greatest_mib": max(gauge.samples) / 2**20,
        "rss_each_tenth_mib": gauge.tenths(),
    }  # fmt: skip


async def end(server: Served, good: asyncio.subprocess.Process, mortal: Mortal) -> None:
    """Ends the run with both recommenders there, and waits until they have been told all."""
    await mortal.born()
    await server.pause(RUN)
    await server.stop(RUN)
    assert mortal.process is not None
    for process in (good, mortal.process):
        if await asyncio.wait_for(process.wait(), PATIENCE_S):
            raise RuntimeError("a recommender did not end well")


@dataclass
class Findings:
    """What was looked at, and what was wrong with it."""

    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def must(self, holds: bool, otherwise: str) -> None:
        """Notes what does not hold."""
        if not holds:
            self.wrong.append(otherwise)


def examine(folder: Path) -> Findings:
    """Counts everything that the run left behind."""
    found = Findings()
    run = RunFolder.open(folder / "runs" / RUN)
    rows, world, arm_of_user = run.round_rows(), run.world(), run.arm_of_user()
    users = world.population.user_ids
    owed = [Counter(history_ids(world, arm_of_user == arm)) for arm in range(len(ARMS))]
    outcomes: list[Counter[str]] = [Counter() for _ in ARMS]
    pages_of: Counter[tuple[int, int]] = Counter()
    """(round, arm) -> pages."""
    for round, (events, _) in enumerate(run.rounds(1, len(rows)), start=1):
        pages = events.of(EventKind.PAGE)
        places = np.stack([pages.user, pages.step], axis=1)
        found.must(len(np.unique(places, axis=0)) == len(pages), f"a page twice in round {round}")
        named = np.isin(pages.outcome, [one.value for one in Outcome if one])
        found.must(bool(named.all()), f"a page without outcome in round {round}")
        for user, outcome in zip(pages.user.tolist(), pages.outcome.tolist(), strict=True):
            arm = int(arm_of_user[user])
            pages_of[round, arm] += 1
            outcomes[arm][Outcome(outcome).name.lower()] += 1
        for user, told in told_ids(events, round, users):
            owed[arm_of_user[user]][told] += 1
    works = run.works()
    lists_of: Counter[tuple[int, int]] = Counter()
    for work in works:
        lists_of[work.round, work.arm] += work.lists
    found.must(len(works) == sum(row.works for row in rows), "works that no round knows of")
    found.must(lists_of == pages_of, "the works' lists are not the pages of the log")
    for name, ids in zip(ARMS, owed, strict=True):
        check_memory(found, folder / f"{name}-0.jsonl", name, ids)
    good, mortal = outcomes
    found.must(set(good) == {"accepted"}, f"the good arm has {dict(good)}")
    found.figures |= {
        "rounds": len(rows), "pages": pages_of.total(), "works": len(works),
        "works_by_outcome": Counter(work.outcome.name.lower() for work in works),
        "pages_good": good, "pages_mortal": mortal,
        "feedback_ids": sum(map(len, owed)), "digest": run.digest,
    }  # fmt: skip
    return found


def history_ids(world: WorldData, in_arm: np.ndarray) -> list[str]:
    """Ids of what an arm's recommender is told of the time before the run."""
    past = history_feedback(world.history, in_arm)
    users, items = world.population.user_ids, world.catalog.item_ids
    pairs = zip(past.user.tolist(), past.item.tolist(), strict=True)
    return [f"0-{users[user]}-{items[item]}" for user, item in pairs]


def told_ids(events: EventColumns, round: int, users: list[str]) -> Iterator[tuple[int, str]]:
    """Users and the ids of impressions and interactions that a round's events are told by."""
    pages, watches = events.of(EventKind.PAGE), events.of(EventKind.WATCH)
    for user, step in zip(pages.user.tolist(), pages.step.tolist(), strict=True):
        yield user, f"{round}-{users[user]}-{step}"
    places = watches.user.tolist(), watches.step.tolist(), watches.position.tolist()
    for user, step, position in zip(*places, strict=True):
        yield user, f"{round}-{users[user]}-{step}-{position}"


def check_memory(found: Findings, path: Path, name: str, owed: Counter[str]) -> None:
    """Each id that the log speaks of was applied once by the recommender, and nothing else."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    starts = sum(line["ids"] is None for line in lines)
    found.must(starts == 1, f"{name} started from nothing {starts} times")
    applied = Counter(one for line in lines for one in line["ids"] or ())
    lost, doubled = owed - applied, applied - owed
    found.must(not lost, f"{name} was not told of {len(lost)} ids, such as {next(iter(lost), '')}")
    found.must(
        not doubled, f"{name} was told of {len(doubled)} too many, {next(iter(doubled), '')}"
    )


async def digests(found: Findings, path: Path) -> None:
    """Verifies the digest and plays the run again, by the program itself."""
    for option in ("--verify", "--replay"):
        start = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), "digest", str(path), option, "--json", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        same = process.returncode == 0 and json.loads(out)["digest"] == found.figures["digest"]
        found.must(same, f"digest {option}: {out.decode().strip()}")
        found.figures[f"digest{option.replace('--', '_')}_s"] = time.monotonic() - start


async def measured(folder: Path, given: argparse.Namespace) -> Findings:
    """Plays, then examines."""
    say(f"soak: {given.minutes:g} minutes")
    played = await soak(folder, given.minutes * 60, given.users, given.kill_every)
    say("soak: counting")
    found = await asyncio.to_thread(examine, folder)
    await digests(found, folder / "runs" / RUN)
    found.figures |= played
    if given.minutes >= 1:  # a shorter one ends before the libraries have warmed up
        ratio = played["rss_ratio"]
        found.must(ratio <= FLAT, f"memory grew by a factor of {ratio:.2f}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where something is not as promised."""
    parser = argparse.ArgumentParser(prog="soak.py", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--minutes", type=float, default=10.0, help="how long (10)")
    add("--users", type=int, default=120, help="of the world (120)")
    add("--kill-every", type=float, default=4.0, metavar="S", help="on average (4)")
    add("--keep", type=Path, metavar="FOLDER", help="keep run and logs there")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        found = asyncio.run(measured(folder, given))
    for name, value in found.figures.items():
        print(json.dumps({"figure": name, "value": rounded(value)}))
    for what in found.wrong[:20]:
        print(json.dumps({"wrong": what}))
    print(json.dumps({"passed": not found.wrong}))
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
