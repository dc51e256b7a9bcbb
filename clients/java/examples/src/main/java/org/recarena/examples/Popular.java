package org.recarena.examples;

import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.recarena.client.Ranked;
import org.recarena.client.RecArena;
import org.recarena.client.Recommender;
import org.recarena.client.RunInfo;
import org.recarena.client.ServeOptions;
import org.recarena.v1.FeedbackBatch;
import org.recarena.v1.RankQuery;

/** Shows what was watched most, without what the user may not see again. */
public final class Popular implements Recommender {
    private final Map<String, Integer> watches = new HashMap<>();
    private List<String> shown = List.of();
    private List<String> best = List.of();

    @Override
    public void start(RunInfo run) {
        shown = run.catalog().availableIds();
    }

    @Override
    public void catalogChanged(RunInfo run) {
        shown = run.catalog().availableIds();
    }

    @Override
    public void feedback(FeedbackBatch batch) {
        batch.getInteractionsList().forEach(one -> watches.merge(one.getItemId(), 1, Integer::sum));
    }

    @Override
    public void ready(int round) {
        var leastFirst = Comparator.<String, Integer>comparing(id -> watches.getOrDefault(id, 0));
        best = shown.stream().sorted(leastFirst.reversed()).toList();
    }

    @Override
    public List<Ranked> rank(List<RankQuery> queries) {
        return queries.stream().map(this::page).toList();
    }

    private Ranked page(RankQuery query) {
        Set<String> excluded = Set.copyOf(query.getCandidates().getExcludedItemIdsList());
        var fresh = best.stream().filter(id -> !excluded.contains(id));
        return Ranked.of(fresh.skip(query.getOffset()).limit(query.getResultCount()).toList());
    }

    /** Serves it; start it before the server or after it. */
    public static void main(String[] args) {
        String server = args.length > 0 ? args[0] : ServeOptions.DEFAULT_SERVER;
        RecArena.serve(Popular::new, ServeOptions.as("popular").server(server));
    }
}
