package recarena

import (
	"context"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// engagement is one recommender in one run. It outlives the sessions that the run is served in: a
// call that is going on when a session breaks is finished before anything else is asked.
//
// Its methods are for one goroutine at a time, that of the session which has the engagement.
type engagement struct {
	recommender Recommender
	// The capabilities to offer.
	features []pb.Capability
	// Nil until Start was called: the recommender is as good as new.
	run *Run
	// The session that the run was last served in.
	sessionID string
	// Of the last feedback that the recommender was given.
	cursor  string
	cursors map[string]struct{}
	// The round for which Ready was last called, 0 where it is due again.
	readyFor uint32

	logger *slog.Logger
	// Of the calls that are not works; cancelled where nobody waits for them any more.
	ctx    context.Context
	cancel context.CancelFunc
	calls  chan func()
	latest *call
}

// call is a method under way, or done.
type call struct {
	method string
	done   chan struct{}
	// The end of the engagement, if any; to be read once done is closed.
	err error
}

func engage(recommender Recommender, features []pb.Capability, logger *slog.Logger) *engagement {
	ctx, cancel := context.WithCancel(context.Background())
	e := &engagement{
		recommender: recommender, features: features, logger: logger,
		cursors: map[string]struct{}{}, ctx: ctx, cancel: cancel, calls: make(chan func(), 1),
	}
	go func() {
		for next := range e.calls {
			next()
		}
	}()
	return e
}

// start gives a new recommender its run.
func (e *engagement) start(ctx context.Context, run *Run) error {
	e.run = run
	return e.alone(ctx, "Start", func(ctx context.Context) error {
		return e.recommender.Start(ctx, run)
	})
}

// catalogChanged tells of a new version of the catalogue.
func (e *engagement) catalogChanged(ctx context.Context, run *Run) error {
	e.run, e.readyFor = run, 0
	follower, ok := e.recommender.(CatalogFollower)
	if !ok {
		return e.quiet(ctx)
	}
	return e.alone(ctx, "CatalogChanged", func(ctx context.Context) error {
		return follower.CatalogChanged(ctx, run)
	})
}

// feedback gives a batch to the recommender, unless it has had it.
func (e *engagement) feedback(ctx context.Context, batch *pb.FeedbackBatch) error {
	if !e.isNew(batch.GetCursor()) {
		return nil
	}
	taker, ok := e.recommender.(FeedbackTaker)
	if !ok {
		return nil
	}
	return e.alone(ctx, "Feedback", func(ctx context.Context) error {
		return taker.Feedback(ctx, batch)
	})
}

// feedbackColumns is the columnar form of feedback.
func (e *engagement) feedbackColumns(ctx context.Context, batch *pb.FeedbackColumns) error {
	if !e.isNew(batch.GetCursor()) {
		return nil
	}
	taker, ok := e.recommender.(ColumnFeedbackTaker)
	if !ok {
		return nil
	}
	return e.alone(ctx, "FeedbackColumns", func(ctx context.Context) error {
		return taker.FeedbackColumns(ctx, batch)
	})
}

// isNew notes a cursor, before the call that it is of: when the session breaks meanwhile, the call
// still goes on to its end before anything else is asked of the recommender.
func (e *engagement) isNew(cursor string) bool {
	if _, had := e.cursors[cursor]; had {
		return false
	}
	if cursor != "" {
		e.cursors[cursor] = struct{}{}
		e.cursor = cursor
	}
	e.readyFor = 0
	return true
}

// ready returns when the recommender is ready for the round; it is asked once, also after a break.
func (e *engagement) ready(ctx context.Context, round uint32) error {
	trainer, ok := e.recommender.(Trainer)
	if !ok || e.readyFor == round {
		return e.quiet(ctx)
	}
	e.readyFor = round
	return e.alone(ctx, "Ready", func(ctx context.Context) error {
		return trainer.Ready(ctx, int(round))
	})
}

// alone calls a method whose failure ends the engagement.
func (e *engagement) alone(ctx context.Context, method string, do func(context.Context) error) error {
	return e.call(ctx, method, func() error {
		err := protected(func() error { return do(e.ctx) })
		if err == nil {
			return nil
		}
		err = &RecommenderError{method, err}
		logFailure(e.logger, err)
		return err
	})
}

// call waits for what is under way, then for do in the recommender's goroutine. It waits no longer
// than the context lasts; the call goes on without it. An error of do ends the engagement.
func (e *engagement) call(ctx context.Context, method string, do func() error) error {
	if err := e.quiet(ctx); err != nil {
		return err
	}
	one := &call{method: method, done: make(chan struct{})}
	e.latest = one
	e.calls <- func() {
		defer close(one.done)
		one.err = do()
	}
	return e.quiet(ctx)
}

// quiet returns when nothing is under way, with the error of a call that ended the engagement: its
// session may have broken before it failed.
func (e *engagement) quiet(ctx context.Context) error {
	if e.latest == nil {
		return nil
	}
	select {
	case <-e.latest.done:
		return e.latest.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close says goodbye to the recommender; one that is still busy after grace is told by its context,
// and left without Close.
func (e *engagement) close(grace time.Duration) {
	defer close(e.calls)
	defer e.cancel()
	ctx, stop := context.WithTimeout(context.Background(), grace)
	defer stop()
	_ = e.quiet(ctx) // an error was logged when it happened; Close is owed all the same
	if e.latest != nil {
		select {
		case <-e.latest.done:
		default:
			e.logger.Warn("the recommender is busy: left without Close",
				"type", typeName(e.recommender), "method", e.latest.method)
			return
		}
	}
	closer, ok := e.recommender.(io.Closer)
	if !ok {
		return
	}
	done := make(chan struct{})
	e.calls <- func() {
		defer close(done)
		if err := protected(closer.Close); err != nil {
			logFailure(e.logger, &RecommenderError{"Close", err})
		}
	}
	<-done
}

// protected is what do returns; a panic is returned, too.
func protected(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicked{value, debug.Stack()}
		}
	}()
	return do()
}
