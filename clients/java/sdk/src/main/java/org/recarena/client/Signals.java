package org.recarena.client;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Calls something at Ctrl-C and SIGTERM; the second one ends the program at once.
 *
 * <p>Java's own way, a shutdown hook, will not do: a JVM that goes down exits with 130 or 143
 * whatever the hook did, never returns from {@code serve}, and does not hear a second signal. What
 * can is {@code sun.misc.Signal}, of the module jdk.unsupported that every JDK has. It is called by
 * name, since javac warns of it in a way that cannot be turned off; a JVM without it ends as JVMs
 * do.
 */
final class Signals {
    private static final String[] NAMES = {"INT", "TERM"};

    private final Method handle;
    // sun.misc.Signal -> sun.misc.SignalHandler: what was there before.
    private final Map<Object, Object> before = new LinkedHashMap<>();

    private Signals(Method handle) {
        this.handle = handle;
    }

    /** Calls {@code leave} at the first signal; what undoes that. */
    static Runnable listen(Runnable leave) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Signals signals = new Signals(signal.getMethod("handle", signal, handler));
            Object byDefault = handler.getField("SIG_DFL").get(null);
            Object first = Proxy.newProxyInstance(
                    Signals.class.getClassLoader(), new Class<?>[] {handler},
                    (proxy, method, given) -> {
                        Log.LOGGER.info("leaving; a second Ctrl-C ends at once");
                        signals.before.keySet().forEach(one -> signals.set(one, byDefault));
                        leave.run();
                        return null;
                    });
            for (String name : NAMES) {
                Object one = signal.getConstructor(String.class).newInstance(name);
                signals.before.put(one, signals.set(one, first));
            }
            return () -> signals.before.forEach(signals::set);
        } catch (ReflectiveOperationException | IllegalArgumentException absent) {
            Log.LOGGER.fine("signals end this JVM at once: " + Texts.described(absent));
            return () -> {};
        }
    }

    /** The handler that was there; of a signal that the JVM leaves alone (-Xrs), none. */
    private Object set(Object signal, Object handler) {
        try {
            return handle.invoke(null, signal, handler);
        } catch (InvocationTargetException refused) {
            throw new IllegalArgumentException(refused.getCause());
        } catch (IllegalAccessException impossible) {
            throw new IllegalStateException(impossible); // it is a public method
        }
    }
}
