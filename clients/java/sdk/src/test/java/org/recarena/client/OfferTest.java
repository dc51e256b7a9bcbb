package org.recarena.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.recarena.v1.Capability;
import org.recarena.v1.FeedbackBatch;
import org.recarena.v1.RankBatch;
import org.recarena.v1.RankQuery;
import org.recarena.v1.Registered;
import org.recarena.v1.SearchBatch;
import org.recarena.v1.SearchQuery;

/** What the methods of a recommender tell of it. */
class OfferTest {
    private static final Capability RANK = Capability.CAPABILITY_RANK;
    private static final Capability SEARCH = Capability.CAPABILITY_SEARCH;
    private static final Capability COLUMNAR = Capability.CAPABILITY_COLUMNAR;

    private static class Ranks implements Recommender {
        @Override
        public List<Ranked> rank(List<RankQuery> queries) {
            return List.of();
        }
    }

    private static final class RanksAndSearches extends Ranks {
        @Override
        public List<Ranked> search(List<SearchQuery> queries) {
            return List.of();
        }
    }

    private static class RanksColumns implements Recommender {
        @Override
        public ItemColumns rankColumns(RankBatch batch) {
            return ItemColumns.of(new int[0]);
        }

        @Override
        public ItemColumns searchColumns(SearchBatch batch) {
            return ItemColumns.of(new int[0]);
        }
    }

    private static final class LearnsFromRichFeedbackAlone extends RanksColumns {
        @Override
        public void feedback(FeedbackBatch batch) {}
    }

    private static Set<Capability> offered(ServeOptions options, Recommender recommender) {
        return new Offer(options).capabilities(recommender);
    }

    private static ServeOptions options() {
        return ServeOptions.as("a");
    }

    @Test
    void methodsThatAreOverriddenAreOffered() {
        assertEquals(Set.of(RANK), offered(options(), new Ranks()));
        assertEquals(Set.of(RANK, SEARCH), offered(options(), new RanksAndSearches()));
        assertEquals(Set.of(RANK, SEARCH, COLUMNAR), offered(options(), new RanksColumns()));
    }

    @Test
    void capabilitiesThatAreGivenReplaceThem() {
        ServeOptions explains = options().capabilities(Capability.CAPABILITY_EXPLAIN);
        assertEquals(
                Set.of(RANK, Capability.CAPABILITY_EXPLAIN),
                offered(explains, new RanksAndSearches()));
    }

    @Test
    void anEncodingThatTheMethodsCannotServeIsRefusedByName() {
        ServeOptions rich = options().encoding(Encoding.RICH);
        ServeOptions columnar = options().encoding(Encoding.COLUMNAR);
        refused("encoding RICH, but RanksColumns has no rank", rich, new RanksColumns());
        refused(
                "encoding COLUMNAR, but RanksAndSearches has no rankColumns and no searchColumns",
                columnar, new RanksAndSearches());
        refused(
                "LearnsFromRichFeedbackAlone has no rank, and for columnar no feedbackColumns",
                options(), new LearnsFromRichFeedbackAlone());
    }

    @Test
    void aServerWithoutColumnarIsNotForARecommenderThatHasNothingElse() {
        Registered rich = Registered.newBuilder().addCapabilities(RANK).build();
        Registered both = rich.toBuilder().addCapabilities(COLUMNAR).build();
        Offer offer = new Offer(options());
        offer.check(both, new RanksColumns());
        offer.check(rich, new Ranks());
        assertThrows(
                BrokenProtocolException.class, () -> offer.check(rich, new RanksColumns()));
    }

    private static void refused(String words, ServeOptions options, Recommender recommender) {
        var error = assertThrows(
                IllegalArgumentException.class, () -> offered(options, recommender));
        assertEquals(words, error.getMessage());
    }
}
