package org.recarena.client;

import java.util.AbstractList;
import java.util.List;
import java.util.Objects;
import org.recarena.v1.RankedItem;

/** One list, best first. */
public final class Ranked {
    private static final Ranked EMPTY = new Ranked(List.of(), List.of(), "");

    // One of the two is empty: ids are turned into messages where the list is sent, since the SDK
    // keeps a message for each id of the catalogue.
    private final List<String> ids;
    private final List<RankedItem> items;
    private final String token;

    private Ranked(List<String> ids, List<RankedItem> items, String token) {
        this.ids = ids;
        this.items = items;
        this.token = token;
    }

    /** A list of item ids. */
    public static Ranked of(List<String> itemIds) {
        return new Ranked(Objects.requireNonNull(itemIds, "itemIds"), List.of(), "");
    }

    /** A list of messages, with scores and explanations. */
    public static Ranked ofItems(List<RankedItem> items) {
        return new Ranked(List.of(), Objects.requireNonNull(items, "items"), "");
    }

    /** A list of item numbers: positions in {@code catalog}. */
    public static Ranked ofNumbers(Catalog catalog, int... itemNumbers) {
        List<String> all = catalog.itemIds();
        return of(
                new AbstractList<>() {
                    @Override
                    public String get(int rank) {
                        return all.get(itemNumbers[rank]);
                    }

                    @Override
                    public int size() {
                        return itemNumbers.length;
                    }
                });
    }

    /** A list without items: nothing was found. */
    public static Ranked empty() {
        return EMPTY;
    }

    /** The same list with a token, which comes back with the feedback about it. */
    public Ranked withToken(String attributionToken) {
        return new Ranked(ids, items, Objects.requireNonNull(attributionToken, "attributionToken"));
    }

    List<String> ids() {
        return ids;
    }

    List<RankedItem> items() {
        return items;
    }

    String token() {
        return token;
    }
}
