/** A complete recommender. Start it before the server or after it. */

import { serve } from "@recarena/client";
import type { FeedbackBatch, RankQuery, Recommender, RunInfo } from "@recarena/client";

/** Shows what was watched most, without what the user may not see again. */
class Popular implements Recommender {
  watches = new Map<string, number>();
  shown: readonly string[] = [];
  best: string[] = [];

  start(run: RunInfo) {
    this.shown = run.catalog.availableIds;
  }
  catalogChanged(run: RunInfo) {
    this.shown = run.catalog.availableIds;
  }
  feedback(batch: FeedbackBatch) {
    for (const { itemId } of batch.interactions) {
      this.watches.set(itemId, (this.watches.get(itemId) ?? 0) + 1);
    }
  }
  ready() {
    const watches = (id: string) => this.watches.get(id) ?? 0;
    this.best = [...this.shown].sort((a, b) => watches(b) - watches(a));
  }
  rank(queries: readonly RankQuery[]) {
    return queries.map(({ offset, resultCount, candidates }) => {
      const excluded = new Set(candidates?.excludedItemIds);
      return this.best.filter((id) => !excluded.has(id)).slice(offset, offset + resultCount);
    });
  }
}

await serve(() => new Popular(), "popular", { server: process.argv[2] ?? "127.0.0.1:7788" });
