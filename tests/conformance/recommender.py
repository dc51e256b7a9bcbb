"""The recommender that the script talks to, on the Python SDK. README.md says what it must do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from recarena.client import (
    Capability,
    ClientError,
    ConverseWork,
    Evidence,
    Explanation,
    FeedbackBatch,
    FeedbackColumns,
    ItemColumns,
    RankBatch,
    Ranked,
    RankedItem,
    RankQuery,
    Recommender,
    Reply,
    RunInfo,
    SearchBatch,
    SearchQuery,
    serve,
)
from recarena.v1.types_pb2 import ExplanationMode

WANTED = (ExplanationMode.EXPLANATION_MODE_TEXT, ExplanationMode.EXPLANATION_MODE_STRUCTURED)
FIRST_LONG_ROUND = 100


class Conforming(Recommender):
    """Lists by item number, and tells what it was told when it is talked to."""

    made, closed = 0, 0

    def __init__(self) -> None:
        Conforming.made += 1
        self.instance, self.calls = Conforming.made, list[str]()

    def start(self, run: RunInfo) -> None:
        self.run = run
        self.calls.append(f"start {run.run_id} {run.catalog.version} {len(run.catalog)}")
        if run.catalog.version == "unusable":
            raise ValueError("told to refuse")

    def catalog_changed(self, run: RunInfo) -> None:
        self.run = run
        self.calls.append(f"catalogue {run.catalog.version} {len(run.catalog)}")
        if run.catalog.version == "unusable":
            raise ValueError("told to refuse")

    def feedback(self, batch: FeedbackBatch) -> None:
        self.calls.append(f"feedback {batch.round} {batch.cursor} {len(batch.interactions)}")

    def feedback_columns(self, batch: FeedbackColumns) -> None:
        self.calls.append(f"feedback {batch.round} {batch.cursor} {len(batch.user_numbers)}")

    def ready(self, round: int) -> None:
        if round >= FIRST_LONG_ROUND:
            sys.stdin.readline()
        self.calls.append(f"ready {round}")

    # ------------------------------------------------------------------ works
    def rank(self, queries: Sequence[RankQuery]) -> list[Ranked]:
        return [self.listed(query) for query in queries]

    def search(self, queries: Sequence[SearchQuery]) -> list[Ranked]:
        empty = obeyed([query.text for query in queries])
        return [
            Ranked([]) if nothing else self.listed(query)
            for query, nothing in zip(queries, empty, strict=True)
        ]

    def rank_columns(self, batch: RankBatch) -> ItemColumns:
        return self.columns(batch, [False] * len(batch.user_numbers))

    def search_columns(self, batch: SearchBatch) -> ItemColumns:
        return self.columns(batch, obeyed([batch.texts[text] for text in batch.text_numbers]))

    def converse(self, work: ConverseWork) -> Reply:
        said = {"instance": self.instance, "closed": self.closed, "calls": self.calls}
        return Reply(json.dumps(said), self.ids(self.numbers(0, 0, work.result_count)), "talk")

    def close(self) -> None:
        Conforming.closed += 1

    # ------------------------------------------------------------------ lists
    def listed(self, query: RankQuery | SearchQuery) -> Ranked:
        user, excluded = query.user.user_number, set(query.candidates.excluded_item_ids)
        page = self.ids(self.numbers(user, query.offset, query.result_count))
        if excluded:
            every = self.ids(self.numbers(user, 0, len(self.run.catalog)))
            fresh = [one for one in every if one not in excluded]
            page = fresh[query.offset : query.offset + query.result_count]
        token = f"user {user}"
        return Ranked([explained(one) for one in page] if query.explanation_mode in WANTED
                      else page, token)  # fmt: skip

    def columns(self, batch: RankBatch | SearchBatch, empty: Sequence[bool]) -> ItemColumns:
        offsets = batch.offsets or [0] * len(batch.user_numbers)
        lists = [
            [] if nothing else self.numbers(user, offset, batch.result_count)
            for user, offset, nothing in zip(batch.user_numbers, offsets, empty, strict=True)
        ]
        return ItemColumns([number for one in lists for number in one], [len(one) for one in lists])

    def numbers(self, user: int, offset: int, count: int) -> list[int]:
        size = len(self.run.catalog)
        return [(user + rank) % size for rank in range(offset, min(offset + count, size))]

    def ids(self, numbers: Sequence[int]) -> list[str]:
        return [self.run.catalog.item_ids[number] for number in numbers]


def explained(item_id: str) -> RankedItem:
    evidence = Evidence(kind=Evidence.KIND_ITEM, reference=item_id)
    why = Explanation(text=f"because of {item_id}", evidence=[evidence])
    return RankedItem(item_id=item_id, explanation=why)


def obeyed(texts: Sequence[str]) -> list[bool]:
    """Does what searches ask for; which of them find nothing."""
    if "fail" in texts:
        raise ValueError("told to fail")
    if "wait" in texts:
        sys.stdin.readline()
    return [text == "nothing" for text in texts]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--token")
    parser.add_argument("--columnar", action="store_true")
    given = parser.parse_args()
    offered = [
        Capability.CAPABILITY_SEARCH, Capability.CAPABILITY_CONVERSE, Capability.CAPABILITY_EXPLAIN,
        *([Capability.CAPABILITY_COLUMNAR] if given.columnar else ()),
    ]  # fmt: skip
    try:
        serve(
            Conforming, "conformance", server=given.server, token=given.token, capabilities=offered
        )
    except ClientError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
