package recarena

import (
	"context"
	"sync"
)

// queue hands values on in their order. Putting never waits, so that the reader of a stream is
// never held up; the server bounds what is under way.
type queue[T any] struct {
	mutex  sync.Mutex
	values []T
	closed bool
	// Full while there is something to take: a value, or the end.
	filled chan struct{}
}

func newQueue[T any]() *queue[T] { return &queue[T]{filled: make(chan struct{}, 1)} }

// put appends a value; one that comes after close is dropped.
func (q *queue[T]) put(value T) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if !q.closed {
		q.values = append(q.values, value)
		q.wake()
	}
}

// close lets take return false once all values are taken.
func (q *queue[T]) close() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.closed = true
	q.wake()
}

// take returns the next value, false at the end or when the context is done. One goroutine takes.
func (q *queue[T]) take(ctx context.Context) (T, bool) {
	for {
		select {
		case <-ctx.Done():
			var none T
			return none, false
		case <-q.filled:
		}
		q.mutex.Lock()
		if len(q.values) > 0 {
			value := q.values[0]
			q.values = q.values[1:]
			if len(q.values) > 0 || q.closed {
				q.wake()
			}
			q.mutex.Unlock()
			return value, true
		}
		closed := q.closed
		q.mutex.Unlock()
		if closed {
			var none T
			return none, false
		}
	}
}

func (q *queue[T]) wake() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}
