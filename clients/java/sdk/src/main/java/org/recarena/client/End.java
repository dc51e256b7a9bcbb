package org.recarena.client;

import io.grpc.Status;

/**
 * How a session ended.
 *
 * @param text why, in words
 * @param heard whether the server said anything at all
 */
record End(How how, String text, boolean heard) {
    enum How {
        /** The server needs this instance no more. */
        RUN_OVER,
        /** {@link Session#leave} was called. */
        LEFT,
        /** Come back. */
        LOST
    }

    /**
     * The end of a stream that ended with this status.
     *
     * @throws RefusedException it is final
     */
    static End lost(Status status, boolean heard) {
        if (status.isOk()) {
            return new End(How.LOST, "the server closed the stream", heard);
        }
        RefusedException refusal = RefusedException.of(status);
        if (refusal != null) {
            throw refusal;
        }
        String text = Texts.oneLine(Texts.of(status)) + " (" + status.getCode() + ")";
        return new End(How.LOST, text.strip(), heard);
    }
}
