package org.recarena.client;

/**
 * Lists as item numbers, one list behind the other in the order of the work.
 *
 * <p>The arrays are read once, before the next method of the recommender is called: it may use them
 * again.
 */
public final class ItemColumns {
    private static final int[] NONE = {};

    private final int[] itemNumbers;
    private final int[] listLengths;

    private ItemColumns(int[] itemNumbers, int[] listLengths) {
        this.itemNumbers = itemNumbers;
        this.listLengths = listLengths;
    }

    /** Lists that all have {@code getResultCount()} items. */
    public static ItemColumns of(int[] itemNumbers) {
        return new ItemColumns(itemNumbers, NONE);
    }

    /** Lists of these lengths, one for each user. */
    public static ItemColumns of(int[] itemNumbers, int[] listLengths) {
        return new ItemColumns(itemNumbers, listLengths);
    }

    int[] itemNumbers() {
        return itemNumbers;
    }

    int[] listLengths() {
        return listLengths;
    }
}
