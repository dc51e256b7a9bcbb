package org.recarena.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.EventLoop;
import io.grpc.netty.shaded.io.netty.channel.SingleThreadIoEventLoop;
import io.grpc.netty.shaded.io.netty.channel.nio.NioIoHandler;
import io.grpc.netty.shaded.io.netty.channel.socket.nio.NioSocketChannel;
import io.grpc.netty.shaded.io.netty.util.concurrent.DefaultThreadFactory;
import io.grpc.stub.MetadataUtils;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.recarena.v1.Item;
import org.recarena.v1.RecommenderServiceGrpc;
import org.recarena.v1.StreamCatalogRequest;

/** The one channel to the server that all sessions of a {@link Serving} share. */
final class Link {
    private static final long KEEPALIVE_S = 20;
    private static final long LAST_S = 1;
    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final String server;
    private final String how;
    // A thread of our own and not one that grpc-java shares: those outlive the channel, and a JVM
    // that exits waits a third of a second for threads that are in the network.
    private final EventLoop network =
            new SingleThreadIoEventLoop(
                    null, new DefaultThreadFactory("recarena-network", true),
                    NioIoHandler.newFactory());
    private final ManagedChannel channel;
    private final Channel calls;
    private final AtomicBoolean complained = new AtomicBoolean();
    // Guarded by this.
    private Catalog catalog = new Catalog("", List.of());

    Link(ServeOptions options) {
        this.server = options.server();
        this.how = options.isEncrypted() ? "over TLS" : "unencrypted";
        this.channel = NettyChannelBuilder.forTarget(server, options.credentials())
                .eventLoopGroup(network)
                .channelType(NioSocketChannel.class)
                .keepAliveTime(KEEPALIVE_S, TimeUnit.SECONDS)
                .keepAliveTimeout(KEEPALIVE_S, TimeUnit.SECONDS)
                // The session's Limits decide, not the channel: crossing a limit here would end
                // the stream.
                .maxInboundMessageSize(Integer.MAX_VALUE)
                .build();
        Metadata headers = new Metadata();
        if (!options.token().isEmpty()) {
            headers.put(AUTHORIZATION, "Bearer " + options.token());
        }
        this.calls = ClientInterceptors.intercept(
                channel, MetadataUtils.newAttachHeadersInterceptor(headers));
    }

    String server() {
        return server;
    }

    /**
     * Returns when there is a connection, or when {@code leaving} is done; says once that there is
     * no connection.
     *
     * @param until a time of {@link System#nanoTime}, or null
     * @throws UnreachableException there was none by then
     */
    void ready(Long until, CompletableFuture<Void> leaving) {
        int attempts = 0;
        while (!leaving.isDone()) {
            ConnectivityState state = channel.getState(true);
            if (state == ConnectivityState.READY) {
                complained.set(false);
                return;
            }
            if (until != null && System.nanoTime() >= until) {
                throw new UnreachableException("no connection to " + server + " " + how);
            }
            CompletableFuture<Void> step = new CompletableFuture<>();
            if (state == ConnectivityState.TRANSIENT_FAILURE) {
                complain();
                step.completeOnTimeout(
                        null, Backoff.after(attempts++).toMillis(), TimeUnit.MILLISECONDS);
            } else {
                channel.notifyWhenStateChanged(state, () -> step.complete(null));
            }
            if (until != null) {
                step.completeOnTimeout(
                        null, until - System.nanoTime(), TimeUnit.NANOSECONDS);
            }
            CompletableFuture.anyOf(step, leaving).join();
            // The channel's own pauses grow to two minutes; ours are those of the contract.
            channel.resetConnectBackoff();
        }
    }

    /** A new stream. */
    Stream connect() {
        return new Stream(
                calls.newCall(RecommenderServiceGrpc.getConnectMethod(), CallOptions.DEFAULT));
    }

    /**
     * The catalogue at one version, loaded once for all sessions.
     *
     * @param size how many items it must have; 0: any number
     * @param same the items that it begins with, which are not loaded again
     * @throws BrokenProtocolException it has another number
     * @throws StatusRuntimeException it cannot be loaded, or breaks off without getting any further
     */
    synchronized Catalog catalog(String version, int size, List<Item> same) {
        if (!catalog.version().equals(version) || size != 0 && size != catalog.size()) {
            catalog = new Catalog(version, items(version, same));
        }
        if (size != 0 && size != catalog.size()) {
            throw new BrokenProtocolException(
                    "catalogue " + Texts.oneLine(version) + " has " + catalog.size() + " items, "
                            + size + " were announced");
        }
        return catalog;
    }

    void close() {
        channel.shutdownNow();
        network.shutdownGracefully(0, LAST_S, TimeUnit.SECONDS);
        try {
            network.awaitTermination(LAST_S, TimeUnit.SECONDS);
        } catch (InterruptedException stop) {
            Thread.currentThread().interrupt();
        }
    }

    private List<Item> items(String version, List<Item> same) {
        List<Item> items = new ArrayList<>(same);
        String token = same.isEmpty() ? "" : Integer.toString(same.size());
        while (true) {
            String held = token;
            StreamCatalogRequest request =
                    StreamCatalogRequest.newBuilder()
                            .setCatalogVersion(version)
                            .setPageToken(token)
                            .build();
            try {
                var parts = RecommenderServiceGrpc.newBlockingStub(calls).streamCatalog(request);
                while (parts.hasNext()) {
                    var part = parts.next();
                    items.addAll(part.getItemsList());
                    token = part.getNextPageToken();
                }
            } catch (StatusRuntimeException broken) {
                if (token.equals(held)) {
                    throw broken;
                }
            }
            if (token.isEmpty()) {
                return items;
            }
            if (token.equals(held)) {
                throw new BrokenProtocolException(
                        "catalogue " + Texts.oneLine(version) + " ends in the middle");
            }
        }
    }

    private void complain() {
        if (!complained.getAndSet(true)) {
            Log.LOGGER.warning("cannot reach " + server + " " + how + ", trying again");
        }
    }
}
