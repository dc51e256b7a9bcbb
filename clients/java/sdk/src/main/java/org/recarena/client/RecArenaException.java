package org.recarena.client;

/**
 * Base of all that the SDK throws on purpose, with one line of text each.
 *
 * <pre>
 * RecArenaException
 * ├── RefusedException             the server said no for good: trying again would not help
 * │   ├── .InvalidRegister         INVALID_ARGUMENT: the registration breaks a rule
 * │   ├── .PreconditionFailed      FAILED_PRECONDITION: no common version, or RANK is missing
 * │   ├── .NotAuthenticated        UNAUTHENTICATED: the server does not know who this is
 * │   ├── .NotPermitted            PERMISSION_DENIED: this identity may not be that recommender
 * │   └── .Fenced                  ABORTED: a newer session of the same instance took the run
 * ├── UnreachableException         no connection for {@code retryFor}
 * ├── BadCredentialsException      files for TLS that cannot be used
 * ├── BrokenProtocolException      the server broke a rule of the session
 * ├── RecommenderFailedException   a method of the recommender threw; what it threw is the cause
 * └── WrongAnswerException         an answer does not fit its work (it becomes a WorkFailed)
 * </pre>
 */
public abstract class RecArenaException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    RecArenaException(String message) {
        super(message);
    }

    RecArenaException(String message, Throwable cause) {
        super(message, cause);
    }
}
