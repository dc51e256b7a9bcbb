package org.recarena.client;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.recarena.v1.Capability;
import org.recarena.v1.Register;
import org.recarena.v1.Registered;

/** What a recommender says of itself when it registers. */
final class Offer {
    private static final int PROTOCOL_MINOR = 0;
    private static final Map<String, Method> METHODS =
            Stream.of(Recommender.class.getMethods())
                    .collect(Collectors.toMap(Method::getName, Function.identity()));

    private final ServeOptions options;

    Offer(ServeOptions options) {
        this.options = options;
    }

    /**
     * The first message of a session.
     *
     * @throws IllegalArgumentException the recommender has not the methods that the encoding needs
     */
    Register register(String instanceId, Engagement engagement) {
        Recommender recommender = engagement.recommender();
        Register.Builder register =
                Register.newBuilder()
                        .setRecommenderId(options.recommenderId())
                        .setInstanceId(instanceId)
                        .setSoftwareName(name(recommender))
                        .setSoftwareVersion(options.softwareVersion())
                        .setProtocolMinor(PROTOCOL_MINOR)
                        .addAllCapabilities(capabilities(recommender))
                        .setMaxOutstandingWork(options.maxOutstandingWork())
                        .setMaxUsersPerWork(options.maxUsersPerWork());
        RunInfo run = engagement.run();
        if (run != null) {
            register.setResumeSessionId(engagement.sessionId())
                    .setResumeRunId(run.runId())
                    .setFeedbackCursor(engagement.cursor())
                    .setCatalogVersion(run.catalog().version());
        }
        return register.build();
    }

    /** The capabilities to offer for a recommender, as {@link #register} does. */
    Set<Capability> capabilities(Recommender recommender) {
        List<String> missing = columnarGaps(recommender);
        boolean rich = overrides(recommender, "rank");
        String gaps = String.join(" and no ", missing);
        if (options.encoding() == Encoding.COLUMNAR && !missing.isEmpty()) {
            throw new IllegalArgumentException(
                    "encoding COLUMNAR, but " + name(recommender) + " has no " + gaps);
        }
        if (options.encoding() == Encoding.RICH && !rich) {
            throw new IllegalArgumentException(
                    "encoding RICH, but " + name(recommender) + " has no rank");
        }
        if (!missing.isEmpty() && !rich) {
            throw new IllegalArgumentException(
                    name(recommender) + " has no rank, and for columnar no " + gaps);
        }
        boolean columnar = missing.isEmpty() && options.encoding() != Encoding.RICH;
        return options.capabilities().orElseGet(() -> told(recommender, columnar));
    }

    /**
     * Whether the recommender has methods for the encoding that is in force.
     *
     * @throws BrokenProtocolException it has not, because the server does not know COLUMNAR
     */
    void check(Registered registered, Recommender recommender) {
        boolean columnar = isColumnar(registered);
        if (!columnar
                && (options.encoding() == Encoding.COLUMNAR || !overrides(recommender, "rank"))) {
            throw new BrokenProtocolException(
                    "the server does not know COLUMNAR, and " + name(recommender)
                            + " is served in that encoding alone");
        }
    }

    static boolean isColumnar(Registered registered) {
        return registered.getCapabilitiesList().contains(Capability.CAPABILITY_COLUMNAR);
    }

    /** What a recommender is called in logs and reports. */
    static String name(Recommender recommender) {
        String simple = recommender.getClass().getSimpleName();
        return simple.isEmpty() ? recommender.getClass().getName() : simple;
    }

    private static Set<Capability> told(Recommender recommender, boolean columnar) {
        Set<Capability> found = new TreeSet<>(Set.of(Capability.CAPABILITY_RANK));
        if (overrides(recommender, columnar ? "searchColumns" : "search")) {
            found.add(Capability.CAPABILITY_SEARCH);
        }
        if (overrides(recommender, "converse")) {
            found.add(Capability.CAPABILITY_CONVERSE);
        }
        if (columnar) {
            found.add(Capability.CAPABILITY_COLUMNAR);
        }
        return found;
    }

    /** What a columnar session would miss: rankColumns, and the columnar forms of what is there. */
    private static List<String> columnarGaps(Recommender recommender) {
        List<String> gaps = new ArrayList<>();
        if (!overrides(recommender, "rankColumns")) {
            gaps.add("rankColumns");
        }
        for (String rich : List.of("search", "feedback")) {
            if (overrides(recommender, rich) && !overrides(recommender, rich + "Columns")) {
                gaps.add(rich + "Columns");
            }
        }
        return gaps;
    }

    private static boolean overrides(Recommender recommender, String name) {
        Method method = METHODS.get(name);
        try {
            return recommender.getClass()
                            .getMethod(method.getName(), method.getParameterTypes())
                            .getDeclaringClass()
                    != Recommender.class;
        } catch (NoSuchMethodException impossible) {
            throw new IllegalStateException(impossible); // it is a method of the interface
        }
    }
}
