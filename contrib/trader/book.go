package trader

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// BookOrder is an order as the Mostro publishes it (NIP-69, kind 38383).
type BookOrder struct {
	ID         orders.OrderID
	Kind       orders.Kind
	Status     string // public status: pending, in-progress, success, canceled; or a newer word
	Amount     orders.Sats
	Fiat       string
	FiatAmount int64 // 0 on a range
	Min, Max   int64 // whole fiat units; both 0 unless it is a range
	Methods    []string
	Premium    int64 // percent
	Rating     float64
	Reviews    int64
	Days       int64
	ExpiresAt  int64 // unix seconds: the end of the time in which it can be taken
	At         int64 // unix seconds of this version

	event string // id of this version's event
}

// Range reports whether the taker chooses the fiat amount.
func (o BookOrder) Range() bool { return o.Max != 0 }

// Book is the Mostro's order book. It goes on following the relays as long as the trader is open.
type Book struct{ t *Trader }

const bookSub = "book"

// Book returns the order book when all that the connected relays have of it is there.
func (t *Trader) Book(ctx context.Context) (*Book, error) {
	t.mu.Lock()
	first := !t.following
	t.following = true
	t.mu.Unlock()
	if first {
		t.relays.subscribe(bookSub, nostr.Filter{Kinds: []int{nostrio.KindOrder}, Authors: []string{t.mostro.String()}})
	}
	if err := t.relays.awaitStored(ctx, bookSub); err != nil {
		return nil, err
	}
	return &Book{t: t}, nil
}

// Orders returns those that can be taken now, sells before buys, newest first.
func (b *Book) Orders() []BookOrder {
	now := time.Now().Unix()
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	var list []BookOrder
	for _, o := range b.t.book {
		if o.Status == string(orders.Pending) && (o.ExpiresAt == 0 || o.ExpiresAt > now) {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(x, y BookOrder) int {
		return cmp.Or(cmp.Compare(y.Kind, x.Kind), cmp.Compare(y.At, x.At), cmp.Compare(x.ID.String(), y.ID.String()))
	})
	return list
}

// Order returns the latest version of an order, whatever its status.
func (b *Book) Order(id orders.OrderID) (BookOrder, bool) {
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	o, ok := b.t.book[id]
	return o, ok
}

// Await waits until the book shows an order with that public status.
func (b *Book) Await(ctx context.Context, id orders.OrderID, status string) (BookOrder, error) {
	var o BookOrder
	err := b.t.await(ctx, func() bool {
		o = b.t.book[id]
		return o.Status == status
	})
	if err != nil {
		return o, fmt.Errorf("wait for order %s to be %s, it is %q: %w", id, status, o.Status, err)
	}
	return o, nil
}

// takeOrder is called with the lock held. The newest version of an order counts, at equal times the lowest event id
// (NIP-01).
func (t *Trader) takeOrder(e nostr.Event) {
	if e.Kind != nostrio.KindOrder || e.PubKey != t.mostro.String() {
		return
	}
	o, err := parseOrder(e)
	if err != nil {
		t.log.Debug("order event dropped", "event", e.ID, "err", err)
		return
	}
	old, known := t.book[o.ID]
	if known && cmp.Or(cmp.Compare(old.At, o.At), cmp.Compare(o.event, old.event)) > 0 {
		return
	}
	t.book[o.ID] = o
}

func parseOrder(e nostr.Event) (BookOrder, error) {
	o := BookOrder{At: int64(e.CreatedAt), event: e.ID}
	var err error
	num := func(name, s string) (n int64) {
		if err == nil {
			if n, err = strconv.ParseInt(s, 10, 64); err != nil {
				err = fmt.Errorf("tag %q: %q is no number", name, s)
			}
		}
		return n
	}
	for _, tag := range e.Tags {
		if len(tag) < 2 {
			continue
		}
		switch v := tag[1]; tag[0] {
		case "d":
			if err == nil {
				o.ID, err = orders.ParseOrderID(v)
			}
		case "k":
			o.Kind = orders.Kind(v)
		case "f":
			o.Fiat = v
		case "s":
			o.Status = v
		case "amt":
			o.Amount = orders.Sats(num("amt", v))
		case "fa":
			if len(tag) > 2 {
				o.Min, o.Max = num("fa", v), num("fa", tag[2])
			} else {
				o.FiatAmount = num("fa", v)
			}
		case "pm":
			o.Methods = tag[1:]
		case "premium":
			o.Premium = num("premium", v)
		case "expires_at":
			o.ExpiresAt = num("expires_at", v)
		case "rating":
			o.rating(v)
		}
	}
	if err == nil && (o.ID.IsZero() || o.Status == "") {
		err = fmt.Errorf("no order id or no status")
	}
	return o, err
}

// rating reads ["rating",{…}], or the bare object that NIP-69 shows. What it can't read is no rating.
func (o *BookOrder) rating(text string) {
	var r struct {
		Days    int64   `json:"days"`
		Rating  float64 `json:"total_rating"`
		Reviews int64   `json:"total_reviews"`
	}
	var pair []json.RawMessage
	if json.Unmarshal([]byte(text), &pair) == nil && len(pair) == 2 {
		text = string(pair[1])
	}
	if json.Unmarshal([]byte(text), &r) == nil {
		o.Rating, o.Reviews, o.Days = r.Rating, r.Reviews, r.Days
	}
}
