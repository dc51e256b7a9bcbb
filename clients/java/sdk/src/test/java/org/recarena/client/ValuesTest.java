package org.recarena.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.recarena.v1.FeedbackColumns;
import org.recarena.v1.Item;

/** Small values: pauses, words on a line, options, columns, statuses. */
class ValuesTest {

    @Test
    void pausesGrowFromATenthOfASecondToFiveSeconds() {
        for (int attempts = 0; attempts < 80; attempts++) {
            long longest = Math.min(5_000, 100L << Math.min(attempts, 20));
            for (int time = 0; time < 50; time++) {
                Duration pause = Backoff.after(attempts);
                assertTrue(pause.toMillis() >= longest / 2, pause + " after " + attempts);
                assertTrue(pause.toMillis() <= longest, pause + " after " + attempts);
            }
        }
    }

    @Test
    void pausesDiffer() {
        assertTrue(IntStream.range(0, 50).mapToObj(one -> Backoff.after(9)).distinct().count() > 1);
    }

    @Test
    void aLineHasNoControlCharacters() {
        assertEquals("[31mred next", Texts.oneLine("\u001b[31mred\r\n\t next\u2028\u0000 "));
        assertEquals("", Texts.oneLine("\n\u200b "));
    }

    @Test
    void aLineIsCutByCharactersAndNotInTheMiddleOfOne() {
        assertEquals("🎬🎬…", Texts.oneLine("🎬🎬🎬🎬", 3));
        assertEquals("ab cd", Texts.oneLine("ab\n\ncd", 5));
        assertEquals("ab…", Texts.oneLine("ab   cd", 3));
        assertEquals("abc…", Texts.oneLine("abc def", 4));
    }

    @Test
    void whatIsThrownIsDescribedByTypeAndText() {
        assertEquals("IllegalStateException: a b",
                Texts.described(new IllegalStateException("a\nb")));
        assertEquals("NullPointerException", Texts.described(new NullPointerException()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"nonsense", ":7788", "host:", "host:port", "http://host:80", ""})
    void anAddressWithoutHostAndPortIsRefused(String address) {
        var error = assertThrows(
                IllegalArgumentException.class, () -> ServeOptions.as("a").server(address));
        assertTrue(error.getMessage().contains("HOST:PORT is needed"), error.getMessage());
    }

    @ParameterizedTest
    @ValueSource(strings = {"localhost:1", "arena.example:7788", "[::1]:7788"})
    void anAddressOfHostAndPortIsTaken(String address) {
        assertEquals(address, ServeOptions.as("a").server(address).server());
    }

    @Test
    void aTokenWithALineBreakIsRefusedWithoutBeingTold() {
        var error = assertThrows(
                IllegalArgumentException.class, () -> ServeOptions.as("a").token("secret\n"));
        assertTrue(!error.getMessage().contains("secret"), error.getMessage());
        assertEquals("", ServeOptions.as("a").token(null).token());
    }

    @Test
    void optionsThatAreGivenAwayDoNotChange() {
        ServeOptions first = ServeOptions.as("a");
        assertEquals(3, first.sessions(3).sessions());
        assertEquals(1, first.sessions());
        assertThrows(IllegalArgumentException.class, () -> first.sessions(0));
        assertThrows(IllegalArgumentException.class, () -> first.maxUsersPerWork(-1));
    }

    @Test
    void columnsAreCopiedAsTheyAre() throws Exception {
        FeedbackColumns sent =
                FeedbackColumns.newBuilder()
                        .addAllUserNumbers(List.of(3, 0, 7))
                        .addAllValues(List.of(4.5f, Float.NaN))
                        .build();
        FeedbackColumns received = FeedbackColumns.parseFrom(sent.toByteString());
        assertArrayEquals(new int[] {3, 0, 7}, Columns.ints(received.getUserNumbersList()));
        assertArrayEquals(new float[] {4.5f, Float.NaN}, Columns.floats(received.getValuesList()));
        assertArrayEquals(new int[] {}, Columns.ints(received.getItemNumbersList()));
        assertArrayEquals(new int[] {1, 2}, Columns.ints(List.of(1, 2)));
        assertArrayEquals(new float[] {1}, Columns.floats(List.of(1f)));
    }

    @Test
    void anItemsNumberIsItsPlaceInTheCatalogue() {
        Catalog catalog = catalog("a", "b");
        assertEquals(1, catalog.numberOf("b"));
        assertEquals(Catalog.UNKNOWN, catalog.numberOf("c"));
        assertEquals(List.of("b", "a"), Ranked.ofNumbers(catalog, 1, 0).ids());
    }

    @Test
    void whatWasWithdrawnKeepsItsNumberAndIsNotAvailable() {
        Item gone = Item.newBuilder().setItemId("b").setWithdrawn(true).build();
        Catalog catalog = new Catalog("v2", List.of(
                Item.newBuilder().setItemId("a").build(), gone,
                Item.newBuilder().setItemId("c").build()));
        assertEquals(List.of("a", "c"), catalog.availableIds());
        assertEquals(2, catalog.numberOf("c"));
        assertEquals(1, catalog.numberOf("b"));
        assertEquals(3, catalog.size());
    }

    @Test
    void eachFinalStatusIsARefusalOfItsOwnKind() {
        Map<Status, Class<? extends RefusedException>> kinds =
                Map.of(
                        Status.INVALID_ARGUMENT, RefusedException.InvalidRegister.class,
                        Status.FAILED_PRECONDITION, RefusedException.PreconditionFailed.class,
                        Status.UNAUTHENTICATED, RefusedException.NotAuthenticated.class,
                        Status.PERMISSION_DENIED, RefusedException.NotPermitted.class,
                        Status.ABORTED, RefusedException.Fenced.class);
        for (Status.Code code : Status.Code.values()) {
            RefusedException refusal = RefusedException.of(code.toStatus().withDescription("n\no"));
            if (kinds.containsKey(code.toStatus())) {
                assertInstanceOf(kinds.get(code.toStatus()), refusal);
                assertEquals("the server refused: n o (" + code + ")", refusal.getMessage());
                assertEquals(code, refusal.code());
                assertEquals("n o", refusal.text());
            } else {
                assertNull(refusal, code + " is worth coming back");
            }
        }
    }

    static Catalog catalog(String... itemIds) {
        return new Catalog(
                "v1",
                java.util.Arrays.stream(itemIds)
                        .map(id -> Item.newBuilder().setItemId(id).build())
                        .toList());
    }
}
