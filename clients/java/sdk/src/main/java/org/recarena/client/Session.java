package org.recarena.client;

import com.google.rpc.Status;
import io.grpc.Context;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingDeque;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.recarena.v1.CatalogChanged;
import org.recarena.v1.CatalogReady;
import org.recarena.v1.ConnectRequest;
import org.recarena.v1.ConnectResponse;
import org.recarena.v1.Drain;
import org.recarena.v1.Item;
import org.recarena.v1.Pong;
import org.recarena.v1.Registered;
import org.recarena.v1.RoundReady;

/**
 * One stream: from Register to the end.
 *
 * <p>A thread of gRPC hears what comes, answers pings and obeys CancelWork at once, and hands the
 * rest on in order. The seat's thread works through that, one message after the other; what the
 * recommender has to do is done in the recommender's own thread, and waited for as long as the
 * stream holds.
 */
final class Session implements Stream.Listener {
    /** For what is under way when one side leaves. */
    static final Duration GRACE = Duration.ofSeconds(5);

    // In the inbox: no more comes, or no more shall be done.
    private static final ConnectResponse STOP = ConnectResponse.newBuilder().build();

    private final Link link;
    private final Offer offer;
    private final ServeOptions options;
    private final String instanceId;
    private final Supplier<Engagement> renew;
    private final Stream stream;
    private final BlockingDeque<ConnectResponse> inbox = new LinkedBlockingDeque<>();
    private final Works works;
    // What the stream ended with; OK also where we did not wait for its end.
    private final CompletableFuture<io.grpc.Status> ended = new CompletableFuture<>();
    // Done when nothing that is under way is worth waiting for any more.
    private final CompletableFuture<Void> cut = new CompletableFuture<>();
    private volatile boolean heard;
    private volatile boolean runOver;
    private volatile boolean leaving;
    // Guarded by this.
    private boolean opened;
    // For the seat's thread.
    private Engagement engagement;
    private boolean begun;
    private boolean refused;

    /**
     * @param engagement the instance that serves
     * @param renew makes the next one, where the run that the server gives is not the one that the
     *     instance was serving
     */
    Session(
            Link link,
            ServeOptions options,
            String instanceId,
            Engagement engagement,
            Supplier<Engagement> renew) {
        this.link = link;
        this.options = options;
        this.offer = new Offer(options);
        this.instanceId = instanceId;
        this.engagement = engagement;
        this.renew = renew;
        this.stream = link.connect();
        this.works = new Works(stream::send);
    }

    /** The instance that serves now. */
    Engagement engagement() {
        return engagement;
    }

    /**
     * Serves until the stream ends.
     *
     * @throws RefusedException the server ended it for good
     * @throws RecommenderFailedException start, feedback, ready or catalogChanged threw
     * @throws BrokenProtocolException the server did what it must not
     */
    End run() {
        ConnectRequest.Builder register =
                ConnectRequest.newBuilder().setRegister(offer.register(instanceId, engagement));
        synchronized (this) {
            if (leaving) {
                return new End(End.How.LEFT, "", false);
            }
            opened = true;
            stream.open(this);
            send(register);
        }
        RuntimeException failure = null;
        try {
            conduct();
            sayGoodbye("");
        } catch (CancellationException over) {
            takeFeedbackThatCame(); // the stream's end says why
        } catch (StatusRuntimeException catalogLost) {
            failure = catalogLost;
            sayGoodbye("");
        } catch (RecArenaException wrong) {
            failure = wrong;
            sayGoodbye(wrong.getMessage());
        } finally {
            works.cancelAll();
            stream.cancel();
        }
        return end(failure);
    }

    /** Says Drain, finishes what was asked for, ends; after GRACE it just ends. */
    synchronized void leave() {
        if (leaving) {
            return;
        }
        leaving = true;
        if (opened) {
            send(ConnectRequest.newBuilder().setDrain(
                    Drain.newBuilder()
                            .setReason(Status.newBuilder().setMessage("the recommender leaves"))
                            .setGrace(
                                    com.google.protobuf.Duration.newBuilder()
                                            .setSeconds(GRACE.toSeconds()))));
        }
        inbox.add(STOP);
        cut.completeOnTimeout(null, GRACE.toMillis(), TimeUnit.MILLISECONDS);
    }

