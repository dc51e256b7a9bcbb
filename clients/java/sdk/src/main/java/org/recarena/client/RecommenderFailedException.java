package org.recarena.client;

/** A method of the recommender threw; what it threw is the cause. */
public final class RecommenderFailedException extends RecArenaException {
    private static final long serialVersionUID = 1L;

    private final String method;

    RecommenderFailedException(String method, Throwable cause) {
        super(method + " threw " + Texts.described(cause), cause);
        this.method = method;
    }

    /** The method that threw. */
    public String method() {
        return method;
    }
}
