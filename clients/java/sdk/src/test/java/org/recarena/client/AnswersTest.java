package org.recarena.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.recarena.v1.ConverseResult;
import org.recarena.v1.RankBatchResult;
import org.recarena.v1.RankResult;
import org.recarena.v1.RankedItem;

/** What becomes of answers, and which of them do not fit. */
class AnswersTest {
    private final Answers answers = new Answers(ValuesTest.catalog("a", "b"));

    @Test
    void listsAreSentInTheOrderOfTheQueries() {
        RankedItem scored = RankedItem.newBuilder().setItemId("b").setScore(0.5).build();
        RankResult result =
                answers.lists(
                        "rank", "w1",
                        List.of(
                                Ranked.of(List.of("b", "unknown", "b")).withToken("t"),
                                Ranked.ofItems(List.of(scored)), Ranked.empty()),
                        3);
        assertEquals("w1", result.getWorkId());
        assertEquals(List.of("b", "unknown", "b"), ids(result, 0));
        assertEquals("t", result.getLists(0).getAttributionToken());
        assertEquals(List.of(scored), result.getLists(1).getItemsList());
        assertEquals(0, result.getLists(2).getItemsCount());
        assertEquals(2, result.getLists(2).getQueryIndex());
    }

    @Test
    void columnsAreSentAsTheyAre() {
        int[] numbers = {1, 0, 1};
        RankBatchResult result =
                answers.columns(
                        "rankColumns", "w1", ItemColumns.of(numbers, new int[] {2, 1}), 2, 5);
        assertEquals(List.of(1, 0, 1), result.getItemNumbersList());
        assertEquals(List.of(2, 1), result.getListLengthsList());
        result = answers.columns("rankColumns", "w1", ItemColumns.of(numbers), 3, 1);
        assertEquals(List.of(), result.getListLengthsList());
    }

    @Test
    void aReplyHasItsItemsAndToken() {
        Ranked offered = Ranked.ofNumbers(ValuesTest.catalog("a", "b"), 1).withToken("t");
        ConverseResult result = answers.reply("converse", "w1", new Reply("this one", offered));
        assertEquals("this one", result.getReplyText());
        assertEquals("b", result.getItems(0).getItemId());
        assertEquals("t", result.getAttributionToken());
    }

    @ParameterizedTest
    @MethodSource("wrong")
    void anAnswerThatDoesNotFitIsToldInWords(String words, Supplier<Object> answer) {
        var error = assertThrows(WrongAnswerException.class, answer::get);
        assertEquals(words, error.getMessage());
    }

    static Stream<Arguments> wrong() {
        Answers one = new Answers(ValuesTest.catalog("a"));
        return Stream.of(
                wrong("rank returned null for 2 queries", () -> one.lists("rank", "w", null, 2)),
                wrong(
                        "rank returned 1 lists for 2 queries",
                        () -> one.lists("rank", "w", List.of(Ranked.empty()), 2)),
                wrong(
                        "rank, list 1: there is no list",
                        () -> one.lists("rank", "w", Arrays.asList(Ranked.empty(), null), 2)),
                wrong(
                        "rankColumns returned 3 items for 2 users × 2"
                                + " (give list lengths when lists differ)",
                        () -> columns(one, new int[] {0, 0, 0})),
                wrong(
                        "rankColumns returned 1 list lengths for 2 users",
                        () -> columns(one, new int[] {0, 0, 0}, 3)),
                wrong(
                        "rankColumns returned 3 items, but the list lengths add up to 4",
                        () -> columns(one, new int[] {0, 0, 0}, 2, 2)),
                wrong(
                        "rankColumns returned the item number -1",
                        () -> columns(one, new int[] {0, -1}, 1, 1)),
                wrong(
                        "rankColumns returned the list length -1",
                        () -> columns(one, new int[] {0}, 2, -1)),
                wrong(
                        "rankColumns returned null",
                        () -> one.columns("rankColumns", "w", null, 1, 1)));
    }

    private static Arguments wrong(String words, Supplier<Object> answer) {
        return Arguments.of(words, answer);
    }

    private static Object columns(Answers answers, int[] numbers, int... lengths) {
        return answers.columns("rankColumns", "w", ItemColumns.of(numbers, lengths), 2, 2);
    }

    private static List<String> ids(RankResult result, int list) {
        return result.getLists(list).getItemsList().stream().map(RankedItem::getItemId).toList();
    }
}
