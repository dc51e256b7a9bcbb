// Package recarena connects a recommender to a RecArena server.
//
// Write a type that is a [Recommender], and hand a function that makes one to [Serve]. Serve
// registers it, loads the catalogue, delivers feedback, asks for lists, answers heartbeats, and
// comes back when the connection breaks. What else the type can do is told by the further
// interfaces that it implements: [FeedbackTaker], [Trainer], [Searcher], [Converser],
// [ColumnRanker], [ColumnSearcher], [ColumnFeedbackTaker], [CatalogFollower] and [io.Closer].
//
// The messages that its methods are given are those of package recarenapb, whose comments are the
// manual.
package recarena
