package org.recarena.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.recarena.v1.ConnectRequest;
import org.recarena.v1.ConnectResponse;
import org.recarena.v1.Drain;
import org.recarena.v1.FeedbackBatch;
import org.recarena.v1.RankQuery;
import org.recarena.v1.RecommenderServiceGrpc;
import org.recarena.v1.Registered;
import org.recarena.v1.RoundStarted;
import org.recarena.v1.StreamCatalogRequest;
import org.recarena.v1.StreamCatalogResponse;

/** Serving as a whole, with a server in the same JVM: what the conformance script cannot reach. */
@Timeout(20)
class ServingTest {
    private final AtomicInteger closed = new AtomicInteger();
    private final BlockingQueue<Client> clients = new LinkedBlockingQueue<>();
    private Server server;

    /** A client's stream, as the server sees it. */
    private record Client(
            StreamObserver<ConnectResponse> out, BlockingQueue<ConnectRequest> requests) {

        ConnectRequest next() throws InterruptedException {
            ConnectRequest request = requests.poll(10, TimeUnit.SECONDS);
            assertTrue(request != null, "nothing came");
            return request;
        }

        void send(ConnectResponse.Builder response) {
            out.onNext(response.build());
        }

        /** Gives the client a run of an empty catalogue. */
        void begin(String runId) throws InterruptedException {
            send(ConnectResponse.newBuilder()
                    .setRegistered(Registered.newBuilder().setRunId(runId).setCatalogVersion("v")));
            assertTrue(next().hasCatalogReady());
        }
    }

    private final class Service extends RecommenderServiceGrpc.RecommenderServiceImplBase {
        @Override
        public StreamObserver<ConnectRequest> connect(StreamObserver<ConnectResponse> out) {
            Client client = new Client(out, new LinkedBlockingQueue<>());
            clients.add(client);
            return new StreamObserver<>() {
                @Override
                public void onNext(ConnectRequest request) {
                    client.requests().add(request);
                }

                @Override
                public void onError(Throwable error) {
                    // It went away.
                }

                @Override
                public void onCompleted() {
                    out.onCompleted();
                }
            };
        }

        @Override
        public void streamCatalog(
                StreamCatalogRequest request, StreamObserver<StreamCatalogResponse> out) {
            out.onNext(StreamCatalogResponse.getDefaultInstance());
            out.onCompleted();
        }
    }

    private class Quiet implements Recommender {
        @Override
        public List<Ranked> rank(List<RankQuery> queries) {
            return List.of();
        }

        @Override
        public void close() {
            closed.incrementAndGet();
        }
    }

    @BeforeEach
    void open() throws IOException {
        server = NettyServerBuilder
                .forAddress(
                        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                        InsecureServerCredentials.create())
                .addService(new Service())
                .build()
                .start();
    }

    @AfterEach
    void close() {
        server.shutdownNow();
    }

    private ServeOptions options() {
        return ServeOptions.as("quiet").server("127.0.0.1:" + server.getPort());
    }

    private Client accepted() throws InterruptedException {
        Client client = clients.poll(10, TimeUnit.SECONDS);
        assertTrue(client != null, "nobody came");
        return client;
    }

    @Test
    void eachOfSeveralSessionsIsAnInstanceThatServesARunAndOnceIsEnough() throws Exception {
        Set<String> instances = new TreeSet<>();
        try (Serving serving = RecArena.start(Quiet::new, options().sessions(2).once())) {
            for (int number = 0; number < 2; number++) {
                Client client = accepted();
                instances.add(client.next().getRegister().getInstanceId());
                client.begin("run-" + number);
                client.send(ConnectResponse.newBuilder().setDrain(Drain.getDefaultInstance()));
            }
            serving.await();
        }
        assertEquals(2, instances.size());
        assertEquals(2, closed.get());
    }

    @Test
    void theErrorOfOneSessionMakesTheOthersLeaveAndIsThrown() throws Exception {
        try (Serving serving = RecArena.start(Quiet::new, options().sessions(2))) {
            Client refused = accepted();
            Client other = accepted();
            assertTrue(other.next().hasRegister());
            refused.out().onError(
                    Status.PERMISSION_DENIED.withDescription("not yours").asException());
            assertTrue(other.next().hasDrain());
            var error = assertThrows(RefusedException.NotPermitted.class, serving::await);
            assertEquals("not yours", error.text());
        }
        assertEquals(2, closed.get());
    }

