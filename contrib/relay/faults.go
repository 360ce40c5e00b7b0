package relay

import (
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// Faults are the ways in which a relay goes on misbehaving until told otherwise. The zero value is an honest relay.
type Faults struct {
	Refuse    func(nostr.Event) (reason string) // "" takes the event; else OK is false with that reason
	Alter     func(nostr.Event) nostr.Event     // another event is kept in its place, whatever that is
	Lose      bool                              // events are answered with OK true and thrown away
	DropOK    bool                              // events are handled, but no OK is sent
	Delay     time.Duration                     // live events reach subscribers so much later, in their order
	Duplicate bool                              // live events reach subscribers twice
}

// RefuseAll is a Refuse that takes nothing. A reason begins with a prefix of NIP-01, as in "blocked: not today".
func RefuseAll(reason string) func(nostr.Event) string {
	return func(nostr.Event) string { return reason }
}

// SetFaults replaces all faults at once.
func (r *Relay) SetFaults(f Faults) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = f
}

func (r *Relay) currentFaults() Faults {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults
}

// receive is take behind the faults.
func (r *Relay) receive(e nostr.Event) (ok bool, reason string) {
	faults := r.currentFaults()
	if faults.Refuse != nil {
		if reason := faults.Refuse(e); reason != "" {
			return false, reason
		}
	}
	if faults.Lose {
		return true, ""
	}
	if faults.Alter != nil {
		e = faults.Alter(e)
	}
	return r.take(e)
}

// DisconnectAll cuts every client's connection, without a goodbye. They may come back at once.
func (r *Relay) DisconnectAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.cancel()
	}
}

// Forget throws away all stored events, as a relay does that has lost its disk. Subscriptions stay open.
func (r *Relay) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store.forget()
}

// CloseSubscriptions ends every open subscription with CLOSED and the reason, and leaves the connections alone.
func (r *Relay) CloseSubscriptions(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		for id := range c.subs {
			delete(c.subs, id)
			c.closed(id, reason)
		}
	}
	r.subscriptionsChanged()
}