    // ------------------------------------------------------------------ in gRPC's thread
    @Override
    public void message(ConnectResponse message) {
        heard = true;
        switch (message.getMessageCase()) {
            case PING -> send(ConnectRequest.newBuilder().setPong(
                    Pong.newBuilder().setNonce(message.getPing().getNonce())));
            case CANCEL_WORK -> works.cancel(message.getCancelWork().getWorkId());
            case WORK_OUTCOME -> Works.tell(message.getWorkOutcome());
            case MESSAGE_NOT_SET -> { } // of a later version
            case DRAIN -> {
                runOver = message.getDrain().getReason().getCode() != Code.UNAVAILABLE.value();
                inbox.add(message);
            }
            default -> {
                var header = Works.header(message);
                if (header != null) {
                    works.arrived(header.getWorkId());
                }
                inbox.add(message);
            }
        }
    }

    @Override
    public void end(io.grpc.Status status) {
        works.cancelAll();
        if (!runOver) { // else the last feedback is still owed to the recommender
            cut.complete(null);
        }
        ended.complete(status);
        inbox.add(STOP);
    }

    // ------------------------------------------------------------------ in the seat's thread
    private void conduct() {
        ConnectResponse message = take();
        if (message == STOP) {
            return;
        }
        if (!message.hasRegistered()) {
            throw new BrokenProtocolException(
                    message.getMessageCase() + " came before registered");
        }
        begin(message.getRegistered());
        begun = true;
        works.handled(message.getSeq());
        while (true) {
            message = take();
            if (message == STOP || message.hasDrain()) {
                return;
            }
            handle(message);
            works.handled(message.getSeq());
        }
    }

    private void handle(ConnectResponse message) {
        switch (message.getMessageCase()) {
            case FEEDBACK_BATCH -> await(engagement.feedback(message.getFeedbackBatch()));
            case FEEDBACK_COLUMNS -> await(engagement.feedback(message.getFeedbackColumns()));
            case ROUND_STARTED -> {
                int round = message.getRoundStarted().getRound();
                await(engagement.ready(round));
                send(ConnectRequest.newBuilder().setRoundReady(
                        RoundReady.newBuilder().setRound(round)));
            }
            case CATALOG_CHANGED -> changeCatalog(message.getCatalogChanged());
            case RANK_WORK, RANK_BATCH, SEARCH_WORK, SEARCH_BATCH, CONVERSE_WORK -> {
                if (works.isWanted(Works.header(message).getWorkId())) {
                    ConnectResponse work = message;
                    await(engagement.work(() -> works.answer(work, engagement)));
                }
            }
            default -> { } // RoundEnded
        }
    }

    /**
     * Feedback that came before the stream broke is given to the recommender all the same, without
     * waiting for it: the cursor then tells the server that it need not come again.
     */
    private void takeFeedbackThatCame() {
        for (ConnectResponse message : begun ? inbox : List.<ConnectResponse>of()) {
            switch (message.getMessageCase()) {
                case FEEDBACK_BATCH -> engagement.feedback(message.getFeedbackBatch());
                case FEEDBACK_COLUMNS -> engagement.feedback(message.getFeedbackColumns());
                case CATALOG_CHANGED -> {
                    return; // what follows may speak of other items
                }
                default -> {} // will be sent again
            }
        }
    }

    private void begin(Registered registered) {
        offer.check(registered, engagement.recommender());
        works.limit(registered.getLimits().getMaxMessageBytes());
        if (engagement.run() != null && !registered.getResumed()) {
            Log.LOGGER.info("run " + name(engagement.run())
                    + " could not be resumed, starting afresh");
            engagement.close(GRACE);
            engagement = renew.get();
        }
        engagement.servedIn(registered.getSessionId());
        String version = registered.getCatalogVersion();
        if (engagement.run() == null) {
            RunInfo run = runInfo(registered);
            Log.LOGGER.info(
                    "serving run " + name(run) + " as " + options.recommenderId() + ": "
                            + run.userCount() + " users, " + run.catalog().size() + " items, "
                            + (run.columnar() ? "columnar" : "rich"));
            orRefuse(engagement.start(run), version);
        } else {
            Log.LOGGER.info("back in run " + name(engagement.run()) + " as "
                    + options.recommenderId());
            orRefuse(engagement.quiet(), version);
            if (!engagement.run().catalog().version().equals(version)) {
                orRefuse(engagement.catalogChanged(runInfo(registered)), version);
            }
        }
        sendCatalogReady(CatalogReady.newBuilder().setCatalogVersion(version));
    }

