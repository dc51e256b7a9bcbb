package org.recarena.conformance;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.recarena.client.Columns;
import org.recarena.client.Catalog;
import org.recarena.client.ItemColumns;
import org.recarena.client.Ranked;
import org.recarena.client.Recommender;
import org.recarena.client.Reply;
import org.recarena.client.RunInfo;
import org.recarena.v1.CandidateSet;
import org.recarena.v1.ConverseWork;
import org.recarena.v1.Evidence;
import org.recarena.v1.Explanation;
import org.recarena.v1.ExplanationMode;
import org.recarena.v1.FeedbackBatch;
import org.recarena.v1.FeedbackColumns;
import org.recarena.v1.RankBatch;
import org.recarena.v1.RankQuery;
import org.recarena.v1.RankedItem;
import org.recarena.v1.SearchBatch;
import org.recarena.v1.SearchQuery;

/** Lists by item number, and tells what it was told when it is talked to. */
final class Conforming implements Recommender {
    private static final int FIRST_LONG_ROUND = 100;
    private static final Set<ExplanationMode> WANTED =
            Set.of(
                    ExplanationMode.EXPLANATION_MODE_TEXT,
                    ExplanationMode.EXPLANATION_MODE_STRUCTURED);
    private static final AtomicInteger MADE = new AtomicInteger();
    private static final AtomicInteger CLOSED = new AtomicInteger();

    private final int instance = MADE.incrementAndGet();
    private final List<String> calls = new ArrayList<>();
    private RunInfo run;

    @Override
    public void start(RunInfo given) {
        run = given;
        Catalog catalog = run.catalog();
        calls.add("start " + run.runId() + " " + catalog.version() + " " + catalog.size());
        refuse(catalog);
    }

    @Override
    public void catalogChanged(RunInfo given) {
        run = given;
        Catalog catalog = run.catalog();
        calls.add("catalogue " + catalog.version() + " " + catalog.size());
        refuse(catalog);
    }

    /** Throws where the catalogue is one to refuse. */
    private static void refuse(Catalog catalog) {
        if (catalog.version().equals("unusable")) {
            throw new IllegalStateException("told to refuse");
        }
    }

    @Override
    public void feedback(FeedbackBatch batch) {
        told(batch.getRound(), batch.getCursor(), batch.getInteractionsCount());
    }

    @Override
    public void feedbackColumns(FeedbackColumns batch) {
        told(batch.getRound(), batch.getCursor(), batch.getUserNumbersCount());
    }

    private void told(int round, String cursor, int rows) {
        calls.add("feedback " + round + " " + cursor + " " + rows);
    }

    @Override
    public void ready(int round) throws IOException {
        if (round >= FIRST_LONG_ROUND) {
            readLine();
        }
        calls.add("ready " + round);
    }

    // ------------------------------------------------------------------ works
    @Override
    public List<Ranked> rank(List<RankQuery> queries) {
        List<Ranked> lists = new ArrayList<>(queries.size());
        for (RankQuery query : queries) {
            lists.add(list(
                    query.getUser().getUserNumber(), query.getOffset(), query.getResultCount(),
                    query.getCandidates(), query.getExplanationMode()));
        }
        return lists;
    }

    @Override
    public List<Ranked> search(List<SearchQuery> queries) throws IOException {
        obey(queries.stream().map(SearchQuery::getText).toList());
        List<Ranked> lists = new ArrayList<>(queries.size());
        for (SearchQuery query : queries) {
            lists.add(findsNothing(query.getText())
                    ? Ranked.empty()
                    : list(query.getUser().getUserNumber(), query.getOffset(),
                            query.getResultCount(), query.getCandidates(),
                            query.getExplanationMode()));
        }
        return lists;
    }

    @Override
    public ItemColumns rankColumns(RankBatch batch) {
        int[] counts = new int[batch.getUserNumbersCount()];
        Arrays.fill(counts, batch.getResultCount());
        return columns(batch.getUserNumbersList(), batch.getOffsetsList(), counts);
    }

