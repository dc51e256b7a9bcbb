"""A recommender program that writes down all feedback it is given, and outlives its server.

`python -m support.recorder SERVER FOLDER` serves as "recorder", run after run. What it learns of a
run goes to FOLDER/RUN.jsonl, a line for each start, each batch and the close. It recommends what
was watched most so far, other items for every user: a batch that is lost, or counted twice, shows
in what users do.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recarena.client import FeedbackBatch, RankQuery, Recommender, RunInfo, serve


class Recorder(Recommender):
    """Remembers in a file and ranks by what it remembers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, run: RunInfo) -> None:
        self._file = (self._folder / f"{run.run_id}.jsonl").open("a", encoding="utf-8")
        self._write(start=run.run_id, epoch=run.epoch)
        self._items = run.catalog.item_ids
        self._watches = Counter(dict.fromkeys(self._items, 0))

    def feedback(self, batch: FeedbackBatch) -> None:
        self._write(
            cursor=batch.cursor,
            round=batch.round,
            interactions=[one.interaction_id for one in batch.interactions],
            impressions=[one.impression_id for one in batch.impressions],
        )
        self._watches.update(one.item_id for one in batch.interactions)

    def ready(self, round: int) -> None:
        self._order = [item for item, _ in self._watches.most_common()]

    def rank(self, queries: Sequence[RankQuery]) -> list[list[str]]:
        return [self._list(query) for query in queries]

    def close(self) -> None:
        self._write(close=True)
        self._file.close()

    def _list(self, query: RankQuery) -> list[str]:
        first = query.user.user_number + query.offset
        return [self._order[(first + n) % len(self._order)] for n in range(query.result_count)]

    def _write(self, **line: Any) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


if __name__ == "__main__":
    serve(lambda: Recorder(Path(sys.argv[2])), "recorder", server=sys.argv[1])
