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
    private final List<String> availableIds;

    /** A catalogue of these items, numbered in their order; for tests of recommenders, too. */
    public Catalog(String version, List<Item> items) {
        this.version = version;
        this.items = List.copyOf(items);
        this.itemIds = this.items.stream().map(Item::getItemId).toList();
        this.numbers = new HashMap<>(2 * items.size());
        for (int number = 0; number < itemIds.size(); number++) {
            numbers.put(itemIds.get(number), number);
        }
        this.availableIds = this.items.stream()
                .filter(item -> !item.getWithdrawn())
                .map(Item::getItemId)
                .toList();
    }

    /** A hash of the content. */
    public String version() {
        return version;
    }

    /**
     * All items, by item number. An item keeps its number for the whole run; one that was withdrawn
     * says so ({@code getWithdrawn}), and must be in no list any more.
     */
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

    /** Ids of the items that lists may have, in the same order: of all but those withdrawn. */
    public List<String> availableIds() {
        return availableIds;
    }

    /** How many items there are, with those that were withdrawn. */
    public int size() {
        return items.size();
    }
}
