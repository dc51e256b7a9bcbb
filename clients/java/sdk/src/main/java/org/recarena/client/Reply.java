package org.recarena.client;

import java.util.Objects;

/**
 * One turn of a conversation.
 *
 * @param text what is said
 * @param offered the items offered with it, best first, and their token
 */
public record Reply(String text, Ranked offered) {

    /** Checks that both are there. */
    public Reply {
        Objects.requireNonNull(text, "text");
        Objects.requireNonNull(offered, "offered");
    }

    /** Words without items. */
    public static Reply of(String text) {
        return new Reply(text, Ranked.empty());
    }
}
