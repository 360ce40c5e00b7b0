package hold

import (
	"context"
	"time"
)

// Clock is all that the package knows of time, and all that it waits on. The methods of a
// clock may be called from several goroutines at once.
type Clock interface {
	// Now is the wall clock. It decides when an invoice ends unpaid, and nothing about a
	// payment that is held. It may jump.
	Now() time.Time
	// Elapsed only goes forward, from any beginning.
	Elapsed() time.Duration
	// Wait returns true when something comes on wake, and false when limit has passed or
	// ctx has ended. A nil wake never comes. A clock that never waits, and says false at
	// once, is a caller without patience: each command then answers what is so by now.
	Wait(ctx context.Context, wake <-chan struct{}, limit time.Duration) bool
	// Limit is context.WithTimeout, for a call of the node.
	Limit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc)
}

// SystemClock returns the computer's clock.
func SystemClock() Clock { return systemClock{time.Now()} }

type systemClock struct{ begun time.Time }

func (c systemClock) Now() time.Time         { return time.Now() }
func (c systemClock) Elapsed() time.Duration { return time.Since(c.begun) }

func (c systemClock) Wait(ctx context.Context, wake <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-wake:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (c systemClock) Limit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, limit)
}
