package org.recarena.conformance;

import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import org.recarena.client.RecArena;
import org.recarena.client.ServeOptions;
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
import org.recarena.v1.Registered;
import org.recarena.v1.RoundStarted;
import org.recarena.v1.StreamCatalogRequest;
import org.recarena.v1.StreamCatalogResponse;

/**
 * Plays a short session with a server in the same JVM. The build runs it for the classes that it
 * loads: an archive of them (class data sharing) halves the time in which the program starts, and
 * the script starts it a hundred times.
 */
final class Training extends RecommenderServiceGrpc.RecommenderServiceImplBase {
    private static final String VERSION = "training";

    /** Exits with 0 where a session went from Register to the end of its run. */
    public static void main(String[] none) throws Exception {
        InetSocketAddress anyPort = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        Server server =
                NettyServerBuilder.forAddress(anyPort, InsecureServerCredentials.create())
                        .addService(new Training())
                        .build()
                        .start();
        try {
            RecArena.serve(
                    Conforming::new,
                    ServeOptions.as("training").server("127.0.0.1:" + server.getPort()).once());
        } finally {
            server.shutdownNow();
        }
    }

    @Override
    public StreamObserver<ConnectRequest> connect(StreamObserver<ConnectResponse> client) {
        return new StreamObserver<>() {
            @Override
            public void onNext(ConnectRequest request) {
                switch (request.getMessageCase()) {
                    case REGISTER -> send(response().setRegistered(
                            Registered.newBuilder()
                                    .setRunId(VERSION)
                                    .setCatalogVersion(VERSION)
                                    .setCatalogSize(1)
                                    .addAllCapabilities(
                                            request.getRegister().getCapabilitiesList())));
                    case CATALOG_READY -> {
                        send(response().setFeedbackBatch(
                                FeedbackBatch.newBuilder().setCursor("1")));
                        send(response().setRoundStarted(RoundStarted.newBuilder().setRound(1)));
                    }
                    case ROUND_READY -> send(response().setRankWork(
                            RankWork.newBuilder().addQueries(
                                    RankQuery.newBuilder().setResultCount(1))));
                    case RANK_RESULT -> send(response().setConverseWork(
                            ConverseWork.newBuilder().setResultCount(1)));
                    case CONVERSE_RESULT -> send(response().setPing(Ping.getDefaultInstance()));
                    case PONG -> send(response().setDrain(Drain.getDefaultInstance()));
                    default -> throw new IllegalStateException(request.toString());
                }
            }

            @Override
            public void onError(Throwable error) {
                // The client says why.
            }

            @Override
            public void onCompleted() {
                client.onCompleted();
            }

            private void send(ConnectResponse.Builder response) {
                client.onNext(response.build());
            }
        };
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

    private static ConnectResponse.Builder response() {
        return ConnectResponse.newBuilder();
    }
}
