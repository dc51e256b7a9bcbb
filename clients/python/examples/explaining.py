"""A recommender that explains: what was watched most, and the genre that the user watches most."""

import sys
from collections import Counter, defaultdict

from recarena.client import Capability, Evidence, Explanation, RankedItem, Recommender, serve


class Explaining(Recommender):
    """Popular items, each with the reason that speaks most for it."""

    def start(self, run):
        self.watches, self.tastes = Counter(), defaultdict(Counter)
        self.catalog_changed(run)

    def catalog_changed(self, run):
        self.items = {item.item_id: item for item in run.catalog.items}
        self.shown = run.catalog.available_ids

    def feedback(self, batch):
        for done in batch.interactions:
            self.watches[done.item_id] += 1
            self.tastes[done.user_id].update(self.items[done.item_id].categories)

    def ready(self, round):
        self.best = sorted(self.shown, key=lambda one: -self.watches[one])

    def rank(self, queries):
        return [self.page(query) for query in queries]

    def page(self, query):
        excluded = set(query.candidates.excluded_item_ids)
        fresh = [item_id for item_id in self.best if item_id not in excluded]
        page = fresh[query.offset : query.offset + query.result_count]
        return [RankedItem(item_id=one, explanation=self.reason(query, one)) for one in page]

    def reason(self, query, item_id):
        genres = self.items[item_id].categories
        if not query.explanation_mode or not genres:
            return None
        genre = max(genres, key=self.tastes[query.user.user_id].__getitem__)
        return Explanation(
            text=f"You often watch {genre}, and this is one.",
            locale="en",
            method="taste-template",
            evidence=[Evidence(kind=Evidence.KIND_FEATURE, reference=f"genre={genre}")],
        )


if __name__ == "__main__":
    server = sys.argv[1] if sys.argv[1:] else "127.0.0.1:7788"
    offered = [Capability.CAPABILITY_RANK, Capability.CAPABILITY_EXPLAIN]
    serve(Explaining, "mine", server=server, capabilities=offered)
