"""What people who watched the same also watched: a complete recommender that learns from feedback.

    python clients/python/examples/co_occurrence.py --server 127.0.0.1:7788

The same recommender stands in Go, Java and TypeScript beside this one. They do the same arithmetic
in the same order, so that all four give the same lists to the same users:

* An item counts as watched when it was viewed, liked, disliked, rated or shared; once for a user.
* pairs(i, j) is how many users watched both, counted when the later of the two is watched, and only
  against the 100 items that the user watched last before it.
* score(user, j) = the sum, over the 50 items i that the user watched last, in the order in which
  they were watched, of pairs(i, j) / sqrt(watches(i) * watches(j)).
* Items that the user has not watched come first; then the higher score, the more watches, the
  earlier place in the catalogue.
* Items that were withdrawn are in no list; those that are new are in all of them.
* A search finds items whose titles have words of the query: more of them first, then more
  watches, then the earlier place.
* An explanation names the watched item that adds most to the score; of equals, the one watched
  first. Where nothing adds, there is none.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from math import sqrt

from recarena.client import (
    Capability,
    ClientError,
    Evidence,
    Explanation,
    FeedbackBatch,
    RankedItem,
    RankQuery,
    Recommender,
    RunInfo,
    SearchQuery,
    serve,
)
from recarena.options import (
    add_connection_options,
    check_connection,
    connection_of,
)
from recarena.v1.types_pb2 import ExplanationMode, Interaction

WATCHED = {
    Interaction.TYPE_VIEW_ITEM, Interaction.TYPE_LIKE, Interaction.TYPE_DISLIKE,
    Interaction.TYPE_RATE, Interaction.TYPE_SHARE,
}  # fmt: skip
PAIRED, SCORED = 100, 50
EXPLAINED = {
    ExplanationMode.EXPLANATION_MODE_TEXT, ExplanationMode.EXPLANATION_MODE_STRUCTURED,
}  # fmt: skip
METHOD = "co-occurrence-template"


def words(text: str) -> set[str]:
    """Runs of ASCII letters and digits, in lower case."""
    return set(re.findall(r"[a-z0-9]+", text.lower()))


class CoOccurrence(Recommender):
    """Counts pairs as feedback comes; ranks and searches with the counts."""

    def start(self, run: RunInfo) -> None:
        self.items, self.number_of = run.catalog.items, run.catalog.number_of
        self.available = [self.number_of[one] for one in run.catalog.available_ids]
        self.titles = [words(item.title) for item in self.items]
        self.watches = [0] * len(self.items)
        self.pairs: defaultdict[int, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
        self.watched: defaultdict[str, dict[int, None]] = defaultdict(dict)
        self.orders: dict[str, list[int]] = {}
        self.past: list[tuple[str, str]] = []

    def catalog_changed(self, run: RunInfo) -> None:
        """Everything is counted anew, with the items that there are now."""
        past = self.past
        self.start(run)
        for user_id, item_id in past:
            self.watch(user_id, item_id)

    def feedback(self, batch: FeedbackBatch) -> None:
        self.orders.clear()
        for done in batch.interactions:
            if done.type in WATCHED:
                self.watch(done.user_id, done.item_id)

    def watch(self, user_id: str, item_id: str) -> None:
        self.past.append((user_id, item_id))
        item, watched = self.number_of.get(item_id), self.watched[user_id]
        if item is None or item in watched:
            return
        for other in list(watched)[-PAIRED:]:
            self.pairs[item][other] += 1
            self.pairs[other][item] += 1
        watched[item] = None
        self.watches[item] += 1

    # ------------------------------------------------------------------ lists
    def rank(self, queries: list[RankQuery]) -> list[list[RankedItem]]:
        return [self.page(query, self.order(query.user.user_id)) for query in queries]

    def search(self, queries: list[SearchQuery]) -> list[list[RankedItem]]:
        return [self.page(query, self.found(words(query.text))) for query in queries]

    def page(self, query: RankQuery | SearchQuery, order: list[int]) -> list[RankedItem]:
        excluded = set(query.candidates.excluded_item_ids)
        fresh = [item for item in order if self.items[item].item_id not in excluded]
        page = fresh[query.offset : query.offset + query.result_count]
        wanted = query.explanation_mode in EXPLAINED
        return [self.ranked(query.user.user_id, item, wanted) for item in page]

    def order(self, user_id: str) -> list[int]:
        """All that may be shown, best first; worked out once until feedback comes again."""
        if user_id not in self.orders:
            watched, scores = self.watched.get(user_id, {}), self.scores(user_id)
            self.orders[user_id] = sorted(
                self.available,
                key=lambda item: (item in watched, -scores[item], -self.watches[item], item),
            )
        return self.orders[user_id]

    def scores(self, user_id: str) -> list[float]:
        scores = [0.0] * len(self.items)
        for one in self.recent(user_id):
            for item, pairs in self.pairs[one].items():
                scores[item] += pairs / sqrt(self.watches[one] * self.watches[item])
        return scores

    def recent(self, user_id: str) -> list[int]:
        return list(self.watched.get(user_id, {}))[-SCORED:]

    def found(self, wanted: set[str]) -> list[int]:
        hits = [(len(wanted & self.titles[item]), item) for item in self.available]
        return [
            item
            for hit, item in sorted(hits, key=lambda at: (-at[0], -self.watches[at[1]], at[1]))
            if hit
        ]

    # ------------------------------------------------------------------ reasons
    def ranked(self, user_id: str, item: int, wanted: bool) -> RankedItem:
        ranked = RankedItem(item_id=self.items[item].item_id)
        because, most = None, 0.0
        for one in self.recent(user_id) if wanted else ():
            pairs = self.pairs[one].get(item, 0)
            adds = pairs / sqrt(self.watches[one] * self.watches[item]) if pairs else 0.0
            if adds > most:
                because, most = self.items[one], adds
        if because is not None:
            evidence = Evidence(kind=Evidence.KIND_ITEM, reference=because.item_id)
            text = f"Because you watched {because.title}."
            ranked.explanation.CopyFrom(
                Explanation(text=text, locale="en", evidence=[evidence], method=METHOD)
            )
        return ranked


def main() -> int:
    parser = argparse.ArgumentParser(description="A recommender that learns from feedback.")
    parser.add_argument("--id", default="co-occurrence", help="the name that arms ask for")
    add_connection_options(parser)
    given = parser.parse_args()
    check_connection(parser, given)
    offered = [
        Capability.CAPABILITY_RANK, Capability.CAPABILITY_SEARCH, Capability.CAPABILITY_EXPLAIN,
    ]  # fmt: skip
    try:
        serve(CoOccurrence, given.id, capabilities=offered, **connection_of(given))
    except ClientError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
