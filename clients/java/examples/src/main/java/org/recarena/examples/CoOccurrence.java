package org.recarena.examples;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.recarena.client.Catalog;
import org.recarena.client.Ranked;
import org.recarena.client.Recommender;
import org.recarena.client.RunInfo;
import org.recarena.v1.CandidateSet;
import org.recarena.v1.Evidence;
import org.recarena.v1.Explanation;
import org.recarena.v1.ExplanationMode;
import org.recarena.v1.FeedbackBatch;
import org.recarena.v1.Interaction;
import org.recarena.v1.Item;
import org.recarena.v1.RankQuery;
import org.recarena.v1.RankedItem;
import org.recarena.v1.SearchQuery;

/**
 * What people who watched the same also watched: a complete recommender that learns from feedback.
 *
 * <p>The same recommender stands in Python, Go and TypeScript beside this one. They do the same
 * arithmetic in the same order, so that all four give the same lists to the same users:
 *
 * <ul>
 *   <li>An item counts as watched when it was viewed, liked, disliked, rated or shared; once for a
 *       user.
 *   <li>pairs(i, j) is how many users watched both, counted when the later of the two is watched,
 *       and only against the 100 items that the user watched last before it.
 *   <li>score(user, j) = the sum, over the 50 items i that the user watched last, in the order in
 *       which they were watched, of pairs(i, j) / sqrt(watches(i) * watches(j)).
 *   <li>Items that the user has not watched come first; then the higher score, the more watches,
 *       the earlier place in the catalogue.
 *   <li>Items that were withdrawn are in no list; those that are new are in all of them.
 *   <li>A search finds items whose titles have words of the query: more of them first, then more
 *       watches, then the earlier place.
 *   <li>An explanation names the watched item that adds most to the score; of equals, the one
 *       watched first. Where nothing adds, there is none.
 * </ul>
 */
final class CoOccurrence implements Recommender {
    private static final int PAIRED = 100;
    private static final int SCORED = 50;
    private static final Set<Interaction.Type> WATCHED =
            Set.of(
                    Interaction.Type.TYPE_VIEW_ITEM, Interaction.Type.TYPE_LIKE,
                    Interaction.Type.TYPE_DISLIKE, Interaction.Type.TYPE_RATE,
                    Interaction.Type.TYPE_SHARE);
    private static final Set<ExplanationMode> EXPLAINED =
            Set.of(
                    ExplanationMode.EXPLANATION_MODE_TEXT,
                    ExplanationMode.EXPLANATION_MODE_STRUCTURED);
    private static final String METHOD = "co-occurrence-template";
    private static final Pattern WORD = Pattern.compile("[a-z0-9]+");

    private Catalog catalog;
    // Numbers of the items that may be shown.
    private List<Integer> available;
    private List<Set<String>> titles;
    private int[] watches;
    // By item number: with which others, and how often.
    private List<Map<Integer, Integer>> pairs;
    private final Map<String, LinkedHashSet<Integer>> watched = new HashMap<>();
    private final Map<String, List<Integer>> orders = new HashMap<>();
    // All that was watched, in order.
    private List<Watch> past = new ArrayList<>();

    private record Watch(String userId, String itemId) {}

    @Override
    public void start(RunInfo run) {
        catalog = run.catalog();
        available = catalog.availableIds().stream().map(catalog::numberOf).toList();
        titles = catalog.items().stream().map(item -> words(item.getTitle())).toList();
        watches = new int[catalog.size()];
        pairs = catalog.items().stream()
                .map(item -> (Map<Integer, Integer>) new HashMap<Integer, Integer>())
                .toList();
        watched.clear();
        orders.clear();
        past = new ArrayList<>();
    }

    /** Everything is counted anew, with the items that there are now. */
    @Override
    public void catalogChanged(RunInfo run) {
        List<Watch> before = past;
        start(run);
        before.forEach(this::watch);
    }

    @Override
    public void feedback(FeedbackBatch batch) {
        orders.clear();
        for (Interaction done : batch.getInteractionsList()) {
            if (WATCHED.contains(done.getType())) {
                watch(new Watch(done.getUserId(), done.getItemId()));
            }
        }
    }

    private void watch(Watch one) {
        past.add(one);
        int item = catalog.numberOf(one.itemId());
        var before = watched.computeIfAbsent(one.userId(), user -> new LinkedHashSet<>());
        if (item == Catalog.UNKNOWN || before.contains(item)) {
            return;
        }
        for (int other : last(PAIRED, before)) {
            pairs.get(item).merge(other, 1, Integer::sum);
            pairs.get(other).merge(item, 1, Integer::sum);
        }
        before.add(item);
        watches[item]++;
    }

