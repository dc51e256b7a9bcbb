package org.recarena.client;

/** There was no connection for as long as {@link ServeOptions#retryFor} allows. */
public final class UnreachableException extends RecArenaException {
    private static final long serialVersionUID = 1L;

    UnreachableException(String message) {
        super(message);
    }
}
