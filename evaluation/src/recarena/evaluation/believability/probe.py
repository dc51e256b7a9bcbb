"""A recommender that shows each user a list that was prepared for the run.

`python -m recarena.evaluation.believability.probe SERVER FOLDER SESSIONS`: the list of a run stands
in FOLDER/RUN_ID.npy, a row of item numbers for each user of the world, -1 beyond a list's end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recarena.client import ItemColumns, Recommender, RunInfo, serve
from recarena.v1.work_pb2 import RankBatch

NAME = "probe"


class Probe(Recommender):
    """Knows nothing and learns nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lists: NDArray[np.int32] = np.empty((0, 0), np.int32)

    def start(self, run: RunInfo) -> None:
        """Reads the lists of the run."""
        self._lists = np.load(lists_file(self._folder, run.run_id))

    def rank_columns(self, batch: RankBatch) -> ItemColumns:
        """Each user's list, or what is left of it after its offset."""
        lists = self._lists[np.array(batch.user_numbers, np.int64), : batch.result_count].copy()
        if len(batch.offsets):
            lists[np.array(batch.offsets) > 0] = -1
        there = lists >= 0
        return ItemColumns(lists[there], there.sum(axis=1))


def lists_file(folder: Path, run_id: str) -> Path:
    """Where the lists of a run stand."""
    return folder / f"{run_id}.npy"


if __name__ == "__main__":
    server, folder, sessions = sys.argv[1:]
    serve(lambda: Probe(Path(folder)), NAME, server=server, sessions=int(sessions))
