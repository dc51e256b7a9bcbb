package org.recarena.client;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.LocalTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.logging.ConsoleHandler;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** The SDK's log, of java.util.logging. */
final class Log {
    static final Logger LOGGER = Logger.getLogger("org.recarena.client");

    private Log() {}

    /**
     * Shows the log on stderr, a line each, where the program has not set up logging itself; what
     * undoes that.
     */
    static Runnable toStderr() {
        if (isSetUp()) {
            return () -> {};
        }
        Handler handler = new ConsoleHandler();
        handler.setFormatter(new Lines());
        LOGGER.addHandler(handler);
        LOGGER.setUseParentHandlers(false);
        return () -> {
            LOGGER.removeHandler(handler);
            LOGGER.setUseParentHandlers(true);
        };
    }

    private static boolean isSetUp() {
        if (System.getProperty("java.util.logging.config.file") != null
                || System.getProperty("java.util.logging.config.class") != null
                || LOGGER.getHandlers().length > 0
                || !LOGGER.getUseParentHandlers()) {
            return true;
        }
        // What Java sets up by itself is one ConsoleHandler.
        Handler[] root = Logger.getLogger("").getHandlers();
        return root.length != 1 || root[0].getClass() != ConsoleHandler.class;
    }

    /** The time of day and the message; the stack trace of what was thrown. */
    private static final class Lines extends Formatter {
        @Override
        public String format(LogRecord record) {
            String time =
                    LocalTime.now().truncatedTo(ChronoUnit.SECONDS)
                            .format(DateTimeFormatter.ISO_LOCAL_TIME);
            StringWriter text = new StringWriter();
            PrintWriter lines = new PrintWriter(text);
            lines.println(time + " " + formatMessage(record));
            if (record.getThrown() != null) {
                record.getThrown().printStackTrace(lines);
            }
            return text.toString();
        }
    }
}
