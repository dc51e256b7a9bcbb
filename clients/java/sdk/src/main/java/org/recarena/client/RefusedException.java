package org.recarena.client;

import io.grpc.Status;

/** The server's final no. A subclass says which. */
public abstract class RefusedException extends RecArenaException {
    private static final long serialVersionUID = 1L;

    private final Status.Code code;
    private final String text;

    RefusedException(Status status) {
        this(status.getCode(), Texts.oneLine(Texts.of(status)));
    }

    private RefusedException(Status.Code code, String text) {
        super("the server refused: " + (text.isEmpty() ? "no reason given" : text)
                + " (" + code + ")");
        this.code = code;
        this.text = text;
    }

    /** The status that the stream ended with. */
    public Status.Code code() {
        return code;
    }

    /** The server's words. */
    public String text() {
        return text;
    }

    /** The exception of a final status; null when it is worth coming back. */
    static RefusedException of(Status status) {
        return switch (status.getCode()) {
            case INVALID_ARGUMENT -> new InvalidRegister(status);
            case FAILED_PRECONDITION -> new PreconditionFailed(status);
            case UNAUTHENTICATED -> new NotAuthenticated(status);
            case PERMISSION_DENIED -> new NotPermitted(status);
            case ABORTED -> new Fenced(status);
            default -> null;
        };
    }

    /** The registration breaks a rule, for example the form of the recommender's id. */
    public static final class InvalidRegister extends RefusedException {
        private static final long serialVersionUID = 1L;

        InvalidRegister(Status status) {
            super(status);
        }
    }

    /** Server and recommender have no common ground, for example no common version. */
    public static final class PreconditionFailed extends RefusedException {
        private static final long serialVersionUID = 1L;

        PreconditionFailed(Status status) {
            super(status);
        }
    }

    /** The token or certificate is missing, expired or unknown. */
    public static final class NotAuthenticated extends RefusedException {
        private static final long serialVersionUID = 1L;

        NotAuthenticated(Status status) {
            super(status);
        }
    }

    /** The token or certificate is somebody else's. */
    public static final class NotPermitted extends RefusedException {
        private static final long serialVersionUID = 1L;

        NotPermitted(Status status) {
            super(status);
        }
    }

    /** A newer session of the same instance serves the run. */
    public static final class Fenced extends RefusedException {
        private static final long serialVersionUID = 1L;

        Fenced(Status status) {
            super(status);
        }
    }
}
