"""What may be shown of a catalogue, numbered without gaps: models need know of nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recarena.client import Catalog, RunInfo
from recarena.recommenders.watched import Ints, Longs


class Offered:
    """The items of a run's catalogue that were not withdrawn, by places of their own: 0, 1, 2 ...
    in the order of the catalogue. Where nothing was withdrawn, places are the catalogue's numbers.
    """

    def __init__(self, run: RunInfo) -> None:
        """`run` with its whole catalogue."""
        whole = run.catalog
        self.numbers: Ints = np.array(
            [whole.number_of[one] for one in whole.available_ids], np.int32
        )
        """[places]: the number of each item."""
        self._all = len(self.numbers) == len(whole)
        self._places: Ints = np.full(len(whole) + 1, -1, np.int32)
        self._places[self.numbers] = np.arange(len(self.numbers), dtype=np.int32)
        self.run = run
        """The run as models see it: its catalogue has what may be shown alone."""
        if not self._all:
            items = [whole.items[number] for number in self.numbers.tolist()]
            self.run = replace(run, catalog=Catalog.of(whole.version, items))

    def places(self, numbers: Longs) -> Longs:
        """The place of each item, by its number; -1 where it may not be shown, or is unknown."""
        return self._places[np.minimum(numbers, len(self._places) - 1)].astype(np.int64)

    def numbered(self, places: Ints) -> Ints:
        """The number of the item at each place; -1 stays."""
        return places if self._all else np.append(self.numbers, np.int32(-1))[places]
