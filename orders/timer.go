package orders

import (
	"bytes"
	"context"
)

// maxDue bounds how many deadlines one tick deals with; the next tick goes on.
const maxDue = 500

// Tick does the deadlines that are over at now, unix seconds, and forgets old inputs and orders. The caller gives a fresh seed
// for each input. It is meant to be called every second.
func (e *Engine) Tick(ctx context.Context, now int64, seed func() Seed) error {
	due, err := e.due(now)
	if err != nil {
		return err
	}
	for _, k := range due {
		id := OrderID(k[8:])
		in := Input{
			// The time is in the id: an order can have the same deadline twice. The life cycle knows a repeat.
			ID: NodeID(OnDeadline, id[:], k[:8], number(uint64(now))), At: now, Seed: seed(), Order: id,
			Act: DeadlineReached{Deadline: timeOf(k)},
		}
		if _, err := e.Do(ctx, in); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if Unwritten(err) { // nor will the others be
				return err
			}
			e.log.Error("deadline", "order", id.String(), "err", err)
		}
	}
	if err := e.prune(ctx, now); err != nil {
		return err
	}
	return e.forget(ctx, now-e.Rules().SeenSeconds)
}

func (e *Engine) due(now int64) (keys [][]byte, err error) {
	err = e.read(func(t *tx) {
		t.each(deadlinesBucket, nil, func(k, _ []byte) bool {
			if timeOf(k) > now || len(keys) == maxDue {
				return false
			}
			keys = append(keys, bytes.Clone(k))
			return true
		})
	})
	return keys, err
}

// forget drops what was done before the given time. Nothing is written where nothing is old.
func (e *Engine) forget(ctx context.Context, before int64) error {
	old := false
	err := e.read(func(t *tx) {
		k, _ := t.b.Bucket(seenAgeBucket).Cursor().First()
		old = k != nil && timeOf(k) < before
	})
	if err != nil || !old {
		return err
	}
	return e.submit(ctx, "forget", func(t *tx) (after, error) {
		t.forget(before, maxDue)
		return after{}, nil
	})
}
