package recarena

import (
	"context"
	"testing"
)

func TestAQueueHandsOnInOrderAndEnds(t *testing.T) {
	q := newQueue[int]()
	go func() {
		for n := range 10_000 {
			q.put(n)
		}
		q.close()
		q.put(-1)
	}()
	for n := range 10_000 {
		if value, ok := q.take(context.Background()); !ok || value != n {
			t.Fatalf("%d was taken, %v, in place of %d", value, ok, n)
		}
	}
	if value, ok := q.take(context.Background()); ok {
		t.Fatalf("%d was taken after the end", value)
	}
}

func TestTakingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok := newQueue[int]().take(ctx); ok {
		t.Error("something was taken of nothing")
	}
}
