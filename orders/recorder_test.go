package orders

import (
	"context"
	"errors"
	"sync"
	"time"
)

// recorder counts what reaches the relays.
type recorder struct {
	mu                   sync.Mutex
	announced, delivered int
	down                 bool
}

func (r *recorder) ports() Ports {
	return Ports{Courier: r, Now: func() time.Time { return time.Unix(startTime, 0) }, NewSeed: func() Seed { return Seed{1} }}
}

func (r *recorder) count(n *int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return errors.New("relays are down")
	}
	*n++
	return nil
}

func (r *recorder) Deliver(context.Context, Letter) error        { return r.count(&r.delivered) }
func (r *recorder) Announce(context.Context, Announcement) error { return r.count(&r.announced) }
func (r *recorder) Rate(context.Context, RatingNote) error       { return nil }
func (r *recorder) Dispute(context.Context, DisputeNote) error   { return nil }
