package org.recarena.client;

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
}
