package org.recarena.client;

import java.util.List;
import org.recarena.v1.ConverseWork;
import org.recarena.v1.FeedbackBatch;
import org.recarena.v1.FeedbackColumns;
import org.recarena.v1.RankBatch;
import org.recarena.v1.RankQuery;
import org.recarena.v1.SearchBatch;
import org.recarena.v1.SearchQuery;

/**
 * Override {@link #rank} (or {@link #rankColumns}) and what else you need, and serve it.
 *
 * <p>One instance serves one run. Its methods are called by one thread, one after the other in the
 * order of the session: they need no locks and may take their time, for heartbeats are answered
 * elsewhere. Which methods are overridden says what the recommender offers, unless {@link
 * ServeOptions#capabilities} does.
 *
 * <p>An exception in {@code rank}, {@code search}, {@code converse} or their columnar forms costs
 * that one answer. An exception in {@code start}, {@code feedback}, {@code ready} or {@code
 * catalogChanged} ends {@code serve}, for the model would not be what it is taken for.
 */
public interface Recommender {

    /** Called first, once, with the catalogue loaded. To return is to accept the catalogue. */
    default void start(RunInfo run) throws Exception {}

    /** Each batch once, in order; round 0 is what is known before the run. */
    default void feedback(FeedbackBatch batch) throws Exception {}

    /** Called in place of {@link #feedback} where the session is columnar. */
    default void feedbackColumns(FeedbackColumns batch) throws Exception {}

    /** Called when a round opens, with all feedback before it delivered: train here. */
    default void ready(int round) throws Exception {}

    /** One list per query, in the order of the queries, each of {@code getResultCount()} items. */
    default List<Ranked> rank(List<RankQuery> queries) throws Exception {
        throw new UnsupportedOperationException(getClass().getSimpleName() + " has no rank");
    }

    /** One list per search; an empty one where nothing is found. Overriding it offers SEARCH. */
    default List<Ranked> search(List<SearchQuery> queries) throws Exception {
        throw new UnsupportedOperationException(getClass().getSimpleName() + " has no search");
    }

    /** The next turn of a conversation. Overriding it offers CONVERSE. */
    default Reply converse(ConverseWork work) throws Exception {
        throw new UnsupportedOperationException(getClass().getSimpleName() + " has no converse");
    }

    /** The lists of {@code batch.getUserNumbersList()}. Overriding it offers COLUMNAR. */
    default ItemColumns rankColumns(RankBatch batch) throws Exception {
        throw new UnsupportedOperationException(getClass().getSimpleName() + " has no rankColumns");
    }

    /** The lists of a {@code SearchBatch}, where the session is columnar. */
    default ItemColumns searchColumns(SearchBatch batch) throws Exception {
        throw new UnsupportedOperationException(
                getClass().getSimpleName() + " has no searchColumns");
    }

    /**
     * Called between rounds when items came or went, before {@link #ready}; the run's catalogue has
     * them. Items keep their numbers: new ones stand at the end, and those that were withdrawn are
     * not among {@link Catalog#availableIds}.
     */
    default void catalogChanged(RunInfo run) throws Exception {}

    /** Called last: the run is over, was lost to another instance, or the program ends. */
    default void close() throws Exception {}
}
