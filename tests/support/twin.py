"""A recommender of the Python SDK inside the server's process: the twin of the program.

It is given the same messages as over gRPC, by the same codecs, and its answers are read by the
same checks; only the stream is missing.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from recarena.client import Catalog, Recommender, RunInfo
from recarena.client.answers import Ranked
from recarena.server import feedback as fb
from recarena.server.config import Settings
from recarena.server.datasets.specs import open_world
from recarena.server.door import Assignment
from recarena.server.founding import create_run
from recarena.server.local import LocalRecommender
from recarena.server.ports import Feedback, RankRequest, SearchRequest
from recarena.server.rpc import feedback_codec, questions
from recarena.server.rpc.recommenders import item_message
from recarena.server.runs import Run
from recarena.server.spans import Span, untold
from recarena.server.types import Ints
from recarena.v1.types_pb2 import EXPLANATION_MODE_NONE, RankedItem


class Twin(LocalRecommender):
    """A `HostedRecommender` that calls a recommender of the SDK."""

    def __init__(self, assignment: Assignment, recommender: Recommender, *, columnar: bool) -> None:
        a = self._a = assignment
        self._recommender, self._columnar = recommender, columnar
        name = "search_columns" if columnar else "search"
        searches = getattr(type(recommender), name) is not getattr(Recommender, name)
        super().__init__(
            a.world, self._ranked, self._found if searches else None, self._learned,
            recommender.ready, a.arm_number,
        )  # fmt: skip
        self._contexts = questions.Contexts(a.user_ids, a.arm.id, lambda _: {})
        items = [item_message(a.catalog, number) for number in range(len(a.catalog))]
        recommender.start(
            RunInfo(
                run_id=a.run_id,
                epoch=a.epoch,
                catalog=Catalog.of(a.catalog.version, items),
                user_count=len(a.user_ids),
                page_size=a.settings.visits.page_size,
                round_limit=a.settings.rounds,
                arm_ids=(a.arm.id,),
                columnar=columnar,
            )
        )

    async def arrived(self) -> None:
        """Hands over what is known before the first round that is played."""
        for round in range(self._a.told + 1):
            self._learned(self._a.past(round))

    async def dismiss(self, grace_s: float, come_back: bool) -> None:
        """The run is over."""
        self._recommender.close()

    def _learned(self, feedback: Feedback) -> None:
        a = self._a
        each = (
            feedback_codec.PAGES_PER_COLUMNAR_PART
            if self._columnar
            else feedback_codec.PAGES_PER_RICH_PART
        )
        for start, end in fb.parts(feedback, each):
            part = fb.part(feedback, start, end)
            cursor = feedback_codec.cursor(a.epoch, feedback.round, end)
            if self._columnar:
                self._recommender.feedback_columns(feedback_codec.columns(part, cursor))
            else:
                when = a.settings.time.of_round(max(feedback.round, 1))
                batch = feedback_codec.rich(part, a.user_ids, a.catalog.item_ids, when, cursor)
                self._recommender.feedback(batch)

    def _ranked(self, request: RankRequest) -> Ints:
        head = questions.header("work", 1, request.round, 60.0, self._a.epoch)
        if self._columnar:
            answer = self._recommender.rank_columns(questions.rank_batch(head, request))
            return self._matrix(answer, len(request.users), request.count)
        work = questions.rank_work(head, request, self._contexts, EXPLANATION_MODE_NONE, None)
        return self._numbers(self._recommender.rank(work.queries))

    def _found(self, request: SearchRequest) -> Ints:
        head = questions.header("work", 1, request.round, 60.0, self._a.epoch)
        if self._columnar:
            answer = self._recommender.search_columns(questions.search_batch(head, request))
            return self._matrix(answer, len(request.users), request.count)
        work = questions.search_work(head, request, self._contexts, EXPLANATION_MODE_NONE)
        return self._numbers(self._recommender.search(work.queries))

    @staticmethod
    def _matrix(answer: object, queries: int, count: int) -> Ints:
        numbers = np.asarray(answer.item_numbers, np.int32).ravel()  # type: ignore[attr-defined]
        lengths = np.asarray(list(answer.list_lengths), np.int64)  # type: ignore[attr-defined]
        if not len(lengths):
            return numbers.reshape(queries, count)
        lists = np.full((queries, int(lengths.max(initial=0))), -1, np.int32)
        lists[np.arange(lists.shape[1]) < lengths[:, None]] = numbers
        return lists

    def _numbers(self, answers: object) -> Ints:
        number = self._a.catalog.number_of
        rows: list[list[int]] = []
        for answer in answers:  # type: ignore[attr-defined]
            items = answer.items if isinstance(answer, Ranked) else answer
            ids = [one.item_id if isinstance(one, RankedItem) else one for one in items]
            rows.append([number[one] for one in ids])
        lists = np.full((len(rows), max(map(len, rows), default=0)), -1, np.int32)
        for row, numbers in enumerate(rows):
            lists[row, : len(numbers)] = numbers
        return lists


class TwinDoor:
    """A `Door` behind which every arm finds the recommender of the SDK that bears its name."""

    def __init__(self, kinds: dict[str, type[Recommender]], *, columnar: bool = True) -> None:
        self._kinds, self._columnar = kinds, columnar
        self.twins: list[Twin] = []

    def open(self, assignment: Assignment) -> Twin:
        kind = self._kinds[assignment.arm.recommender]
        self.twins.append(Twin(assignment, kind(), columnar=self._columnar))
        return self.twins[-1]

    def close(self, recommender: object) -> None:
        pass

    def round_span(self, run_id: str, round: int) -> AbstractContextManager[Span]:
        return untold()


async def twin_run(path: Path, settings: Settings, world: str, door: TwinDoor) -> Run:
    """The run at `path`, played to its end without any stream; open still."""
    run = Run(create_run(path, settings, open_world(world)), door)
    run.start()
    await run.settled()
    return run