    private RunInfo runInfo(Registered registered) {
        var timeout = registered.getWorkTimeout();
        return new RunInfo(
                registered.getRunId(),
                registered.getEpoch(),
                load(registered.getCatalogVersion(), registered.getCatalogSize(), List.of()),
                registered.getUserCount(),
                registered.getPageSize(),
                registered.getRoundLimit(),
                List.copyOf(registered.getArmIdsList()),
                Offer.isColumnar(registered),
                Duration.ofSeconds(timeout.getSeconds(), timeout.getNanos()));
    }

    private void changeCatalog(CatalogChanged changed) {
        RunInfo run = engagement.run();
        String version = changed.getCatalogVersion();
        Catalog known = run.catalog();
        if (!known.version().equals(version)) {
            int first = changed.getChangedItemsList().stream().min(Integer::compare).orElse(0);
            List<Item> same = known.items().subList(0, Math.min(first, known.size()));
            Catalog catalog = load(version, changed.getCatalogSize(), same);
            orRefuse(engagement.catalogChanged(run.with(catalog)), version);
        }
        sendCatalogReady(CatalogReady.newBuilder().setCatalogVersion(version));
    }

    /** The catalogue; the call is broken off where the session is cut. */
    private Catalog load(String version, int size, List<Item> same) {
        Context.CancellableContext context = Context.current().withCancellation();
        cut.thenRun(() -> context.cancel(null));
        try {
            return context.wrap(() -> link.catalog(version, size, same)).call();
        } catch (RuntimeException error) {
            if (cut.isDone()) {
                throw over();
            }
            throw error;
        } catch (Exception impossible) {
            throw new IllegalStateException(impossible); // `catalog` declares none
        } finally {
            context.cancel(null);
        }
    }

    private void orRefuse(CompletableFuture<Void> step, String version) {
        try {
            await(step);
        } catch (RecommenderFailedException failure) {
            Status error =
                    Status.newBuilder()
                            .setCode(Code.INTERNAL.value())
                            .setMessage(Texts.described(failure.getCause()))
                            .build();
            sendCatalogReady(CatalogReady.newBuilder().setCatalogVersion(version).setError(error));
            refused = true;
            throw failure;
        }
    }

    /** The next message in order, STOP where there is none. */
    private ConnectResponse take() {
        try {
            ConnectResponse message = inbox.take();
            if (cut.isDone()) {
                inbox.addFirst(message);
                throw over();
            }
            return message;
        } catch (InterruptedException stopped) { // nobody does, unless it is to end
            throw over();
        }
    }

    /** Waits for what is under way, as long as the session holds. */
    private void await(CompletableFuture<Void> step) {
        try {
            CompletableFuture.anyOf(step, cut).join();
            if (!step.isDone()) {
                throw over();
            }
            step.join();
        } catch (CompletionException failed) {
            if (failed.getCause() instanceof RecArenaException known) {
                throw known;
            }
            throw failed;
        }
    }

    private static CancellationException over() {
        return new CancellationException("the session is over");
    }

    // ------------------------------------------------------------------ the end
    /** Closes our half and lets the server close its own. */
    private void sayGoodbye(String failure) {
        if (!failure.isEmpty() && !refused) {
            send(ConnectRequest.newBuilder().setDrain(Drain.newBuilder().setReason(
                    Status.newBuilder()
                            .setCode(Code.INTERNAL.value())
                            .setMessage(Texts.oneLine(failure)))));
        }
        stream.closeHalf();
        ended.completeOnTimeout(io.grpc.Status.OK, GRACE.toMillis(), TimeUnit.MILLISECONDS);
        CompletableFuture.anyOf(ended, leaving ? cut : ended).join();
    }

    private End end(RuntimeException failure) {
        if (failure instanceof RecArenaException) {
            throw failure;
        }
        if (leaving) {
            return new End(End.How.LEFT, "", heard);
        }
        if (runOver) {
            return new End(End.How.RUN_OVER, "", heard);
        }
        io.grpc.Status status =
                failure instanceof StatusRuntimeException lost
                        ? lost.getStatus()
                        : ended.getNow(io.grpc.Status.OK);
        return End.lost(status, heard);
    }

    private static String name(RunInfo run) {
        return Texts.oneLine(run.runId());
    }

    private void sendCatalogReady(CatalogReady.Builder ready) {
        send(ConnectRequest.newBuilder().setCatalogReady(ready));
    }

    private void send(ConnectRequest.Builder request) {
        stream.send(request.setAckSeq(works.acknowledged()).build());
    }
}
