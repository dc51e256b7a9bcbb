package org.recarena.examples;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.recarena.client.RecArena;
import org.recarena.client.RecArenaException;
import org.recarena.client.ServeOptions;
import org.recarena.client.Tls;
import org.recarena.v1.Capability;

/** Serves {@link CoOccurrence} as a command line says; the token comes from RECARENA_TOKEN. */
public final class CoOccurrenceProgram {
    private static final String HELP =
            """
            co-occurrence: a recommender that learns from feedback.

              --server HOST:PORT    where the server is (127.0.0.1:7788)
              --id NAME             the name that arms ask for (co-occurrence)
              --retry-for SECONDS   give up after so long without a connection (never)
              --tls                 encrypt, and trust the authorities that Java trusts
              --tls-ca FILE         encrypt, and trust this authority alone
              --tls-cert FILE       show this certificate
              --tls-key FILE        of that certificate

            RECARENA_TOKEN in the environment is the token that is shown.
            """;
    private static final List<String> WITH_VALUES =
            List.of("--server", "--id", "--retry-for", "--tls-ca", "--tls-cert", "--tls-key");

    private CoOccurrenceProgram() {}

    /** Exits with 2 where the words are wrong, with 1 where the server will not have it. */
    public static void main(String[] words) {
        if (List.of(words).contains("--help")) {
            System.out.print(HELP);
            return;
        }
        try {
            RecArena.serve(CoOccurrence::new, options(given(List.of(words).iterator())));
        } catch (RecArenaException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        } catch (IllegalArgumentException wrong) {
            System.err.println("co-occurrence: " + wrong.getMessage());
            System.exit(2);
        }
    }

    private static Map<String, String> given(Iterator<String> words) {
        Map<String, String> given = new HashMap<>();
        while (words.hasNext()) {
            String word = words.next();
            boolean valued = WITH_VALUES.contains(word);
            if (!valued && !word.equals("--tls")) {
                throw new IllegalArgumentException(
                        "there is no option " + word + " (--help lists them)");
            }
            if (valued && !words.hasNext()) {
                throw new IllegalArgumentException(word + " needs a value (--help says which)");
            }
            given.put(word, valued ? words.next() : "");
        }
        return given;
    }

    private static ServeOptions options(Map<String, String> given) {
        ServeOptions options =
                ServeOptions.as(given.getOrDefault("--id", "co-occurrence"))
                        .server(given.getOrDefault("--server", ServeOptions.DEFAULT_SERVER))
                        .token(System.getenv("RECARENA_TOKEN"))
                        .capabilities(
                                Capability.CAPABILITY_RANK, Capability.CAPABILITY_SEARCH,
                                Capability.CAPABILITY_EXPLAIN);
        if (given.containsKey("--retry-for")) {
            options = options.retryFor(seconds(given.get("--retry-for")));
        }
        boolean encrypted = given.keySet().stream().anyMatch(word -> word.startsWith("--tls"));
        return encrypted ? options.credentials(tls(given).credentials()) : options;
    }

    private static Tls tls(Map<String, String> given) {
        String authority = given.get("--tls-ca");
        String certificate = given.get("--tls-cert");
        String key = given.get("--tls-key");
        if ((certificate == null) != (key == null)) {
            throw new IllegalArgumentException(
                    "--tls-cert and --tls-key go together: one of them is missing");
        }
        Tls tls = authority == null ? Tls.system() : Tls.trusting(Path.of(authority));
        return key == null ? tls : tls.showing(Path.of(certificate), Path.of(key));
    }

    private static Duration seconds(String value) {
        try {
            return Duration.ofMillis(Math.round(1000 * Double.parseDouble(value)));
        } catch (NumberFormatException no) {
            throw new IllegalArgumentException("--retry-for " + value + ": seconds are needed");
        }
    }
}
