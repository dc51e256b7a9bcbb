package recarena

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"os/signal"
	"reflect"
	"sync"
	"syscall"
	"time"
)

const (
	// Before coming back: the first time, and at most.
	firstDelay   = 100 * time.Millisecond
	longestDelay = 5 * time.Second
	// A stream that held so long was a connection, also when the server had nothing to say.
	steady = 10 * time.Second
	// How long a recommender may take to obey its context when Serve leaves.
	lastCall = 100 * time.Millisecond
)

// Serve serves runs as the recommender that arms call recommenderID. The factory makes a
// recommender for each run: what one run taught is not carried into the next.
//
// It serves one run after another until the context is done, or with [Once] until one is over, and
// then says goodbye, finishes what is under way for up to 5 seconds, closes the recommender where
// it is an [io.Closer], and returns nil. A lost connection is waited out.
//
// Its errors are a [RefusedError], [UnreachableError], [RecommenderError], [ProtocolError] or
// [OptionError].
func Serve(
	ctx context.Context, factory func() Recommender, recommenderID string, given ...Option,
) error {
	chosen, err := chosen(given)
	if err != nil {
		return err
	}
	link, err := newLink(chosen)
	if err != nil {
		return err
	}
	defer link.close()
	defer context.AfterFunc(ctx, func() { chosen.logger.Info("leaving") })()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	process, err := newUUID()
	if err != nil {
		return err
	}
	var done sync.WaitGroup
	errs := make(chan error, chosen.sessions)
	for n := range chosen.sessions {
		instance := process
		if chosen.sessions > 1 {
			instance = fmt.Sprintf("%s-%d", process, n)
		}
		one := &seat{recommenderID, instance, factory, link, chosen, nil}
		done.Add(1)
		go func() {
			defer done.Done()
			if err := one.serve(ctx); err != nil {
				errs <- err
				leave() // the others
			}
		}()
	}
	done.Wait()
	close(errs)
	return <-errs // the first, nil without any
}

// UntilSignal is a context for [Serve] that is done at the first SIGINT or SIGTERM. The second ends
// the program at once.
func UntilSignal(parent context.Context) context.Context {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// seat is one of the sessions that are kept: waits for a run, serves it, waits for the next.
type seat struct {
	id, instance string
	factory      func() Recommender
	link         *link
	options      *options
	engagement   *engagement
}

// serve serves run after run; its error is final.
func (s *seat) serve(ctx context.Context) error {
	for {
		next, err := s.engage()
		if err != nil {
			return err
		}
		s.engagement = next
		err = s.serveRun(ctx)
		if ctx.Err() == nil {
			s.engagement.close(grace)
		} else {
			s.engagement.cancel()
			s.engagement.close(lastCall)
		}
		if err != nil || ctx.Err() != nil || s.options.once {
			return err
		}
	}
}

// engage makes a recommender.
func (s *seat) engage() (*engagement, error) {
	var made Recommender
	err := protected(func() error {
		made = s.factory()
		return nil
	})
	if err == nil && (made == nil || isNilPointer(made)) {
		err = errors.New("it made nothing")
	}
	if err != nil {
		return nil, &RecommenderError{"the factory", err}
	}
	features, err := features(made, s.options)
	if err != nil {
		return nil, err
	}
	return engage(made, features, s.options.logger), nil
}

func isNilPointer(made Recommender) bool {
	value := reflect.ValueOf(made)
	return value.Kind() == reflect.Pointer && value.IsNil()
}

// serveRun serves one run to its end, through as many sessions as it takes.
func (s *seat) serveRun(ctx context.Context) error {
	connected, attempt := time.Now(), 0
	for {
		if err := s.connection(ctx, connected); err != nil || ctx.Err() != nil {
			return err
		}
		if attempt == 0 && s.engagement.run == nil {
			s.options.logger.Info("waiting for a run", "recommender", s.id, "server", s.link.server)
		}
		began := time.Now()
		session := newSession(s.id, s.instance, s.link, s.options, s.engagement, s.engage)
		how, text, err := session.run(ctx)
		s.engagement = session.engagement
		if how == runOver && s.engagement.run != nil {
			s.options.logger.Info("the run is over", "run", s.engagement.run.ID)
		}
		if err != nil || how != lost || ctx.Err() != nil {
			return err
		}
		if session.heard.Load() || time.Since(began) > steady {
			connected, attempt = time.Now(), 0
		}
		delay := delayAfter(attempt)
		attempt++
		if limit := s.options.retryFor; limit > 0 && time.Since(connected)+delay > limit {
			return &UnreachableError{s.link.server, text}
		}
		level := slog.LevelDebug
		if attempt == 1 {
			level = slog.LevelWarn
		}
		s.options.logger.Log(ctx, level, "session lost, coming back", "why", text)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

// connection returns when there is one, or the context is done.
func (s *seat) connection(ctx context.Context, since time.Time) error {
	within := ctx
	if s.options.retryFor > 0 {
		var stop context.CancelFunc
		within, stop = context.WithDeadline(ctx, since.Add(s.options.retryFor))
		defer stop()
	}
	text, err := s.link.ready(within)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if text == "" {
		text = "it does not answer"
	}
	return &UnreachableError{s.link.server, fmt.Sprintf("%s (%s)", text, s.link.how)}
}

// delayAfter is how long to wait after so many attempts: doubling, capped, with jitter.
func delayAfter(attempt int) time.Duration {
	longest := min(longestDelay, firstDelay<<min(attempt, 16))
	return time.Duration(float64(longest) * (0.5 + 0.5*mathrand.Float64()))
}

// newUUID is a random UUID (version 4).
func newUUID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}
