package recarena

import (
	"context"
	"time"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// Recommender is what a type needs to be served. One value serves one run.
//
// Its methods, and those of the interfaces below, are called one after another in one goroutine,
// in the order of the session: they need no locks and may take their time, heartbeats go on in
// other goroutines. The context of Rank, Search, Converse and their columnar forms is cancelled
// when the server withdraws the work or the session is lost, and its deadline is that of the work.
// The context of the other methods is cancelled when Serve can wait for them no longer.
//
// An error, or a panic, in Rank, Search, Converse and their columnar forms costs that one answer.
// In Start, Feedback, Ready and CatalogChanged it ends Serve, since the model would no longer be
// what it is taken for.
type Recommender interface {
	// Start is called first, once, with the catalogue loaded. An error refuses the catalogue.
	Start(ctx context.Context, run *Run) error
	// Rank returns a list for each query, in the order of the queries.
	Rank(ctx context.Context, queries []*pb.RankQuery) ([]List, error)
}

// FeedbackTaker is a Recommender that learns.
type FeedbackTaker interface {
	// Feedback is called once per batch, in order; round 0 is what is known before the run.
	Feedback(ctx context.Context, batch *pb.FeedbackBatch) error
}

// Trainer is a Recommender that does something before each round.
type Trainer interface {
	// Ready is called when a round opens, with all feedback before it delivered: train here.
	Ready(ctx context.Context, round int) error
}

// Searcher is a Recommender that offers SEARCH.
type Searcher interface {
	// Search returns a list for each query, an empty one where nothing is found.
	Search(ctx context.Context, queries []*pb.SearchQuery) ([]List, error)
}

// Converser is a Recommender that offers CONVERSE.
type Converser interface {
	// Converse returns the next turn of a conversation.
	Converse(ctx context.Context, work *pb.ConverseWork) (Reply, error)
}

// ColumnRanker is a Recommender that offers COLUMNAR, provided that it has the columnar forms of
// Search and Feedback, too, where it has Search and Feedback.
type ColumnRanker interface {
	// RankColumns returns the lists of batch.UserNumbers.
	RankColumns(ctx context.Context, batch *pb.RankBatch) (Columns, error)
}

// ColumnSearcher is a Searcher's columnar form.
type ColumnSearcher interface {
	// SearchColumns returns the lists of the searches.
	SearchColumns(ctx context.Context, batch *pb.SearchBatch) (Columns, error)
}

// ColumnFeedbackTaker is a FeedbackTaker's columnar form.
type ColumnFeedbackTaker interface {
	// FeedbackColumns is called in place of Feedback where the session is columnar.
	FeedbackColumns(ctx context.Context, batch *pb.FeedbackColumns) error
}

// CatalogFollower is a Recommender that wants to know when items come or go.
type CatalogFollower interface {
	// CatalogChanged is called between rounds, before Ready; run.Catalog has the items that there are
	// now. They keep their numbers: new ones stand at the end, and those that were withdrawn are not
	// in run.Catalog.AvailableIDs.
	CatalogChanged(ctx context.Context, run *Run) error
}

// Run is what a Recommender serves, from Start to Close.
type Run struct {
	ID string
	// Epoch grows when the run is reset.
	Epoch   int
	Catalog *Catalog
	// UserCount is above all user numbers.
	UserCount int
	// PageSize is the usual result_count.
	PageSize int
	// RoundLimit is how many rounds are planned; 0: open-ended.
	RoundLimit int
	// ArmIDs are the arms of the run that this recommender serves.
	ArmIDs []string
	// Columnar tells that RankColumns, SearchColumns and FeedbackColumns are called in place of
	// Rank, Search and Feedback.
	Columnar bool
	// WorkTimeout is how long one work may take, 0: unknown. It is withdrawn after that.
	WorkTimeout time.Duration
}
