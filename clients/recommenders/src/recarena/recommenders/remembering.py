"""`--state`: recommenders that keep what they learned across restarts and runs."""

from __future__ import annotations

import logging
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from recarena.client import RunInfo
from recarena.recommenders.numeric import NumericRecommender
from recarena.recommenders.signals import Signals
from recarena.recommenders.state import (
    BROKEN,
    Arrays,
    Header,
    StateError,
    StateFolder,
    catalog_hash,
    packed,
    unpacked,
)
from recarena.recommenders.watched import Users
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns

USERS = "state.users"
PENDING = "state.pending"


class Remembering(NumericRecommender):
    """Mixed into a recommender: saves at every `ready` and at `close`, and begins with what was
    saved for the catalogue.

    Begun again in the run (id and epoch) that the state was saved in, it goes on from there: the
    server tells a new process everything from round 0 on, and feedback of rounds that the state
    contains is passed over, so each is learned once and the lists are those of a process that was
    never stopped. In another run it knows what it learned of the items; the users of earlier runs
    stay as people in the data, but a user of the new run is a stranger, whatever her number.
    """

    state: StateFolder
    _sound = False
    """Whether what is held may be saved: not before `start`, not after an error."""
    _contained = 0
    """Feedback of earlier rounds of this run came with the state."""
    _opened = 0
    _strangers = 0

    def start(self, run: RunInfo) -> None:
        """Starts from the state where there is one. StateError: it cannot be used."""
        super().start(run)
        saved = self.state.load(catalog_hash(run.catalog.available_ids))
        if saved is not None:
            header, arrays = saved
            try:
                if header.same_run(run.run_id, run.epoch):
                    self._go_on(header, arrays)
                else:
                    self._begin_with(arrays)
            except StateError:
                raise
            except (*BROKEN, IndexError) as error:
                path = self.state.path(header.catalog)
                raise StateError(
                    f"state file {path} does not hold what {self.state.recommender} saves"
                    f" ({error}); move it away to start from nothing, or give another --state"
                ) from error
        self._sound = True

    def feedback(self, batch: FeedbackBatch) -> None:
        """Keeps a rich batch, unless the state contains it."""
        if batch.round >= self._contained:
            super().feedback(batch)

    def feedback_columns(self, batch: FeedbackColumns) -> None:
        """Keeps a columnar batch, unless the state contains it."""
        if batch.round >= self._contained:
            super().feedback_columns(batch)

    def ready(self, round: int) -> None:
        """Learns, trains and saves. StateError: the run was set back, or nothing can be saved."""
        if round < self._contained:
            raise StateError(
                f"state file {self._path()} goes as far as round {self._contained} of run"
                f" {self.run.run_id}, which opens round {round}: the run was set back; move the"
                " file away to learn anew"
            )
        self._sound = False
        super().ready(round)
        self._opened = round
        self._save()
        self._sound = True

    def catalog_changed(self, run: RunInfo) -> None:
        """Carries what was learned over; from now on the file of the new catalogue is kept.
        StateError: there is one already that cannot be used."""
        self._sound = False
        self.state.load(catalog_hash(run.catalog.available_ids))
        super().catalog_changed(run)
        self._sound = True

    def close(self) -> None:
        """Saves what came after the last `ready`, too, for the next run."""
        if self._sound:
            self._sound = False
            try:
                self._save()
            except StateError as error:
                logging.getLogger(__name__).error("%s", error)
        super().close()

    # ------------------------------------------------------------------ the file

    def _path(self) -> str:
        return str(self.state.path(catalog_hash(self.run.catalog.item_ids)))

    def _save(self) -> None:
        self._end_rich_round()
        header = Header(
            recommender=self.state.recommender,
            recommender_id=self.state.recommender_id,
            catalog=catalog_hash(self.run.catalog.item_ids),
            run_id=self.run.run_id,
            epoch=self.run.epoch,
            columnar=self.run.columnar,
            opened=self._opened,
            strangers=self._strangers,
        )
        users = self.users.numbers() if self.run.columnar else packed(self.users.ids())
        no_ints, no_floats = np.empty(0, np.int32), np.empty(0, np.float32)
        pending: dict[str, NDArray[Any]] = {
            "rows": np.array([len(self.users)], np.int64),
            "users": np.concatenate([no_ints, *(part.users for part in self._pending)]),
            "items": np.concatenate([no_ints, *(part.items for part in self._pending)]),
            "ratings": np.concatenate([no_floats, *(part.ratings for part in self._pending)]),
            "lengths": np.array([len(part) for part in self._pending], np.int64),
            "rounds": np.array([part.round for part in self._pending], np.int64),
        }
        named = {f"{PENDING}.{name}": one for name, one in pending.items()}
        self.state.save(header, {**self.learned(), USERS: users, **named})

    def _go_on(self, header: Header, arrays: Arrays) -> None:
        """In the same run: what was learned and whom of. What was not learned yet is left out,
        since the server tells it again, and as a whole."""
        if header.columnar != self.run.columnar:
            encoding = "columnar" if header.columnar else "rich"
            raise StateError(
                f"state file {self._path()} is of this very run in the {encoding} encoding: give"
                f" --encoding {encoding}, or move the file away to start from nothing"
            )
        self.recall(arrays)
        self._opened = self._contained = header.opened
        self._strangers = header.strangers
        self.users = Users(self.run.user_count, header.strangers)
        known = self.row_count - header.strangers
        if self.run.columnar:
            self.users.add_numbers(arrays[USERS][:known])
        else:
            self.users.add_ids(unpacked(arrays[USERS])[:known])

    def _begin_with(self, arrays: Arrays) -> None:
        """In another run: what was learned, of strangers, and what was still to be learned."""
        self.recall(arrays)
        pending = {name: arrays[f"{PENDING}.{name}"] for name in PENDING_COLUMNS}
        self._strangers = int(pending["rows"][0])
        self.users = Users(self.run.user_count, self._strangers)
        ends = np.cumsum(pending["lengths"])
        for round, end, length in zip(pending["rounds"], ends, pending["lengths"], strict=True):
            cut = slice(end - length, end)
            users, items, ratings = (pending[name][cut] for name in ("users", "items", "ratings"))
            self._pending.append(Signals(int(round), users, items, ratings))
        self._catch_up()


PENDING_COLUMNS = ("rows", "users", "items", "ratings", "lengths", "rounds")


def remembering(kind: Any, state: StateFolder) -> type[NumericRecommender]:
    """The same class of NumericRecommender, with a state."""
    made: Any = type(f"Remembering{kind.__name__}", (Remembering, kind), {"state": state})
    return cast("type[NumericRecommender]", made)
