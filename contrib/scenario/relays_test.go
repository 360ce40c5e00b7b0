package scenario

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// One of two relays loses its disk in the middle of a book, another order is taken while it is away: the book at it is
// whole again, and a trader who knows that relay alone trades.
func TestABookIsWholeAgainAtARelayThatLostIt(t *testing.T) {
	lost, err := relay.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lost.Close)
	w, sim, kept := newWorldWith(t, lost.URL)
	defer w.Leave()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	const open = 4
	var deals []*Deal
	for i := range open {
		d, err := w.NewDeal(ctx, []orders.Kind{orders.Sell, orders.Buy}[i%2], Amount, orders.Direct)
		if err == nil {
			err = d.Publish(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, d)
	}
	public := nostr.Filter{Kinds: []int{nostrio.KindOrder, nostrio.KindInfo, nostrio.KindRelayList}, Authors: []string{w.Mostro}}
	if _, err := lost.Await(ctx, public, open+2); err != nil {
		t.Fatal(err)
	}

	lost.Stop()
	lost.Forget()
	if err := deals[0].Take(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Await(ctx, nostr.Filter{Kinds: []int{nostrio.KindOrder}, Tags: nostr.TagMap{"d": {deals[0].ID().String()}, "s": {"in-progress"}}}, 1); err != nil {
		t.Fatal(err)
	}
	if err := lost.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := lost.Await(ctx, public, open+2); err != nil {
		t.Fatal(err)
	}
	err = until(ctx, "both relays have the same orders", func() (bool, error) {
		return slices.Equal(book(kept, w.Mostro), book(lost, w.Mostro)), nil
	})
	if err != nil {
		t.Fatalf("%v: %v and %v", err, book(kept, w.Mostro), book(lost, w.Mostro))
	}

	w.Relays = []string{lost.URL}
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Play(ctx); err != nil {
		t.Fatal(err)
	}
	if err := sim.Audit(ctx); err != nil {
		t.Error(err)
	}
}

// book lists the ids of the order events that a relay has.
func book(srv *relay.Server, author string) (ids []string) {
	for _, e := range srv.Events(nostr.Filter{Kinds: []int{nostrio.KindOrder}, Authors: []string{author}}) {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	return ids
}