    @Test
    void feedbackThatThrowsEndsServingWithItsCause() throws Exception {
        Supplier<Recommender> factory = () -> new Quiet() {
            @Override
            public void feedback(FeedbackBatch batch) throws IOException {
                throw new IOException("no disk");
            }
        };
        try (Serving serving = RecArena.start(factory, options())) {
            Client client = accepted();
            assertTrue(client.next().hasRegister());
            client.begin("run-1");
            client.send(feedback("a"));
            ConnectRequest goodbye = client.next();
            assertEquals(
                    "feedback threw IOException: no disk",
                    goodbye.getDrain().getReason().getMessage());
            var error = assertThrows(RecommenderFailedException.class, serving::await);
            assertEquals("feedback", error.method());
            assertInstanceOf(IOException.class, error.getCause());
        }
        assertEquals(1, closed.get());
    }

    @Test
    void feedbackThatCameBeforeTheStreamBrokeIsTakenOnceAlsoByABusyRecommender() throws Exception {
        BlockingQueue<String> calls = new LinkedBlockingQueue<>();
        CountDownLatch trained = new CountDownLatch(1);
        Supplier<Recommender> factory = () -> new Quiet() {
            @Override
            public void ready(int round) throws InterruptedException {
                calls.add("ready " + round);
                trained.await();
            }

            @Override
            public void feedback(FeedbackBatch batch) {
                calls.add("feedback " + batch.getCursor());
            }
        };
        try (Serving serving = RecArena.start(factory, options())) {
            Client first = accepted();
            assertTrue(first.next().hasRegister());
            first.begin("run-1");
            first.send(ConnectResponse.newBuilder()
                    .setRoundStarted(RoundStarted.newBuilder().setRound(1)));
            assertEquals("ready 1", calls.poll(10, TimeUnit.SECONDS));
            for (String cursor : List.of("a", "b")) {
                first.send(feedback(cursor));
            }
            first.out().onError(Status.UNAVAILABLE.asException());
            Client again = accepted();
            assertEquals("b", again.next().getRegister().getFeedbackCursor());
            trained.countDown();
            again.send(ConnectResponse.newBuilder()
                    .setRegistered(
                            Registered.newBuilder()
                                    .setRunId("run-1")
                                    .setCatalogVersion("v")
                                    .setResumed(true)));
            assertTrue(again.next().hasCatalogReady());
            again.send(feedback("b"));
            again.send(feedback("c"));
            for (String cursor : List.of("a", "b", "c")) {
                assertEquals("feedback " + cursor, calls.poll(10, TimeUnit.SECONDS));
            }
            serving.leave();
            serving.await();
        }
    }

    @Test
    void aFactoryThatFailsEndsServing() {
        try (Serving serving = RecArena.start(() -> null, options())) {
            var error = assertThrows(RecommenderFailedException.class, serving::await);
            assertEquals(
                    "the factory threw NullPointerException: no recommender was made",
                    error.getMessage());
        }
    }

    @Test
    void aRecommenderWithoutAnyRankIsRefused() {
        try (Serving serving = RecArena.start(() -> new Recommender() {}, options())) {
            assertThrows(IllegalArgumentException.class, serving::await);
        }
    }

    @Test
    void withoutAServerItGivesUpWhenItsPatienceIsOver() throws Exception {
        ServeOptions nobody =
                ServeOptions.as("quiet")
                        .server("127.0.0.1:" + freePort())
                        .retryFor(Duration.ofMillis(300));
        try (Serving serving = RecArena.start(Quiet::new, nobody)) {
            var error = assertThrows(UnreachableException.class, serving::await);
            assertEquals(
                    "no connection to " + nobody.server() + " unencrypted", error.getMessage());
        }
        assertEquals(1, closed.get());
    }

    @Test
    void withoutAServerItLeavesAtOnceWhenItIsTold() throws Exception {
        ServeOptions nobody = ServeOptions.as("quiet").server("127.0.0.1:" + freePort());
        try (Serving serving = RecArena.start(Quiet::new, nobody)) {
            serving.leave();
            serving.await();
        }
        assertEquals(1, closed.get());
    }

    @Test
    void anInterruptMakesServeLeaveInGoodOrder() throws Exception {
        BlockingQueue<Boolean> interrupted = new LinkedBlockingQueue<>();
        Thread serving = new Thread(() -> {
            RecArena.serve(Quiet::new, options());
            interrupted.add(Thread.currentThread().isInterrupted());
        });
        serving.start();
        Client client = accepted();
        assertTrue(client.next().hasRegister());
        serving.interrupt();
        assertTrue(client.next().hasDrain());
        assertEquals(true, interrupted.poll(10, TimeUnit.SECONDS));
        assertEquals(1, closed.get());
    }

    private static ConnectResponse.Builder feedback(String cursor) {
        return ConnectResponse.newBuilder()
                .setFeedbackBatch(FeedbackBatch.newBuilder().setCursor(cursor));
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
