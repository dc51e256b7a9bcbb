package org.recarena.client;

import java.time.Duration;
import java.util.List;

/**
 * The run that a recommender serves, from start to close.
 *
 * @param runId its name
 * @param epoch grows when the run is reset
 * @param catalog all items
 * @param userCount user numbers are below it
 * @param pageSize items on a page, which is the usual {@code result_count}
 * @param roundLimit rounds that the run is planned for; 0: open-ended
 * @param armIds arms of the run that this recommender serves
 * @param columnar true: rankColumns, searchColumns and feedbackColumns are called, not their
 *     namesakes
 * @param workTimeout what one work may take before it is withdrawn; zero: unknown
 */
public record RunInfo(
        String runId,
        int epoch,
        Catalog catalog,
        int userCount,
        int pageSize,
        int roundLimit,
        List<String> armIds,
        boolean columnar,
        Duration workTimeout) {

    RunInfo with(Catalog changed) {
        return new RunInfo(
                runId, epoch, changed, userCount, pageSize, roundLimit, armIds, columnar,
                workTimeout);
    }
}
