"""What had happened in a run before a round: what explanations of the round may speak of."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import EventKind, Floats
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.stimuli.catalogue import Catalogue


@dataclass(frozen=True)
class Past:
    """Of one run; whatever is asked of a round, later ones do not count, nor does itself."""

    catalogue: Catalogue
    number_of_user: Mapping[str, int]
    knows_friends: bool
    """Whether the folder tells who knows whom."""
    _first: Mapping[tuple[int, int], int]
    """(user, item) -> round of the first watch, 0: before the run."""
    _rounds: Mapping[int, Sequence[int]]
    """Item -> rounds of its watches, ascending."""
    _popularity: Floats
    _ties: frozenset[tuple[int, int]]
    _praise: Mapping[tuple[int, int], int]
    """(user, item) -> round of the first kind word."""
    _counts: dict[int, NDArray[np.float64]] = field(
        default_factory=dict[int, "NDArray[np.float64]"]
    )

    @classmethod
    def of(cls, log: RunLog) -> Past:
        """Of a run."""
        if cls not in log.kept:
            log.kept[cls] = _read(log)
        return log.kept[cls]

    def watched(self, user: int, item: int, round: int) -> bool:
        """Whether the user had watched the item before the round."""
        first = self._first.get((user, item))
        return first is not None and first < round

    def watches(self, item: int, round: int) -> int:
        """How often the item had been watched before the round."""
        return int(self._popularity[item]) + bisect_left(self._rounds.get(item, ()), round)

    def rank(self, item: int, round: int) -> int:
        """Its place among the most watched before the round, from 1; equals share the best."""
        return int((self._all(round) > self._all(round)[item]).sum()) + 1

    def place(self, item: int, round: int) -> float:
        """Share of the items that had been watched at least as often, itself among them."""
        return float((self._all(round) >= self._all(round)[item]).mean())

    def friends(self, user: int, other: int) -> bool:
        """Whether the other is somebody to the user."""
        return (user, other) in self._ties

    def praised(self, user: int, item: int, round: int) -> bool:
        """Whether the user had spoken well of the item before the round."""
        first = self._praise.get((user, item))
        return first is not None and first < round

    def _all(self, round: int) -> NDArray[np.float64]:
        if round not in self._counts:
            self._counts[round] = np.array(
                [self.watches(item, round) for item in range(len(self._popularity))], np.float64
            )
        return self._counts[round]


def _read(log: RunLog) -> Past:
    history, watches = log.history, log.logged.of(EventKind.WATCH)
    first = dict.fromkeys(zip(history.user.tolist(), history.item.tolist(), strict=True), 0)
    rounds: dict[int, list[int]] = defaultdict(list)
    columns = zip(watches.user.tolist(), watches.item.tolist(), watches.round.tolist(), strict=True)
    for user, item, round in columns:
        first.setdefault((user, item), round)
        rounds[item].append(round)
    said = log.logged.of(EventKind.CHAT, EventKind.POST)
    said = said.take((said.value > 0) & (said.item >= 0))
    praise: dict[tuple[int, int], int] = {}
    columns = zip(said.user.tolist(), said.item.tolist(), said.round.tolist(), strict=True)
    for user, item, round in columns:
        praise.setdefault((user, item), round)
    ties = log.read("relations", ("user", "other"))
    return Past(
        Catalogue.of(log),
        {user_id: at for at, user_id in enumerate(log.user_ids)},
        ties is not None,
        first, rounds, log.popularity,
        frozenset() if ties is None
        else frozenset(zip(ties["user"].to_pylist(), ties["other"].to_pylist(), strict=True)),
        praise,
    )  # fmt: skip
