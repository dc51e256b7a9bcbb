package org.recarena.client;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.recarena.v1.Capability;

/**
 * How a recommender is served. Each method gives options that differ in one thing:
 *
 * <pre>{@code
 * ServeOptions.as("popular").server("arena.example:7788").token(System.getenv("RECARENA_TOKEN"))
 * }</pre>
 */
public final class ServeOptions {
    /** Where a server listens unless it is told otherwise. */
    public static final String DEFAULT_SERVER = "127.0.0.1:7788";

    private static final Pattern ADDRESS = Pattern.compile("([^\\s/:]+|\\[[^\\s/]+]):\\d{1,5}");

    // Written before the options are given away, never after.
    private String recommenderId = "";
    private String server = DEFAULT_SERVER;
    private int sessions = 1;
    private Encoding encoding = Encoding.AUTO;
    private boolean once;
    private String softwareVersion = "";
    private int maxUsersPerWork;
    private int maxOutstandingWork;
    private Optional<Duration> retryFor = Optional.empty();
    private ChannelCredentials credentials = InsecureChannelCredentials.create();
    private String token = "";
    private Optional<Set<Capability>> capabilities = Optional.empty();

    private ServeOptions() {}

    /** Options of a recommender that arms of runs ask for by this name. */
    public static ServeOptions as(String recommenderId) {
        ServeOptions options = new ServeOptions();
        options.recommenderId = Objects.requireNonNull(recommenderId, "recommenderId");
        return options;
    }

    /** The server, as {@code host:port}; {@value #DEFAULT_SERVER} unless said otherwise. */
    public ServeOptions server(String address) {
        if (!ADDRESS.matcher(address).matches()) {
            throw new IllegalArgumentException(
                    "server " + Texts.oneLine(address) + ": HOST:PORT is needed, for example "
                            + DEFAULT_SERVER);
        }
        ServeOptions changed = copy();
        changed.server = address;
        return changed;
    }

    /** Runs to serve at the same time, each with a recommender of its own; 1 by default. */
    public ServeOptions sessions(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("sessions " + count + ": at least one is needed");
        }
        ServeOptions changed = copy();
        changed.sessions = count;
        return changed;
    }

    /** {@link Encoding#AUTO} by default. */
    public ServeOptions encoding(Encoding asked) {
        ServeOptions changed = copy();
        changed.encoding = Objects.requireNonNull(asked, "encoding");
        return changed;
    }

    /** Return when each session has served one run to its end. */
    public ServeOptions once() {
        ServeOptions changed = copy();
        changed.once = true;
        return changed;
    }

    /** Free text for reports. */
    public ServeOptions softwareVersion(String version) {
        ServeOptions changed = copy();
        changed.softwareVersion = Objects.requireNonNull(version, "softwareVersion");
        return changed;
    }

    /** Most users in one work; 0, which is the default: as the server likes. */
    public ServeOptions maxUsersPerWork(int users) {
        ServeOptions changed = copy();
        changed.maxUsersPerWork = notNegative("maxUsersPerWork", users);
        return changed;
    }

    /** Works to be given at once; 0, which is the default: as the server likes. */
    public ServeOptions maxOutstandingWork(int works) {
        ServeOptions changed = copy();
        changed.maxOutstandingWork = notNegative("maxOutstandingWork", works);
        return changed;
    }

    /** Give up after so long without a connection; without it, never. */
    public ServeOptions retryFor(Duration time) {
        ServeOptions changed = copy();
        changed.retryFor = Optional.of(time);
        return changed;
    }

    /** Of an encrypted channel, see {@link Tls}; without them it is not encrypted. */
    public ServeOptions credentials(ChannelCredentials ofChannel) {
        ServeOptions changed = copy();
        changed.credentials = Objects.requireNonNull(ofChannel, "credentials");
        return changed;
    }

    /** Sent as {@code authorization: Bearer} with every call; null or empty: none is. */
    public ServeOptions token(String bearer) {
        String given = bearer == null ? "" : bearer;
        if (!given.chars().allMatch(one -> one > ' ' && one <= '~')) {
            throw new IllegalArgumentException(
                    "token: it has characters that no token has, such as a space or a line break");
        }
        ServeOptions changed = copy();
        changed.token = given;
        return changed;
    }

    /**
     * Offered in place of what the recommender's methods tell, for example with EXPLAIN. RANK is
     * always among them.
     */
    public ServeOptions capabilities(Capability... offered) {
        Set<Capability> set = new TreeSet<>(Arrays.asList(offered));
        set.add(Capability.CAPABILITY_RANK);
        ServeOptions changed = copy();
        changed.capabilities = Optional.of(set);
        return changed;
    }

    String recommenderId() {
        return recommenderId;
    }

    String server() {
        return server;
    }

    int sessions() {
        return sessions;
    }

    Encoding encoding() {
        return encoding;
    }

    boolean isOnce() {
        return once;
    }

    String softwareVersion() {
        return softwareVersion;
    }

    int maxUsersPerWork() {
        return maxUsersPerWork;
    }

    int maxOutstandingWork() {
        return maxOutstandingWork;
    }

    Optional<Duration> retryFor() {
        return retryFor;
    }

    ChannelCredentials credentials() {
        return credentials;
    }

    boolean isEncrypted() {
        return !(credentials instanceof InsecureChannelCredentials);
    }

    String token() {
        return token;
    }

    Optional<Set<Capability>> capabilities() {
        return capabilities;
    }

    private ServeOptions copy() {
        ServeOptions same = new ServeOptions();
        same.recommenderId = recommenderId;
        same.server = server;
        same.sessions = sessions;
        same.encoding = encoding;
        same.once = once;
        same.softwareVersion = softwareVersion;
        same.maxUsersPerWork = maxUsersPerWork;
        same.maxOutstandingWork = maxOutstandingWork;
        same.retryFor = retryFor;
        same.credentials = credentials;
        same.token = token;
        same.capabilities = capabilities;
        return same;
    }

    private static int notNegative(String name, int number) {
        if (number < 0) {
            throw new IllegalArgumentException(name + " " + number + ": 0 or more is needed");
        }
        return number;
    }
}
