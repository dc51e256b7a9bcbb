"""The worlds that are measured in, made once in a process."""

from __future__ import annotations

from functools import lru_cache

from figures import say

from recarena.server.datasets.generate import generate_world
from recarena.server.datasets.world_data import WorldData

SEED = 1


@lru_cache(maxsize=4)
def made(users: int, history_per_user: int = 10) -> WorldData:
    """A world over the embedded films, as `new:users=...` makes it."""
    say(f"  making a world of {users:,} users")
    return generate_world(users, SEED, history_per_user=history_per_user)
