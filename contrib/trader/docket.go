package trader

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// OpenCase is a dispute as the Mostro publishes it (kind 38386). Which order it is about shows when it is taken.
type OpenCase struct {
	ID        orders.DisputeID
	Status    orders.DisputeState
	Initiator orders.Side
	OpenedAt  int64 // unix seconds
	At        int64 // unix seconds of this version

	event string // id of this version's event
}

// Docket is the list of the Mostro's disputes. It goes on following the relays as long as the trader is open.
type Docket struct{ t *Trader }

const docketSub = "docket"

// Docket returns the list of disputes when all that the connected relays have of it is there.
func (t *Trader) Docket(ctx context.Context) (*Docket, error) {
	t.mu.Lock()
	first := t.docket == nil
	if first {
		t.docket = make(map[orders.DisputeID]OpenCase)
	}
	t.mu.Unlock()
	if first {
		t.relays.subscribe(docketSub, nostr.Filter{Kinds: []int{nostrio.KindDispute}, Authors: []string{t.mostro.String()}})
	}
	if err := t.relays.awaitStored(ctx, docketSub); err != nil {
		return nil, err
	}
	return &Docket{t: t}, nil
}

// Open returns the disputes that have not ended, oldest first.
func (d *Docket) Open() []OpenCase {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	var list []OpenCase
	for _, c := range d.t.docket {
		if !c.Status.Ended() {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(x, y OpenCase) int {
		return cmp.Or(cmp.Compare(x.OpenedAt, y.OpenedAt), cmp.Compare(x.ID.String(), y.ID.String()))
	})
	return list
}

// Await waits until the list shows a dispute with that status.
func (d *Docket) Await(ctx context.Context, id orders.DisputeID, status orders.DisputeState) error {
	var c OpenCase
	err := d.t.await(ctx, func() bool {
		c = d.t.docket[id]
		return c.Status == status
	})
	if err != nil {
		return fmt.Errorf("wait for dispute %s to be %s, it is %q: %w", id, status, c.Status, err)
	}
	return nil
}

// takeDispute is called with the lock held. The newest version counts, at equal times the lowest event id (NIP-01).
func (t *Trader) takeDispute(e nostr.Event) {
	if e.Kind != nostrio.KindDispute || e.PubKey != t.mostro.String() {
		return
	}
	c, err := parseDispute(e)
	if err != nil {
		t.log.Debug("dispute event dropped", "event", e.ID, "err", err)
		return
	}
	old, known := t.docket[c.ID]
	if known && cmp.Or(cmp.Compare(old.At, c.At), cmp.Compare(c.event, old.event)) > 0 {
		return
	}
	t.docket[c.ID] = c
}

func parseDispute(e nostr.Event) (OpenCase, error) {
	c := OpenCase{At: int64(e.CreatedAt), event: e.ID}
	for _, tag := range e.Tags {
		if len(tag) < 2 {
			continue
		}
		var err error
		switch v := tag[1]; tag[0] {
		case "d":
			c.ID, err = orders.ParseDisputeID(v)
		case "s":
			c.Status = orders.DisputeState(v)
		case "initiator":
			c.Initiator = orders.Side(v)
		case "created_at":
			c.OpenedAt, err = strconv.ParseInt(v, 10, 64)
		}
		if err != nil {
			return OpenCase{}, err
		}
	}
	if c.ID.IsZero() {
		return OpenCase{}, fmt.Errorf("a dispute without an id")
	}
	return c, nil
}
