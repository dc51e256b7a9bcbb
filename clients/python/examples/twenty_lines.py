"""A complete recommender. Start it before the server or after it."""

import sys
from collections import Counter

from recarena.client import Recommender, serve


class Popular(Recommender):
    """Shows what was watched most, without what the user may not see again."""

    def start(self, run):
        self.watches = Counter(dict.fromkeys(run.catalog.item_ids, 0))

    def feedback(self, batch):
        self.watches.update(interaction.item_id for interaction in batch.interactions)

    def ready(self, round):
        self.best = [item_id for item_id, _ in self.watches.most_common()]

    def rank(self, queries):
        return [self.page(query) for query in queries]

    def page(self, query):
        excluded = set(query.candidates.excluded_item_ids)
        fresh = [item_id for item_id in self.best if item_id not in excluded]
        return fresh[query.offset : query.offset + query.result_count]


if __name__ == "__main__":
    serve(Popular, "popular", server=sys.argv[1] if sys.argv[1:] else "127.0.0.1:7788")
