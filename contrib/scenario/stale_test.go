package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// saveStore is mostro-backup as an operator calls it.
func (s *Sim) saveStore(ctx context.Context, path string) error {
	return s.Call(ctx, "mostro-backup", map[string]any{"path": path}, nil)
}

// putBack stops the exchange, puts a backup in place of its store, and starts it again.
func (w *World) putBack(ctx context.Context, s *Sim, backup string) error {
	w.say("operator", "puts a backup in place of the store")
	if err := s.StopExchange(ctx); err != nil {
		return err
	}
	raw, err := os.ReadFile(backup)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.RPCPath()), "mostro", "mostro.db"), raw, 0o600); err != nil {
		return err
	}
	if err := s.StartExchange(ctx); err != nil {
		return err
	}
	_, err = w.AwaitOpen(ctx)
	return err
}

// payScript says how payments by an invoice go.
func (s *Sim) payScript(ctx context.Context, bolt11, mode string) error {
	i, err := simln.DecodeInvoice(bolt11)
	if err != nil {
		return err
	}
	return s.Call(ctx, "sim-pay-script", map[string]any{"match": fmt.Sprintf("%x", i.PaymentHash), "mode": mode}, nil)
}

// staleTrade is a trade with a backup of the store taken in its middle.
type staleTrade struct {
	*Deal
	sim    *Sim
	backup string
}

func (d *staleTrade) save(ctx context.Context) error { return d.sim.saveStore(ctx, d.backup) }

// savedAfter takes the backup after a step.
func savedAfter(step string) func(context.Context, *staleTrade) error {
	return func(ctx context.Context, d *staleTrade) error {
		if err := d.PlayUntil(ctx, step); err != nil {
			return err
		}
		if err := d.save(ctx); err != nil {
			return err
		}
		return d.playAfter(ctx, step)
	}
}

// savedInFlight takes the backup while the buyer is being paid.
func savedInFlight(ctx context.Context, d *staleTrade) error {
	wallet := &patient{Wallet: d.Buyer.Wallet}
	d.Buyer.Wallet = wallet
	if err := d.PlayUntil(ctx, "pay fiat"); err != nil {
		return err
	}
	if err := d.sim.payScript(ctx, wallet.last, "hold"); err != nil {
		return err
	}
	if err := d.Release(ctx); err != nil {
		return err
	}
	inv, err := simln.DecodeInvoice(wallet.last)
	if err != nil {
		return err
	}
	hash := fmt.Sprintf("%x", inv.PaymentHash)
	err = until(ctx, "the payout is pending", func() (bool, error) {
		var r struct {
			Payments []json.RawMessage `json:"payments"`
		}
		err := d.sim.Call(ctx, "listsendpays", map[string]any{"payment_hash": hash}, &r)
		return len(r.Payments) > 0, err
	})
	if err != nil {
		return err
	}
	if err := d.save(ctx); err != nil {
		return err
	}
	if err := d.sim.Call(ctx, "sim-pay-release", map[string]any{"payment_hash": hash}, nil); err != nil {
		return err
	}
	return d.Finish(ctx)
}

// savedBeforeAnotherInvoice takes the backup when one invoice is known; another one is paid, and then the first could be.
func savedBeforeAnotherInvoice(ctx context.Context, d *staleTrade) error {
	wallet := &patient{Wallet: d.Buyer.Wallet}
	d.Buyer.Wallet = wallet
	if err := d.PlayUntil(ctx, "pay fiat"); err != nil {
		return err
	}
	if err := d.save(ctx); err != nil {
		return err
	}
	first := wallet.last
	if err := d.sim.FailPayouts(ctx, first); err != nil {
		return err
	}
	if err := d.Release(ctx); err != nil {
		return err
	}
	m, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActAddInvoice)
	if err != nil {
		return err
	}
	bolt11, err := d.Buyer.Wallet.Invoice(ctx, orders.Sats(m.Order().Amount), "another-"+d.ID().String())
	if err != nil {
		return err
	}
	if err := d.purchase.AddInvoice(ctx, bolt11); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	return d.sim.payScript(ctx, first, "ok")
}

// sayAgain waits for the order's end. Relays give what they have stored in any order, so a message can come before the one
// that it follows, and is refused; who waits for its effect says it again.
func (d *staleTrade) sayAgain(ctx context.Context, end orders.Status) error {
	return until(ctx, fmt.Sprintf("the order is %s again", end), func() (bool, error) {
		st, err := d.w.Status(ctx, d.ID())
		switch {
		case err != nil || st == end:
			return err == nil, err
		case st == orders.Active:
			err = d.purchase.FiatSent(ctx)
		case st == orders.FiatSent:
			err = d.sale.Release(ctx)
		}
		var no *trader.CantDo
		if err != nil && !errors.As(err, &no) {
			return false, err
		}
		return false, fmt.Errorf("it is %s", st)
	})
}

// A trade ends well, and then the operator puts back a backup from the middle of it. The relays say everything again, and
// the node is asked: nothing is paid twice, and the order ends as it had ended. Where the backup knows nothing of the
// escrow, a new one is asked for, which nobody pays, and the operator hears of a settled one that nobody knows.
func TestAStaleBackupPaysNothingTwice(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(context.Context, *staleTrade) error
		end  orders.Status
	}{
		{"before the buyer has given an invoice", savedAfter("take"), orders.Canceled},
		{"before the sats are locked", savedAfter("ask payment"), orders.Success},
		{"while the sats are locked", savedAfter("meet"), orders.Success},
		{"before the release", savedAfter("pay fiat"), orders.Success},
		{"while the buyer is being paid", savedInFlight, orders.Success},
		{"before the buyer gave another invoice", savedBeforeAnotherInvoice, orders.Success},
		{"after the payout", savedAfter("finish"), orders.Success},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, sim := newWorldOf(t, map[string]any{"mostro-payment-attempts": 1, "mostro-payment-interval-seconds": 1})
			defer w.Leave()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			deal, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
			if err != nil {
				t.Fatal(err)
			}
			d := &staleTrade{deal, sim, filepath.Join(t.TempDir(), "stale.db")}
			if err := c.play(ctx, d); err != nil {
				t.Fatal(err)
			}
			if err := d.Settled(ctx); err != nil {
				t.Fatal(err)
			}
			if err := w.putBack(ctx, sim, d.backup); err != nil {
				t.Fatal(err)
			}
			if err := d.sayAgain(ctx, c.end); err != nil {
				t.Error(err)
			}
			if err := d.settled(ctx); err != nil {
				t.Fatal(err)
			}
			if n, err := w.payouts(ctx); err != nil || n != 1 {
				t.Errorf("%d invoices are paid (%v)", n, err)
			}
			if err := d.Settled(ctx); err != nil {
				t.Error(err)
			}
			if err := d.sound(ctx); (err == nil) != (c.end == orders.Success) {
				t.Errorf("the order is %s, and a look at the books finds: %v", c.end, err)
			}
		})
	}
}
