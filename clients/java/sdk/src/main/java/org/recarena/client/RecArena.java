package org.recarena.client;

import java.util.Objects;
import java.util.function.Supplier;

/**
 * Serves recommenders.
 *
 * <pre>{@code
 * RecArena.serve(Popular::new, ServeOptions.as("popular"));
 * }</pre>
 */
public final class RecArena {
    private RecArena() {}

    /**
     * Serves runs until Ctrl-C or SIGTERM, or until one is over with {@link ServeOptions#once}.
     *
     * <p>Ctrl-C and SIGTERM make it say goodbye, finish what is under way for up to 5 seconds,
     * close the recommender and return; a second one ends the program at once. An interrupt of this
     * thread does the same, and stays set. What happens is told in lines on stderr, unless the
     * program has set up java.util.logging.
     *
     * @param factory makes a recommender, once per run
     * @throws RefusedException the server said no for good; a subclass for each reason
     * @throws UnreachableException there was no connection for {@link ServeOptions#retryFor}
     * @throws RecommenderFailedException the factory, start, feedback, ready or catalogChanged
     *     threw
     * @throws BrokenProtocolException the server broke a rule
     * @throws IllegalArgumentException the recommender has not the methods that the encoding needs
     */
    public static void serve(Supplier<? extends Recommender> factory, ServeOptions options) {
        Runnable silence = Log.toStderr();
        Serving serving = start(factory, options);
        Runnable ignoreSignals = Signals.listen(serving::leave);
        try {
            serving.await();
        } catch (InterruptedException stop) {
            serving.close();
            Thread.currentThread().interrupt();
        } finally {
            ignoreSignals.run();
            silence.run();
        }
    }

    /** {@link #serve} in threads of its own. Signals and logging are the caller's. */
    public static Serving start(Supplier<? extends Recommender> factory, ServeOptions options) {
        return new Serving(Objects.requireNonNull(factory, "factory"), options);
    }
}
