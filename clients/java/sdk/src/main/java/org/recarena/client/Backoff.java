package org.recarena.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/** How long to wait before coming back. */
final class Backoff {
    private static final long FIRST_MS = 100;
    private static final long LONGEST_MS = 5_000;

    private Backoff() {}

    /** The pause after so many attempts: doubling, capped, with jitter. */
    static Duration after(int attempts) {
        long longest = Math.min(LONGEST_MS, FIRST_MS << Math.min(attempts, 16));
        return Duration.ofMillis(ThreadLocalRandom.current().nextLong(longest / 2, longest + 1));
    }
}
