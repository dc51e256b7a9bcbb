package org.recarena.client;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.recarena.v1.Item;

/** All items at one version. Nothing in it changes, and runs that are served at once share it. */
public final class Catalog {
    /** What {@link #numberOf} says of an id that is not in the catalogue. */
    public static final int UNKNOWN = -1;

    private final String version;
    private final List<Item> items;
    private final List<String> itemIds;
    private final Map<String, Integer> numbers;

    /** A catalogue of these items, numbered in their order; for tests of recommenders, too. */
    public Catalog(String version, List<Item> items) {
        this.version = version;
        this.items = List.copyOf(items);
        this.itemIds = this.items.stream().map(Item::getItemId).toList();
        this.numbers = new HashMap<>(2 * items.size());
        for (int number = 0; number < itemIds.size(); number++) {
            numbers.put(itemIds.get(number), number);
        }
    }

    /** A hash of the content. */
    public String version() {
        return version;
    }

    /** All items, by item number. */
    public List<Item> items() {
        return items;
    }

    /** The ids of {@link #items}, in the same order. */
    public List<String> itemIds() {
        return itemIds;
    }

    /** The number of an item, or {@link #UNKNOWN}: the columnar form speaks in numbers. */
    public int numberOf(String itemId) {
        return numbers.getOrDefault(itemId, UNKNOWN);
    }

    /** How many items there are. */
    public int size() {
        return items.size();
    }
}
