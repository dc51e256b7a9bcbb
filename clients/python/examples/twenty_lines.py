import sys
from collections import Counter

from recarena.client import Recommender, serve


class Popular(Recommender):
    """Shows what was watched most. Start it before the server or after it."""

    def start(self, run):
        self.watches, self.catalog = Counter(), run.catalog

    def catalog_changed(self, run):
        self.catalog = run.catalog

    def feedback(self, batch):
        self.watches.update(interaction.item_id for interaction in batch.interactions)

    def ready(self, round):
        self.best = sorted(self.catalog.available_ids, key=lambda one: -self.watches[one])

    def rank(self, queries):
        return [self.page(query, set(query.candidates.excluded_item_ids)) for query in queries]

    def page(self, query, excluded):
        fresh = [item_id for item_id in self.best if item_id not in excluded]
        return fresh[query.offset : query.offset + query.result_count]


if __name__ == "__main__":
    serve(Popular, "popular", server=sys.argv[1] if sys.argv[1:] else "127.0.0.1:7788")
