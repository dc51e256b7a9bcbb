package org.recarena.conformance;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.recarena.client.RecArena;
import org.recarena.client.RecArenaException;
import org.recarena.client.ServeOptions;
import org.recarena.v1.Capability;

/** The program that the script for the clients of all languages talks to. */
public final class ConformanceProgram {
    private ConformanceProgram() {}

    /** {@code --server HOST:PORT [--token TOKEN] [--columnar]}. */
    public static void main(String[] words) {
        ServeOptions options = ServeOptions.as("conformance");
        List<Capability> offered =
                new ArrayList<>(
                        List.of(
                                Capability.CAPABILITY_SEARCH, Capability.CAPABILITY_CONVERSE,
                                Capability.CAPABILITY_EXPLAIN));
        for (Iterator<String> given = List.of(words).iterator(); given.hasNext(); ) {
            String word = given.next();
            switch (word) {
                case "--server" -> options = options.server(given.next());
                case "--token" -> options = options.token(given.next());
                case "--columnar" -> offered.add(Capability.CAPABILITY_COLUMNAR);
                default -> throw new IllegalArgumentException("what is " + word + "?");
            }
        }
        try {
            RecArena.serve(
                    Conforming::new, options.capabilities(offered.toArray(Capability[]::new)));
        } catch (RecArenaException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }
}
