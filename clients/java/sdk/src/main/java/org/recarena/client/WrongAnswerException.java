package org.recarena.client;

/** What the recommender returned does not fit the work. */
public final class WrongAnswerException extends RecArenaException {
    private static final long serialVersionUID = 1L;

    WrongAnswerException(String message) {
        super(message);
    }
}
