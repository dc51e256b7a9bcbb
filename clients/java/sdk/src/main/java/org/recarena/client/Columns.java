package org.recarena.client;

import com.google.protobuf.Internal;
import java.util.List;

/**
 * Columns of columnar messages as arrays.
 *
 * <p>A getter such as {@code batch.getUserNumbersList()} is typed as a list of objects, but stores
 * plain numbers: these methods copy them out without making an object of each.
 */
public final class Columns {
    private Columns() {}

    /** The numbers of a column of integers. */
    public static int[] ints(List<Integer> column) {
        int[] numbers = new int[column.size()];
        if (column instanceof Internal.IntList plain) {
            for (int row = 0; row < numbers.length; row++) {
                numbers[row] = plain.getInt(row);
            }
        } else {
            for (int row = 0; row < numbers.length; row++) {
                numbers[row] = column.get(row);
            }
        }
        return numbers;
    }

    /** The numbers of a column of floats, such as ratings: NaN where there is none. */
    public static float[] floats(List<Float> column) {
        float[] numbers = new float[column.size()];
        if (column instanceof Internal.FloatList plain) {
            for (int row = 0; row < numbers.length; row++) {
                numbers[row] = plain.getFloat(row);
            }
        } else {
            for (int row = 0; row < numbers.length; row++) {
                numbers[row] = column.get(row);
            }
        }
        return numbers;
    }
}
