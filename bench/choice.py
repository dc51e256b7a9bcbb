"""Rounds of the choice mind with a recommender in the process: no wire, no store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import numpy as np
from figures import Figure, Target, alternately, median, seconds, spread
from worlds import SEED, made

from recarena.server.local import most_watched
from recarena.server.minds.choice import ChoiceMind
from recarena.server.rounds import RoundRules, play_round
from recarena.server.types import EventKind, RoundResult
from recarena.server.world import World

USERS = 100_000
FASTEST = 100_000
"""User-rounds a second on one core."""
TIMES = 12
"""Ten times the users may take so many times as long."""
OPTIONS = 8


def figures(quick: bool) -> Iterator[Figure]:
    """User-rounds a second, and how a round grows with the number of users."""
    large = InProcess(1_000 if quick else USERS)
    small = InProcess(large.users // 10)
    for run in (large, small):
        run.play(), run.play()
    decide = PageDecision(large.users)
    took, took_small, bare = alternately(
        2 if quick else 7, large.play, lambda: small.play(3) / 3, decide.take
    )
    yield Figure(
        "choice_user_rounds",
        large.users / median(took),
        "user-rounds/s",
        large.users / median(bare),
        {
            "baseline": f"one Gumbel-argmax over {OPTIONS} options a user, in numpy",
            "users": large.users,
            "seconds_a_round": median(took),
            "between_s": spread(took),
            "baseline_s": median(bare),
            **large.shares(),
        },
        Target("value", "at least", FASTEST),
    )
    yield Figure(
        "round_scaling",
        median(took),
        "s",
        median(took_small),
        {
            "baseline": f"a round of {small.users:,} users",
            "users": large.users,
            "between_s": spread(took),
            "baseline_between_s": spread(took_small),
        },
        Target("ratio", "at most", TIMES),
    )


class InProcess:
    """A world that the choice mind plays with the most watched items for everybody."""

    def __init__(self, users: int) -> None:
        self.users = users
        self.world = World(made(users), SEED)
        self.mind = ChoiceMind()
        self.arms = [most_watched(self.world)]
        self.arm_of_user = np.zeros(users, np.int8)
        self.results: list[RoundResult] = []
        self.cpu_s = self.wall_s = self.apply_s = 0.0

    def play(self, rounds: int = 1) -> float:
        """Plays and applies rounds; seconds."""
        wall, cpu = time.perf_counter(), time.process_time()
        asyncio.run(self._play(rounds))
        took = time.perf_counter() - wall
        self.wall_s += took
        self.cpu_s += time.process_time() - cpu
        return took

    async def _play(self, rounds: int) -> None:
        for _ in range(rounds):
            result = await play_round(
                self.world, self.mind, self.arms, self.arm_of_user, RoundRules()
            )
            self.apply_s += seconds(lambda result=result: self.world.apply(result))
            self.results.append(result)

    def shares(self) -> dict[str, float]:
        """What a round consists of, on average."""
        rounds = len(self.results)
        pages = sum(int((r.events.kind == EventKind.PAGE).sum()) for r in self.results)
        return {
            "pages_a_round": pages / rounds,
            "events_a_round": sum(len(r.events) for r in self.results) / rounds,
            "apply_share": self.apply_s / self.wall_s,
            "cores_used": self.cpu_s / self.wall_s,
        }


class PageDecision:
    """The least that a discrete choice takes: utilities plus Gumbel noise, and the largest."""

    def __init__(self, users: int) -> None:
        self._random = np.random.default_rng(SEED)
        self._utility = self._random.normal(size=(users, OPTIONS)).astype(np.float32)

    def take(self) -> float:
        """Decides once for everybody; seconds."""
        return seconds(self._decide)

    def _decide(self) -> None:
        draw = self._random.random(self._utility.shape, dtype=np.float32)
        noise = -np.log(-np.log(np.maximum(draw, np.float32(1e-7))))
        (self._utility + noise).argmax(axis=1)
