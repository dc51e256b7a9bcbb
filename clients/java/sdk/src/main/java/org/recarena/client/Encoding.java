package org.recarena.client;

/** How works and feedback are put into messages. The same answers give the same event log. */
public enum Encoding {
    /** Columnar where the recommender has the methods for it, rich otherwise. */
    AUTO,
    /** In ids, with context, candidates and explanations: for tens of thousands of users. */
    RICH,
    /** In numbers of users and items, one column behind the other: for millions. */
    COLUMNAR
}