    @Override
    public ItemColumns searchColumns(SearchBatch batch) throws IOException {
        obey(batch.getTextsList());
        int[] texts = Columns.ints(batch.getTextNumbersList());
        int[] counts = new int[texts.length];
        for (int at = 0; at < counts.length; at++) {
            counts[at] = findsNothing(batch.getTexts(texts[at])) ? 0 : batch.getResultCount();
        }
        return columns(batch.getUserNumbersList(), batch.getOffsetsList(), counts);
    }

    @Override
    public Reply converse(ConverseWork work) {
        String said =
                "{\"instance\": " + instance + ", \"closed\": " + CLOSED.get() + ", \"calls\": "
                        + calls.stream().map(Conforming::quoted).collect(
                                Collectors.joining(", ", "[", "]"))
                        + "}";
        int[] offered = numbers(0, 0, work.getResultCount());
        return new Reply(said, Ranked.ofNumbers(run.catalog(), offered).withToken("talk"));
    }

    @Override
    public void close() {
        CLOSED.incrementAndGet();
    }

    // ------------------------------------------------------------------ lists
    private Ranked list(
            int user, int offset, int count, CandidateSet candidates, ExplanationMode mode) {
        Ranked list;
        boolean explained = WANTED.contains(mode);
        if (candidates.getExcludedItemIdsCount() == 0 && !explained) {
            list = Ranked.ofNumbers(run.catalog(), numbers(user, offset, count));
        } else {
            Set<String> excluded = new HashSet<>(candidates.getExcludedItemIdsList());
            List<String> page =
                    Arrays.stream(numbers(user, 0, run.catalog().size()))
                            .mapToObj(run.catalog().itemIds()::get)
                            .filter(id -> !excluded.contains(id))
                            .skip(offset)
                            .limit(count)
                            .toList();
            list = explained
                    ? Ranked.ofItems(page.stream().map(Conforming::explained).toList())
                    : Ranked.of(page);
        }
        return list.withToken("user " + user);
    }

    private ItemColumns columns(List<Integer> users, List<Integer> offsets, int[] counts) {
        int[] items = numbers(Columns.ints(users), Columns.ints(offsets), counts);
        return ItemColumns.of(items, counts);
    }

    /** The list of one user, as item numbers. */
    private int[] numbers(int user, int offset, int count) {
        return numbers(new int[] {user}, new int[] {offset}, new int[] {count});
    }

    /**
     * The lists of users, one behind the other. No {@code offsets} are offsets of 0; {@code counts}
     * are how many items are wanted, and afterwards how many there are.
     */
    private int[] numbers(int[] users, int[] offsets, int[] counts) {
        int size = run.catalog().size();
        int total = 0;
        for (int at = 0; at < users.length; at++) {
            int offset = offsets.length == 0 ? 0 : offsets[at];
            counts[at] = Math.max(0, Math.min(counts[at], size - offset));
            total += counts[at];
        }
        int[] items = new int[total];
        int filled = 0;
        for (int at = 0; at < users.length; at++) {
            int offset = offsets.length == 0 ? 0 : offsets[at];
            for (int rank = offset; rank < offset + counts[at]; rank++) {
                items[filled++] = (users[at] + rank) % size;
            }
        }
        return items;
    }

    private static RankedItem explained(String itemId) {
        return RankedItem.newBuilder()
                .setItemId(itemId)
                .setExplanation(
                        Explanation.newBuilder()
                                .setText("because of " + itemId)
                                .addEvidence(
                                        Evidence.newBuilder()
                                                .setKind(Evidence.Kind.KIND_ITEM)
                                                .setReference(itemId)))
                .build();
    }

    // ------------------------------------------------------------------ searches that ask for more
    private static void obey(List<String> texts) throws IOException {
        if (texts.contains("fail")) {
            throw new IllegalStateException("told to fail");
        }
        if (texts.contains("wait")) {
            readLine();
        }
    }

    private static boolean findsNothing(String text) {
        return text.equals("nothing");
    }

    private static void readLine() throws IOException {
        for (int one = System.in.read(); one != '\n' && one != -1; one = System.in.read()) {
            // up to the end of the line
        }
    }

    private static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
}
