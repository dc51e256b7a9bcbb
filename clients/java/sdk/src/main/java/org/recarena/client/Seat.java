package org.recarena.client;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.logging.Level;

/** One of the sessions that are kept: waits for a run, serves it, waits for the next. */
final class Seat implements Runnable {
    // A stream that held so long was a connection, also when the server had nothing to say.
    private static final Duration STEADY = Duration.ofSeconds(10);
    private static final Duration HASTE = Duration.ofMillis(100);

    private final Link link;
    private final ServeOptions options;
    private final String instanceId;
    private final Supplier<? extends Recommender> factory;
    private final CompletableFuture<Void> leaving;
    private volatile Session session;
    private Engagement engagement;

    Seat(
            Link link,
            ServeOptions options,
            String instanceId,
            Supplier<? extends Recommender> factory,
            CompletableFuture<Void> leaving) {
        this.link = link;
        this.options = options;
        this.instanceId = instanceId;
        this.factory = factory;
        this.leaving = leaving;
    }

    /** Serves run after run; throws what is final. */
    @Override
    public void run() {
        do {
            engagement = engage();
            try {
                serveRun();
            } finally {
                engagement.close(leaving.isDone() ? HASTE : Session.GRACE);
            }
        } while (!leaving.isDone() && !options.isOnce());
    }

    /** Makes the session say goodbye; `leaving` was completed before. */
    void leave() {
        Session current = session;
        if (current != null) {
            current.leave();
        }
    }

    private Engagement engage() {
        try {
            Recommender made = factory.get();
            if (made == null) {
                throw new NullPointerException("no recommender was made");
            }
            return new Engagement(made);
        } catch (RuntimeException | Error thrown) {
            throw new RecommenderFailedException("the factory", thrown);
        }
    }

    /** Serves one run to its end, through as many sessions as it takes. */
    private void serveRun() {
        long connected = System.nanoTime();
        int attempt = 0;
        while (true) {
            link.ready(deadline(connected), leaving);
            if (leaving.isDone()) {
                return;
            }
            long began = System.nanoTime();
            End end = oneSession(attempt == 0);
            if (end.how() != End.How.LOST || leaving.isDone()) {
                return;
            }
            long now = System.nanoTime();
            if (end.heard() || now - began > STEADY.toNanos()) {
                connected = now;
                attempt = 0;
            }
            Duration pause = Backoff.after(attempt++);
            Long until = deadline(connected);
            if (until != null && now + pause.toNanos() > until) {
                throw new UnreachableException(
                        "no session at " + link.server() + ": " + end.text());
            }
            Log.LOGGER.log(
                    attempt == 1 ? Level.WARNING : Level.FINE,
                    "session lost: " + end.text() + "; coming back");
            CompletableFuture<Void> paused =
                    new CompletableFuture<Void>()
                            .completeOnTimeout(null, pause.toMillis(), TimeUnit.MILLISECONDS);
            CompletableFuture.anyOf(paused, leaving).join();
        }
    }

    /** When to give up, where the last connection was at this time; null: never. */
    private Long deadline(long connected) {
        return options.retryFor().map(time -> connected + time.toNanos()).orElse(null);
    }

    private End oneSession(boolean first) {
        if (first && engagement.run() == null) {
            Log.LOGGER.info(
                    "waiting for a run as " + options.recommenderId() + " at " + link.server());
        }
        Session current = new Session(link, options, instanceId, engagement, this::engage);
        session = current;
        if (leaving.isDone()) { // `leave` may have missed it
            current.leave();
        }
        try {
            End end = current.run();
            RunInfo run = current.engagement().run();
            if (end.how() == End.How.RUN_OVER && run != null) {
                Log.LOGGER.info("run " + Texts.oneLine(run.runId()) + " is over");
            }
            return end;
        } finally {
            engagement = current.engagement();
            session = null;
        }
    }
}
