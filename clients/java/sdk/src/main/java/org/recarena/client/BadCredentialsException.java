package org.recarena.client;

/** A file for TLS cannot be read, or is not what it is given as. */
public final class BadCredentialsException extends RecArenaException {
    private static final long serialVersionUID = 1L;

    BadCredentialsException(String message) {
        super(message);
    }
}
