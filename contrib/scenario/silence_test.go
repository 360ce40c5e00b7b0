package scenario

import (
	"context"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// A node that does not answer for a moment is no reason to refuse a good invoice.
func TestAnInvoiceIsNotRefusedForTheNodesSilence(t *testing.T) {
	w, sim := newWorld(t)
	defer w.Leave()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.PlayUntil(ctx, "take"); err != nil {
		t.Fatal(err)
	}
	if err := sim.Call(ctx, "sim-fault", map[string]any{"method": "decode", "mode": "cut", "times": 2}, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.playAfter(ctx, "take"); err != nil {
		t.Fatal(err)
	}
	if err := d.Settled(ctx); err != nil {
		t.Error(err)
	}
}
