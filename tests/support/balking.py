"""A recommender program that is good until a round that it never gets ready for, dies in, or
answers nothing in.

`python balking.py SERVER ROUND [die|refuse]` serves as "balking".
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from recarena.client import RankQuery, Recommender, RunInfo, serve


class Balking(Recommender):
    """Shows everybody the first items of the catalogue."""

    def start(self, run: RunInfo) -> None:
        self._items = run.catalog.item_ids

    async def ready(self, round: int) -> None:
        self._refuses = False
        if round != int(sys.argv[2]):
            return
        if "die" in sys.argv:
            print("I will not play this round.", flush=True)
            os._exit(3)
        self._refuses = "refuse" in sys.argv
        if not self._refuses:
            await asyncio.Event().wait()

    def rank(self, queries: Sequence[RankQuery]) -> list[list[str]]:
        if self._refuses:
            raise RuntimeError("not in this round")
        return [self._items[query.offset : query.offset + query.result_count] for query in queries]


if __name__ == "__main__":
    serve(Balking, "balking", server=sys.argv[1])
