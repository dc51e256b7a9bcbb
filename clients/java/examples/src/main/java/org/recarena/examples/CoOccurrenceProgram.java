package org.recarena.examples;

import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.recarena.client.RecArena;
import org.recarena.client.RecArenaException;
import org.recarena.client.ServeOptions;
import org.recarena.v1.Capability;

/** Serves {@link CoOccurrence} from a command line; the token comes from RECARENA_TOKEN. */
public final class CoOccurrenceProgram {
    private static final String USAGE =
            "usage: co-occurrence [--server HOST:PORT] [--id NAME] [--retry-for SECONDS]";

    private CoOccurrenceProgram() {}

    /** Exits with 2 where the words are wrong, with 1 where the server will not have it. */
    public static void main(String[] words) {
        ServeOptions options;
        try {
            options = options(List.of(words).iterator());
        } catch (IllegalArgumentException wrong) {
            System.err.println("co-occurrence: " + wrong.getMessage());
            System.exit(2);
            return;
        }
        try {
            RecArena.serve(CoOccurrence::new, options);
        } catch (RecArenaException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }

    private static ServeOptions options(Iterator<String> words) {
        String name = "co-occurrence";
        String server = ServeOptions.DEFAULT_SERVER;
        Duration patience = null;
        while (words.hasNext()) {
            String word = words.next();
            switch (word) {
                case "--server" -> server = value(word, words);
                case "--id" -> name = value(word, words);
                case "--retry-for" -> patience = seconds(word, value(word, words));
                default -> throw new IllegalArgumentException("what is " + word + "? " + USAGE);
            }
        }
        ServeOptions options =
                ServeOptions.as(name)
                        .server(server)
                        .token(System.getenv("RECARENA_TOKEN"))
                        .capabilities(
                                Capability.CAPABILITY_RANK, Capability.CAPABILITY_SEARCH,
                                Capability.CAPABILITY_EXPLAIN);
        return patience == null ? options : options.retryFor(patience);
    }

    private static String value(String option, Iterator<String> words) {
        try {
            return words.next();
        } catch (NoSuchElementException nothing) {
            throw new IllegalArgumentException(option + " needs a value. " + USAGE);
        }
    }

    private static Duration seconds(String option, String value) {
        try {
            return Duration.ofMillis(Math.round(1000 * Double.parseDouble(value)));
        } catch (NumberFormatException no) {
            throw new IllegalArgumentException(option + " " + value + ": seconds are needed");
        }
    }
}
