package org.recarena.client;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;

/** A recommender that is being served, in threads of its own. {@link RecArena#start} makes one. */
public final class Serving implements AutoCloseable {
    private final Link link;
    private final CompletableFuture<Void> leaving = new CompletableFuture<>();
    private final List<Seat> seats = new ArrayList<>();
    private final CompletableFuture<Void> done;

    Serving(Supplier<? extends Recommender> factory, ServeOptions options) {
        this.link = new Link(options);
        String process = UUID.randomUUID().toString();
        List<CompletableFuture<Void>> running = new ArrayList<>();
        for (int number = 0; number < options.sessions(); number++) {
            seats.add(new Seat(link, options, process + "-" + number, factory, leaving));
        }
        CompletableFuture<Void> failed = new CompletableFuture<>();
        for (Seat seat : seats) {
            running.add(inThread(seat).whenComplete((nothing, error) -> {
                if (error != null) {
                    failed.completeExceptionally(error); // the first of them is thrown
                    leave();
                }
            }));
        }
        CompletableFuture<Void> all =
                CompletableFuture.allOf(running.toArray(CompletableFuture[]::new));
        this.done = all.handle((nothing, error) -> error)
                .thenCompose(error -> error == null ? all : failed)
                .whenComplete((nothing, error) -> link.close());
    }

    /** Makes all sessions say goodbye, finish what is under way for up to 5 seconds, and end. */
    public void leave() {
        leaving.complete(null);
        seats.forEach(Seat::leave);
    }

    /**
     * Returns when nothing is served any more.
     *
     * @throws RecArenaException what ended it, see {@link RecArena#serve}
     * @throws InterruptedException this thread was interrupted; serving goes on
     */
    public void await() throws InterruptedException {
        try {
            done.get();
        } catch (ExecutionException failed) {
            throw thrown(failed.getCause());
        }
    }

    /** Leaves, and returns when nothing is served any more; what ended it is not thrown. */
    @Override
    public void close() {
        leave();
        done.handle((nothing, error) -> null).join();
    }

    private static CompletableFuture<Void> inThread(Seat seat) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                seat.run();
                done.complete(null);
            } catch (Throwable thrown) { // it is handed to whoever waits
                done.completeExceptionally(thrown);
            }
        }, "recarena-seat");
        thread.setDaemon(true);
        thread.start();
        return done;
    }

    /** What a seat threw, to be thrown again: an unchecked exception, or an Error. */
    private static RuntimeException thrown(Throwable cause) {
        Throwable first = cause instanceof CompletionException wrapped ? wrapped.getCause() : cause;
        if (first instanceof Error error) {
            throw error;
        }
        return first instanceof RuntimeException known ? known : new IllegalStateException(first);
    }
}
