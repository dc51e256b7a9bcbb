"""How the recommenders of a run fared in its committed rounds, by its folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from recarena.server.store.run_folder import RunFolder
from recarena.server.store.tables import numpy_column
from recarena.server.types import EventKind, Outcome

pc: Any = pyarrow.compute


@dataclass(frozen=True, slots=True)
class Fared:
    """How the recommender of one arm fared."""

    lists: NDArray[np.int64]
    """[outcomes]: lists by Outcome, of which each became a page."""
    latencies_ms: NDArray[np.float32]
    """Of works of which a list could be shown, in the order of their rounds."""
    training_ms: float
    """Between opening rounds and its being ready, summed."""


def fared(folder: RunFolder, last: int) -> list[Fared]:
    """Of each arm, in rounds 1 to `last`. Reads two columns of the pages and four of the works."""
    rounds = folder.round_rows()[:last]
    pages = folder.tables.where(
        "events", f"kind = {int(EventKind.PAGE)} AND round <= {last}", ["user", "outcome"]
    )
    arm = folder.arm_of_user()[numpy_column(pages, "user")]
    outcome = numpy_column(pages, "outcome")
    works = folder.tables.where(
        "works", f"round <= {last}", ["round", "arm", "latency_ms", "outcome"]
    )
    usable = [one.name.lower() for one in Outcome if one.usable]
    works = works.filter(pc.is_in(works["outcome"], pa.array(usable)))
    works = works.sort_by("round")
    found: list[Fared] = []
    for number, name in enumerate(folder.arms):
        own = works.filter(pc.equal(works["arm"], name))
        found.append(
            Fared(
                np.bincount(outcome[arm == number], minlength=max(Outcome) + 1),
                numpy_column(own, "latency_ms"),
                sum(row.training_ms.get(name, 0.0) for row in rounds),
            )
        )
    return found
