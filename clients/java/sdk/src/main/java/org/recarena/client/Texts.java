package org.recarena.client;

import io.grpc.Status;

/** Words of others on one line: a server and a recommender may say anything. */
final class Texts {
    private static final int LINE = 300;

    private Texts() {}

    /** {@code text} on one line of at most 300 characters. */
    static String oneLine(String text) {
        return oneLine(text, LINE);
    }

    /** {@code text} without control characters and breaks, at most {@code limit} characters. */
    static String oneLine(String text, int limit) {
        StringBuilder line = new StringBuilder(Math.min(text.length(), limit));
        int length = 0;
        boolean gap = false;
        for (int at = 0; at < text.length(); at += Character.charCount(text.codePointAt(at))) {
            int point = text.codePointAt(at);
            if (!printable(point)) {
                gap = length > 0;
                continue;
            }
            if (length + (gap ? 2 : 1) > limit) {
                line.setLength(line.offsetByCodePoints(line.length(), length < limit ? 0 : -1));
                return line.append('…').toString();
            }
            if (gap) {
                line.append(' ');
                length++;
                gap = false;
            }
            line.appendCodePoint(point);
            length++;
        }
        return line.toString();
    }

    /** Type and text of what was thrown. */
    static String described(Throwable thrown) {
        String message = thrown.getMessage();
        String text = message == null ? "" : oneLine(message);
        String type = thrown.getClass().getSimpleName();
        return text.isEmpty() ? type : type + ": " + text;
    }

    /** The words of a status, empty where it has none. */
    static String of(Status status) {
        return status.getDescription() == null ? "" : status.getDescription();
    }

    private static boolean printable(int point) {
        return switch (Character.getType(point)) {
            case Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE,
                    Character.UNASSIGNED, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR,
                    Character.SPACE_SEPARATOR -> false;
            default -> true;
        };
    }
}
