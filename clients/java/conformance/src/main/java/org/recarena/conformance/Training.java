package org.recarena.conformance;

import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.recarena.v1.Capability;
import org.recarena.v1.ConnectRequest;
import org.recarena.v1.ConnectResponse;
import org.recarena.v1.ConverseWork;
import org.recarena.v1.Drain;
import org.recarena.v1.FeedbackBatch;
import org.recarena.v1.Item;
import org.recarena.v1.Ping;
import org.recarena.v1.RankQuery;
import org.recarena.v1.RankWork;
import org.recarena.v1.RecommenderServiceGrpc;
import org.recarena.v1.Register;
import org.recarena.v1.Registered;
import org.recarena.v1.RoundStarted;
import org.recarena.v1.StreamCatalogRequest;
import org.recarena.v1.StreamCatalogResponse;

/**
 * Plays a short session with each of some programs, for the classes that they load: the build runs
 * it, and lays an archive of them (class data sharing) beside the jar of each. It halves the time
 * in which they start, and tests start them a hundred times.
 */
final class Training extends RecommenderServiceGrpc.RecommenderServiceImplBase {
    private static final String VERSION = "training";
    private static final long PATIENCE_S = 60;

    private final CountDownLatch played = new CountDownLatch(1);

    /** Exits with 0 where a session with each jar went from Register to the end of its run. */
    public static void main(String[] jars) throws Exception {
        for (String jar : jars) {
            Training training = new Training();
            InetSocketAddress anyPort = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
            Server server =
                    NettyServerBuilder.forAddress(anyPort, InsecureServerCredentials.create())
                            .addService(training)
                            .build()
                            .start();
            try {
                training.train(jar, "127.0.0.1:" + server.getPort());
            } finally {
                server.shutdownNow();
            }
        }
    }

    private void train(String jar, String server) throws IOException, InterruptedException {
        String archive = jar.replaceAll("jar$", "jsa");
        Process program =
                new ProcessBuilder(
                                "java", "-XX:ArchiveClassesAtExit=" + archive, "-XX:+UseSerialGC",
                                "-Xlog:disable", "-jar", jar, "--server", server)
                        .inheritIO()
                        .start();
        try {
            boolean done = played.await(PATIENCE_S, TimeUnit.SECONDS);
            program.destroy(); // it says goodbye, and the archive is written at its exit
            if (!done || !program.waitFor(PATIENCE_S, TimeUnit.SECONDS)) {
                throw new IllegalStateException(jar + " did not play its session to the end");
            }
        } finally {
            program.destroyForcibly();
        }
    }

    @Override
    public StreamObserver<ConnectRequest> connect(StreamObserver<ConnectResponse> client) {
        return new Session(client);
    }

    @Override
    public void streamCatalog(
            StreamCatalogRequest request, StreamObserver<StreamCatalogResponse> client) {
        client.onNext(
                StreamCatalogResponse.newBuilder()
                        .setCatalogVersion(VERSION)
                        .addItems(Item.newBuilder().setItemId("item"))
                        .build());
        client.onCompleted();
    }

    /** One stream: asks for a list and for a word, or for nothing where that was done before. */
    private final class Session implements StreamObserver<ConnectRequest> {
        private final StreamObserver<ConnectResponse> client;
        private boolean talks;

        Session(StreamObserver<ConnectResponse> client) {
            this.client = client;
        }

        @Override
        public void onNext(ConnectRequest request) {
            switch (request.getMessageCase()) {
                case REGISTER -> begin(request.getRegister());
                case CATALOG_READY -> {
                    send(response().setFeedbackBatch(FeedbackBatch.newBuilder().setCursor("1")));
                    send(response().setRoundStarted(RoundStarted.newBuilder().setRound(1)));
                }
                case ROUND_READY -> send(response().setRankWork(
                        RankWork.newBuilder().addQueries(
                                RankQuery.newBuilder().setResultCount(1))));
                case RANK_RESULT -> send(talks
                        ? response().setConverseWork(ConverseWork.newBuilder().setResultCount(1))
                        : response().setPing(Ping.getDefaultInstance()));
                case CONVERSE_RESULT -> send(response().setPing(Ping.getDefaultInstance()));
                case PONG -> send(response().setDrain(Drain.getDefaultInstance()));
                default -> {} // it says goodbye
            }
        }

        private void begin(Register register) {
            if (played.getCount() == 0) {
                return; // there is no other run
            }
            talks = register.getCapabilitiesList().contains(Capability.CAPABILITY_CONVERSE);
            send(response().setRegistered(
                    Registered.newBuilder()
                            .setRunId(VERSION)
                            .setCatalogVersion(VERSION)
                            .setCatalogSize(1)
                            .addAllCapabilities(register.getCapabilitiesList())));
        }

        @Override
        public void onError(Throwable error) {
            // The program says why.
        }

        @Override
        public void onCompleted() {
            client.onCompleted();
            played.countDown();
        }

        private void send(ConnectResponse.Builder response) {
            client.onNext(response.build());
        }

        private static ConnectResponse.Builder response() {
            return ConnectResponse.newBuilder();
        }
    }
}
