package org.recarena.client;

import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import org.recarena.v1.ConnectRequest;
import org.recarena.v1.ConnectResponse;

/** One Connect stream. Any thread may send; what comes is told in order, by a thread of gRPC. */
final class Stream {

    /** Hears what comes. It must return at once: heartbeats wait behind it. */
    interface Listener {
        void message(ConnectResponse message);

        /** Last. */
        void end(Status status);
    }

    private final ClientCall<ConnectRequest, ConnectResponse> call;
    // Guarded by this: a call allows one sender at a time, and none once its half is closed.
    private boolean closed;

    Stream(ClientCall<ConnectRequest, ConnectResponse> call) {
        this.call = call;
    }

    void open(Listener listener) {
        call.start(
                new ClientCall.Listener<>() {
                    @Override
                    public void onMessage(ConnectResponse message) {
                        listener.message(message);
                        call.request(1);
                    }

                    @Override
                    public void onClose(Status status, Metadata trailers) {
                        listener.end(status);
                    }
                },
                new Metadata());
        call.request(1);
    }

    /** Sends a message; nothing happens where nothing can be sent any more. */
    synchronized void send(ConnectRequest request) {
        if (!closed) {
            call.sendMessage(request);
        }
    }

    /** Closes our half. */
    synchronized void closeHalf() {
        if (!closed) {
            closed = true;
            call.halfClose();
        }
    }

    /** Breaks the stream off, where it is not over. */
    synchronized void cancel() {
        closed = true;
        call.cancel("the session is over", null);
    }
}
