package relay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// watcher collects events for Await. Guarded by the relay's lock.
type watcher struct {
	filter filter
	events []nostr.Event
	need   int
	done   chan struct{} // closed when need is reached
}

func (w *watcher) see(e *nostr.Event) {
	if len(w.events) >= w.need || !w.filter.matches(e) {
		return
	}
	w.events = append(w.events, *e)
	if len(w.events) == w.need {
		close(w.done)
	}
}

// Await returns as soon as n events that match the filter have been taken: those stored now, oldest first, and then new
// ones as they come, ephemeral ones among them. The filter's limit says nothing here. When ctx ends first, it returns
// those seen so far and an error.
func (r *Relay) Await(ctx context.Context, f nostr.Filter, n int) ([]nostr.Event, error) {
	w := &watcher{filter: fromNostr(f), need: n, done: make(chan struct{})}
	if n <= 0 {
		return nil, nil
	}
	r.mu.Lock()
	for _, e := range r.store.events {
		if !e.expired(time.Now().Unix()) {
			w.see(&e.event)
		}
	}
	r.watchers[w] = struct{}{}
	r.mu.Unlock()
	var err error
	select {
	case <-w.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.watchers, w)
	if err != nil && len(w.events) < n {
		return w.events, fmt.Errorf("await %d events of %s: %d seen: %w", n, f, len(w.events), err)
	}
	return w.events, nil
}

// AwaitSubscribers returns as soon as n connections have a subscription that an event like this one would reach. The
// event needs no signature, only the fields that the subscriptions look at.
func (r *Relay) AwaitSubscribers(ctx context.Context, like nostr.Event, n int) error {
	for {
		r.mu.Lock()
		changed, got := r.changed, 0
		for c := range r.conns {
			for _, filters := range c.subs {
				if matchesAny(filters, &like) {
					got++
					break
				}
			}
		}
		r.mu.Unlock()
		if got >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("await %d subscribers for kind %d: %d seen: %w", n, like.Kind, got, ctx.Err())
		}
	}
}

// Events returns the stored events that match the filter, as a client would get them: newest first, up to the limit.
func (r *Relay) Events(f nostr.Filter) []nostr.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.store.query([]filter{fromNostr(f)}, time.Now().Unix(), r.cfg.MaxEvents)
	events := make([]nostr.Event, 0, len(found))
	for _, e := range found {
		events = append(events, e.event)
	}
	return slices.Clip(events)
}
