package orders_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// A maker puts an order on the book. The same message once more changes nothing, and neither does one that is refused.
func ExampleEngine_Do() {
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := orders.Open(filepath.Join(dir, "orders.db"), [32]byte{1}, time.Second)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	engine, err := orders.NewEngine(store, orders.DefaultRules(), slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	defer engine.Close()

	ctx := context.Background()
	maker := orders.PubKey{0xaa} // one key for all: full-privacy mode
	offer := orders.Input{
		ID:   [32]byte{1}, // the event id
		At:   1_767_225_600,
		Seed: orders.Seed{1}, // fresh random bytes
		From: orders.Sender{Trade: maker, Identity: maker, Way: orders.Direct},
		Act: orders.NewOrder{Terms: orders.Terms{
			Kind: orders.Sell, Amount: 10_000, FiatCode: "EUR", FiatAmount: 10, PaymentMethod: "SEPA",
		}},
	}
	first, err := engine.Do(ctx, offer)
	if err != nil {
		panic(err)
	}
	again, err := engine.Do(ctx, offer)
	if err != nil {
		panic(err)
	}
	fmt.Println("the same order:", first.Order == again.Order, "repeat:", again.Repeat)

	release := orders.Input{
		ID: [32]byte{2}, At: offer.At + 1, Seed: orders.Seed{2}, From: offer.From, Order: first.Order, Act: orders.Release{},
	}
	refused, err := engine.Do(ctx, release)
	if err != nil {
		panic(err)
	}
	fmt.Println("release of an order that nobody took:", refused.Reason)

	story, _, err := engine.Story(first.Order)
	if err != nil {
		panic(err)
	}
	fmt.Println(story.Order.Status, story.Order.Escrow())
	for _, owed := range story.Owed {
		fmt.Printf("owed: %T\n", owed.Effect)
	}
	// Output:
	// the same order: true repeat: true
	// release of an order that nobody took: not_allowed_by_status
	// pending 10060 sat
	// owed: *orders.Announcement
	// owed: *orders.Letter
	// owed: *orders.Letter
}
