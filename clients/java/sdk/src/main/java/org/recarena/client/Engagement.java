package org.recarena.client;

import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import org.recarena.v1.FeedbackBatch;
import org.recarena.v1.FeedbackColumns;

/**
 * One recommender instance in one run. It outlives the sessions that the run is served in.
 *
 * <p>It calls the recommender in a thread of its own, in the order in which it is asked to, and
 * knows how far the recommender has come. What is called here goes on to its end also where the
 * session breaks meanwhile: the futures say when. All methods are for the seat's thread.
 */
final class Engagement {
    private static final int NO_ROUND = -1;

    /** A call of the recommender. */
    interface Call {
        void run() throws Exception;
    }

    private final Recommender recommender;
    private final ExecutorService worker;
    private final Set<String> cursors = new HashSet<>();
    private String cursor = "";
    private String sessionId = "";
    private RunInfo run;
    private Answers answers;
    // The round for which `ready` was last called, NO_ROUND where there was feedback since.
    private int readyFor = NO_ROUND;
    // The calls that were no works: where one failed, the model is not what it is taken for.
    private CompletableFuture<Void> alone = CompletableFuture.completedFuture(null);

    Engagement(Recommender recommender) {
        this.recommender = recommender;
        String name = "recarena-" + Offer.name(recommender);
        this.worker = Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task, name);
            thread.setDaemon(true); // it never keeps the program from ending
            return thread;
        });
    }

    Recommender recommender() {
        return recommender;
    }

    /** Null until {@link #start} was called: the instance is as good as new. */
    RunInfo run() {
        return run;
    }

    /** Of the last feedback that the recommender was given. */
    String cursor() {
        return cursor;
    }

    /** The session that the run was last served in. */
    String sessionId() {
        return sessionId;
    }

    void servedIn(String session) {
        this.sessionId = session;
    }

    Answers answers() {
        return answers;
    }

    /** Gives a new instance its run. Fails, as all below, where the recommender throws. */
    CompletableFuture<Void> start(RunInfo given) {
        take(given);
        return callAlone("start", () -> recommender.start(given));
    }

    /** Tells of a new version of the catalogue; {@code ready} is due again after it. */
    CompletableFuture<Void> catalogChanged(RunInfo given) {
        take(given);
        readyFor = NO_ROUND;
        return callAlone("catalogChanged", () -> recommender.catalogChanged(given));
    }

    /** Gives a batch to the recommender, unless it has had it. */
    CompletableFuture<Void> feedback(FeedbackBatch batch) {
        return isNew(batch.getCursor())
                ? callAlone("feedback", () -> recommender.feedback(batch))
                : quiet();
    }

    /** The same for the columnar form. */
    CompletableFuture<Void> feedback(FeedbackColumns batch) {
        return isNew(batch.getCursor())
                ? callAlone("feedbackColumns", () -> recommender.feedbackColumns(batch))
                : quiet();
    }

    /** Makes the recommender ready for a round; it is asked once, also after a break. */
    CompletableFuture<Void> ready(int round) {
        if (readyFor == round) {
            return quiet();
        }
        readyFor = round;
        return callAlone("ready", () -> recommender.ready(round));
    }

    /** Runs a work in the recommender's thread. */
    CompletableFuture<Void> work(Runnable work) {
        return CompletableFuture.runAsync(work, worker);
    }

    /** Done when nothing is under way; fails where a call that was no work has failed. */
    CompletableFuture<Void> quiet() {
        return CompletableFuture.allOf(alone, work(() -> {}));
    }

    /**
     * Says goodbye to the recommender, once; it is left alone where it is still busy after {@code
     * grace}.
     */
    void close(Duration grace) {
        if (worker.isShutdown()) {
            return;
        }
        String name = Offer.name(recommender);
        boolean quiet = quiet()
                .handle((nothing, error) -> true)
                .completeOnTimeout(false, grace.toMillis(), TimeUnit.MILLISECONDS)
                .join();
        if (!quiet) {
            Log.LOGGER.warning(name + " is still busy: left without close()");
        } else {
            try {
                work(() -> logged("close", recommender::close)).join();
            } catch (CompletionException logged) {
                // It was closed as well as it could be.
            }
        }
        worker.shutdown();
    }

    private void take(RunInfo given) {
        run = given;
        answers = new Answers(given.catalog());
    }

    /**
     * Notes the cursor, before the call: where the session breaks meanwhile, the call still goes on
     * to its end before anything else is asked of the recommender.
     */
    private boolean isNew(String of) {
        if (!of.isEmpty()) {
            if (!cursors.add(of)) {
                return false;
            }
            cursor = of;
        }
        readyFor = NO_ROUND;
        return true;
    }

    /** Calls a method unless one of those before has failed, which is then what fails here. */
    private CompletableFuture<Void> callAlone(String method, Call call) {
        alone = alone.thenRunAsync(() -> logged(method, call), worker);
        return alone;
    }

    private void logged(String method, Call call) {
        try {
            call.run();
        } catch (Throwable thrown) { // AssertionErrors are the recommender's, too
            RecommenderFailedException failure = new RecommenderFailedException(method, thrown);
            Log.LOGGER.log(
                    Level.SEVERE, Offer.name(recommender) + ": " + failure.getMessage(), thrown);
            throw failure;
        }
    }
}
