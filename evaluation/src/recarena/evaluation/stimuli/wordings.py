"""What a user is told under each condition, made from templates: the same whenever it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.stimuli.catalogue import Catalogue
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.exposures import Exposures
from recarena.evaluation.stimuli.falsehoods import false_fact
from recarena.evaluation.stimuli.fillers import EMPTY, PRAISE, composed, neutral
from recarena.evaluation.stimuli.keyed import drawn
from recarena.evaluation.stimuli.triples import Triple, Words

TEMPLATE = "template"
"""Where the texts of this module come from, for a study's manifest."""


def wordings(
    triples: Sequence[Triple], runs: Sequence[RunLog], seed: int
) -> Mapping[str, Mapping[Condition, Words | None]]:
    """By triple, what is told under each condition. None: nothing; or, of SHUFFLED, that nobody
    else got an explanation.

    PLACEBO and HYPE are as long as the real words to within a tenth and come without evidence.
    FALSE_FACT claims genres that the item does not have. KeyError for a triple of another run.
    """
    of = {log.run_id: _Source(log, seed) for log in runs}
    return {one.id: of[one.run_id].conditions(one) for one in triples}


@dataclass
class _Source:
    """What texts of one run are made from."""

    log: RunLog
    seed: int
    _others: dict[str, _Others] = field(default_factory=dict[str, "_Others"])

    def __post_init__(self) -> None:
        self.catalogue = Catalogue.of(self.log)
        self.empty = neutral(EMPTY, self.catalogue)
        self.praise = neutral(PRAISE, self.catalogue)

    def conditions(self, triple: Triple) -> Mapping[Condition, Words | None]:
        """Of one triple."""
        real = triple.explanation
        key = (self.seed, triple.world, triple.recommender, triple.user_id, triple.item_id)
        bare = replace(real, evidence=())
        length = len(real.text)
        return {
            Condition.NONE: None,
            Condition.REAL: real,
            Condition.PLACEBO: replace(
                bare, text=composed(self.empty, length, "placebo", *key)
            ),
            Condition.SHUFFLED: self._of_another(triple, key),
            Condition.HYPE: replace(bare, text=composed(self.praise, length, "hype", *key)),
            Condition.FALSE_FACT: false_fact(
                real, self.catalogue.number_of[triple.item_id], self.catalogue, self.empty,
                "false", *key,
            ),
        }  # fmt: skip

    def _of_another(self, triple: Triple, key: tuple[str | int, ...]) -> Words | None:
        if triple.recommender not in self._others:
            self._others[triple.recommender] = _Others.of(self.log, triple.recommender)
        user = self.log.user_ids.index(triple.user_id)
        item = self.catalogue.number_of[triple.item_id]
        return self._others[triple.recommender].chosen(
            user, item, triple.explanation.text, drawn("shuffled", *key)
        )


@dataclass(frozen=True)
class _Others:
    """All explanations of one recommender in a run."""

    exposures: Exposures
    rows: Sequence[int]
    of_item: Mapping[int, Sequence[int]]

    @classmethod
    def of(cls, log: RunLog, recommender: str) -> _Others:
        """Of a run."""
        exposures = Exposures.of(log)
        names = [arm.recommender for arm in log.arms]
        arm = log.arm_of_user[exposures.user]
        rows = [
            row
            for row in np.flatnonzero(arm >= 0).tolist()
            if names[int(arm[row])] == recommender and exposures.texts[row].strip()
        ]
        of_item: dict[int, list[int]] = {}
        for row in rows:
            of_item.setdefault(int(exposures.item[row]), []).append(row)
        return cls(exposures, rows, of_item)

    def chosen(self, user: int, item: int, text: str, number: int) -> Words | None:
        """Another user's words, others than these where there are any, of the same item before
        another; the number decides among equals."""
        same = self.of_item.get(item, ())
        for rows, other_words in (
            (same, True),
            (self.rows, True),
            (same, False),
            (self.rows, False),
        ):
            for at in range(len(rows)):
                row = rows[(number + at) % len(rows)]
                if int(self.exposures.user[row]) == user:
                    continue
                if not other_words or self.exposures.texts[row] != text:
                    return self.exposures.words(row)
        return None
