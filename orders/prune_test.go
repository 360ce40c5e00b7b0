package orders

import (
	"testing"

	"go.etcd.io/bbolt"
)

// pages is how many pages of the file were ever used.
func (w *world) pages() (n int64) {
	w.t.Helper()
	must(w.t, w.store.db.View(func(b *bbolt.Tx) error {
		n = b.Size() / int64(w.store.db.Info().PageSize)
		return nil
	}))
	return n
}

// A year of trades, cancels and refusals passes: the file stops growing when it has the time in it that it keeps, and so
// does what the engine has in memory.
func TestAYearDoesNotMakeTheFileGrowForEver(t *testing.T) {
	aloneInRace(t)
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const keepDays = 60
	w := newWorld(t, func(r *Rules) { r.KeepSeconds = keepDays * 86_400 })
	var grown int64 // pages, when as much was forgotten as came
	keys := 0
	for day := range 365 {
		w.newTrade([]Kind{Sell, Buy}[day%2]).to(Success)
		w.newTrade(Sell).to([]Status{Canceled, CoopCanceled, CanceledByAdmin, Pending, WaitingPayment}[day%5]) // the last two end by themselves
		w.trader("stranger").does(OrderID{9}, Release{})
		w.said, w.book, w.notes, w.asked = nil, nil, nil, nil
		for range 4 {
			w.pass(21_600)
		}
		if day == 3*keepDays {
			grown, keys = w.pages(), len(w.e.keys.orders)
		}
	}
	if now := w.pages(); now > grown+grown/20 {
		t.Errorf("%d pages after %d days, %d after a year", grown, 3*keepDays, now)
	}
	if now := len(w.e.keys.orders); now > keys+keys/20+2 {
		t.Errorf("the keys of %d orders are known after %d days, of %d after a year", keys, 3*keepDays, now)
	}
	n, err := w.e.Count()
	if err != nil || n.Orders < 2*keepDays || n.Orders > 2*keepDays+10 || n.Owed != 0 || n.Holds != 0 {
		t.Errorf("left: %+v, %v", n, err)
	}
	must(t, w.store.view(func(t *tx) error {
		for _, name := range allBuckets {
			t := t.b.Bucket(name).Stats().KeyN
			// Users with a reputation stay; the others go with their orders.
			if limit := 8 * (2*keepDays + 10); t > limit {
				w.t.Errorf("%s has %d rows, want at most %d", name, t, limit)
			}
		}
		return nil
	}))
	t.Logf("%d pages after a year, %d after %d days", w.pages(), grown, 3*keepDays)
}

// An order is kept as long as anything may come of it, however old it is.
func TestWhatMayStillMatterIsNotForgotten(t *testing.T) {
	const keep = MinKeepSeconds
	for _, c := range []struct {
		name string
		make func(*world) *trade
		gone bool
	}{
		{"a trade that went well", func(w *world) *trade { return w.newTrade(Sell).to(Success) }, true},
		{"a dispute that was refunded", func(w *world) *trade { return w.newTrade(Sell).to(CanceledByAdmin) }, true},
		{"a trade in dispute", func(w *world) *trade { return w.newTrade(Sell).to(InDispute) }, false},
		{"an order that was canceled", func(w *world) *trade { return w.newTrade(Buy).to(Canceled) }, true},
		{"a dispute that was decided", func(w *world) *trade {
			tr := w.newTrade(Sell).to(InDispute)
			solver := w.solver(LevelReadWrite)
			tr.takenBy(solver)
			solver.must(tr.id, AdminCancel{})
			return tr
		}, true},
		{"a dispute", func(w *world) *trade { return w.newTrade(Sell).to(InDispute) }, false},
		{"a trade that is frozen", func(w *world) *trade { return w.newTrade(Sell).to(Frozen) }, false},
		{"a trade whose fiat was sent", func(w *world) *trade { return w.newTrade(Sell).to(FiatSent) }, false},
		{"an invoice that can still be paid", func(w *world) *trade {
			tr := w.newTrade(Sell).open()
			inv := w.invoice(10_000)
			inv.Expires = w.now + 2*keep
			tr.taker.must(tr.id, TakeSell{Invoice: inv})
			tr.lock()
			tr.sendFiat()
			tr.release()
			return tr
		}, false},
		{"a seller who has money to get back", func(w *world) *trade {
			tr := w.newTrade(Sell).to(InDispute)
			hash := w.order(tr.id).Hold
			w.node.holds[hash].state = HoldSettled
			w.report(HoldIsSettled{hash})
			w.operator(tr.id, AdminCancel{})
			if w.booked(tr.id, Owed) == 0 {
				w.t.Fatal("nothing is owed to him")
			}
			return tr
		}, false},
		{"a hold that does not end", func(w *world) *trade {
			tr := w.newTrade(Sell).to(WaitingPayment)
			w.node.down = true
			tr.maker.must(tr.id, Cancel{})
			return tr
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(r *Rules) { r.KeepSeconds = keep })
			tr := c.make(w)
			inv := w.order(tr.id).Payout.Hash
			tick := func(seconds int64) {
				w.now += seconds
				must(t, w.e.Tick(t.Context(), w.now, w.seed))
			}
			tick(keep - 10)
			if _, ok, err := w.e.Order(tr.id); !ok || err != nil {
				t.Fatalf("forgotten too early: %v", err)
			}
			tick(3600) // the last look found nothing
			tick(3600)
			if _, ok, err := w.e.Order(tr.id); ok == c.gone || err != nil {
				t.Errorf("the order is there: %v, %v", ok, err)
			}
			if err := w.store.Check(); err != nil {
				t.Error(err)
			}
			if inv.IsZero() {
				return
			}
			must(t, w.store.view(func(t *tx) error {
				if _, used := t.invoiceUsedBy(inv); used == c.gone {
					w.t.Errorf("its payout invoice is remembered: %v", used)
				}
				return nil
			}))
		})
	}
}

func TestForEverIsForEver(t *testing.T) {
	w := newWorld(t, func(r *Rules) { r.KeepSeconds = 0 })
	tr := w.newTrade(Sell).to(Success)
	w.pass(100 * 365 * 86_400)
	w.want(tr.id, Success)
}

// Users who were rated keep their reputation when their trades are forgotten.
func TestAReputationOutlivesItsTrades(t *testing.T) {
	w := newWorld(t, func(r *Rules) { r.KeepSeconds = MinKeepSeconds })
	tr := w.newTrade(Sell).to(Success)
	tr.buyer.must(tr.id, RateUser{Points: 5})
	w.pass(MinKeepSeconds + 10)
	must(t, w.store.view(func(t *tx) error {
		if u, ok := t.user(tr.seller.identity); !ok || u.Reviews != 1 {
			w.t.Errorf("the seller: %+v", u)
		}
		if _, ok := t.user(tr.buyer.identity); ok {
			w.t.Error("the buyer has no reputation, and is not forgotten")
		}
		return nil
	}))
	if w.e.Known(tr.buyer.trade) || w.e.Known(tr.seller.trade) {
		t.Error("a key of a forgotten trade is known")
	}
	if out := tr.seller.does(tr.id, RateUser{Points: 5}); out.Reason != NotFound {
		t.Errorf("a late rating: %q", out.Reason)
	}
}