    // ------------------------------------------------------------------ lists
    @Override
    public List<Ranked> rank(List<RankQuery> queries) {
        List<Ranked> lists = new ArrayList<>();
        for (RankQuery query : queries) {
            String user = query.getUser().getUserId();
            List<Integer> page =
                    page(order(user), query.getCandidates(), query.getOffset(),
                            query.getResultCount());
            lists.add(ranked(user, page, query.getExplanationMode()));
        }
        return lists;
    }

    @Override
    public List<Ranked> search(List<SearchQuery> queries) {
        List<Ranked> lists = new ArrayList<>();
        for (SearchQuery query : queries) {
            List<Integer> page =
                    page(found(words(query.getText())), query.getCandidates(), query.getOffset(),
                            query.getResultCount());
            lists.add(ranked(query.getUser().getUserId(), page, query.getExplanationMode()));
        }
        return lists;
    }

    private List<Integer> page(
            List<Integer> order, CandidateSet candidates, int offset, int resultCount) {
        Set<String> excluded = new HashSet<>(candidates.getExcludedItemIdsList());
        return order.stream()
                .filter(item -> !excluded.contains(catalog.itemIds().get(item)))
                .skip(offset)
                .limit(resultCount)
                .toList();
    }

    /** All that may be shown, best first; worked out once until feedback comes again. */
    private List<Integer> order(String user) {
        return orders.computeIfAbsent(user, one -> {
            Set<Integer> seen = watched.getOrDefault(one, new LinkedHashSet<>());
            double[] scores = scores(one);
            return available.stream()
                    .sorted(Comparator.<Integer, Boolean>comparing(seen::contains)
                            .thenComparing(item -> -scores[item])
                            .thenComparing(item -> -watches[item])
                            .thenComparing(item -> item))
                    .toList();
        });
    }

    private double[] scores(String user) {
        double[] scores = new double[catalog.size()];
        for (int one : recent(user)) {
            pairs.get(one).forEach((item, both) -> scores[item] += share(both, one, item));
        }
        return scores;
    }

    private double share(int both, int one, int item) {
        return both / Math.sqrt((double) ((long) watches[one] * watches[item]));
    }

    private List<Integer> recent(String user) {
        return last(SCORED, watched.getOrDefault(user, new LinkedHashSet<>()));
    }

    private List<Integer> found(Set<String> wanted) {
        int[] hits = titles.stream()
                .mapToInt(title -> (int) title.stream().filter(wanted::contains).count())
                .toArray();
        return available.stream().filter(item -> hits[item] > 0)
                .sorted(Comparator.<Integer, Integer>comparing(item -> -hits[item])
                        .thenComparing(item -> -watches[item])
                        .thenComparing(item -> item))
                .toList();
    }

    // ------------------------------------------------------------------ reasons
    private Ranked ranked(String user, List<Integer> page, ExplanationMode mode) {
        List<Integer> reasons = EXPLAINED.contains(mode) ? recent(user) : List.of();
        return Ranked.ofItems(page.stream().map(item -> ranked(item, reasons)).toList());
    }

    private RankedItem ranked(int item, List<Integer> reasons) {
        RankedItem.Builder ranked =
                RankedItem.newBuilder().setItemId(catalog.itemIds().get(item));
        Item because = null;
        double most = 0;
        for (int one : reasons) {
            int both = pairs.get(one).getOrDefault(item, 0);
            double adds = both == 0 ? 0 : share(both, one, item);
            if (adds > most) {
                because = catalog.items().get(one);
                most = adds;
            }
        }
        if (because != null) {
            ranked.setExplanation(
                    Explanation.newBuilder()
                            .setText("Because you watched " + because.getTitle() + ".")
                            .setLocale("en")
                            .setMethod(METHOD)
                            .addEvidence(
                                    Evidence.newBuilder()
                                            .setKind(Evidence.Kind.KIND_ITEM)
                                            .setReference(because.getItemId())));
        }
        return ranked.build();
    }

    private static List<Integer> last(int count, LinkedHashSet<Integer> items) {
        return items.stream().skip(Math.max(0, items.size() - count)).toList();
    }

    /** Runs of ASCII letters and digits, in lower case. */
    private static Set<String> words(String text) {
        return WORD.matcher(text.toLowerCase(Locale.ROOT)).results()
                .map(MatchResult::group)
                .collect(Collectors.toSet());
    }
}
