package org.recarena.client;

/** The server broke a rule of the session. */
public final class BrokenProtocolException extends RecArenaException {
    private static final long serialVersionUID = 1L;

    BrokenProtocolException(String message) {
        super(message);
    }
}
