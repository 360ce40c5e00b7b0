package orders

import (
	"slices"
	"testing"
)

// loseRows takes rows out of the outbox, as no part of the exchange does.
func (w *world) loseRows(kinds ...string) {
	w.t.Helper()
	lost := 0
	err := w.store.update(func(t *tx) error {
		for _, r := range t.rows() {
			if slices.Contains(kinds, effectKind(r.Effect)) {
				t.dropRow(r.Number)
				lost++
			}
		}
		return nil
	})
	if err != nil || lost == 0 {
		w.t.Fatalf("%d rows of %v lost, %v", lost, kinds, err)
	}
}

// owes does inputs without carrying anything out.
func (p *trader) owes(order OrderID, a Act) {
	p.w.t.Helper()
	if out := p.w.do(p.message(order, a)); out.Reason != "" {
		p.w.t.Fatalf("%s: %s refused: %s", p.name, a.On(), out.Reason)
	}
}

func (w *world) reowe(hash Hash) []string {
	w.t.Helper()
	added, err := w.e.Reowe(w.t.Context(), hash, w.now, 120)
	if err != nil {
		w.t.Fatal(err)
	}
	return added
}

func TestReowe(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(*world, *trade) // up to where a row is gone
		want string               // the kind that is owed again; empty: none
		end  Status               // once it was carried out
	}{
		{name: "a hold that nobody creates", want: "create-hold", end: WaitingPayment, lose: func(w *world, tr *trade) {
			tr.open()
			tr.taker.owes(tr.id, TakeSell{Invoice: tr.invoice()})
			w.loseRows("create-hold")
		}},
		{name: "a release that nobody carries out", want: "settle-hold", end: Success, lose: func(w *world, tr *trade) {
			tr.to(FiatSent).seller.owes(tr.id, Release{})
			w.loseRows("settle-hold")
		}},
		{name: "a cancel that nobody carries out", want: "cancel-hold", end: Canceled, lose: func(w *world, tr *trade) {
			tr.to(WaitingPayment).maker.owes(tr.id, Cancel{})
			w.loseRows("cancel-hold")
		}},
		{name: "a payout in flight that nobody makes", want: "pay", end: Success, lose: func(w *world, tr *trade) {
			tr.to(FiatSent).seller.owes(tr.id, Release{})
			w.carryOnly("settle-hold")
			w.loseRows("pay")
		}},
		{name: "a payout that waits for nothing", want: "pay", end: Success, lose: func(w *world, tr *trade) {
			tr.to(FiatSent).seller.owes(tr.id, Release{})
			w.carryOnly("settle-hold")
			w.loseRows("pay")
			w.change(tr.id, func(o *Order) { o.Payout.InFlight = false })
		}},
		{name: "a question for an invoice that nobody asks", want: "resolve-payout", end: Success, lose: func(w *world, tr *trade) {
			tr.open()
			tr.taker.must(tr.id, TakeSell{Invoice: &Invoice{Destination: "buyer@example.com"}})
			tr.toward(FiatSent).seller.owes(tr.id, Release{})
			w.carryOnly("settle-hold")
			w.loseRows("resolve-payout")
			o := w.order(tr.id)
			w.node.gives = []any{w.invoice(o.PaidOut())}
		}},
		{name: "a hold from which its order has moved on", want: "cancel-hold", end: Canceled, lose: func(w *world, tr *trade) {
			tr.to(WaitingPayment)
			w.change(tr.id, func(o *Order) { o.Status, o.Deadline = Canceled, 0 })
		}},
		{name: "nothing is missing while the seller pays", end: WaitingPayment, lose: func(_ *world, tr *trade) { tr.to(WaitingPayment) }},
		{name: "nothing is missing in a trade", end: Active, lose: func(_ *world, tr *trade) { tr.to(Active) }},
		{name: "nothing is missing while a release is owed", end: Success, lose: func(_ *world, tr *trade) {
			tr.to(FiatSent).seller.owes(tr.id, Release{})
		}},
		{name: "nothing is missing while a payout is owed", end: Success, lose: func(w *world, tr *trade) {
			tr.to(FiatSent).seller.owes(tr.id, Release{})
			w.carryOnly("settle-hold")
		}},
		{name: "nothing is missing after a payout that failed for good", end: SettledHoldInvoice, lose: func(w *world, tr *trade) {
			tr.to(FiatSent).seller.owes(tr.id, Release{})
			w.carryOnly("settle-hold")
			w.loseRows("pay")
			w.change(tr.id, func(o *Order) { o.Payout.InFlight, o.Payout.Attempts = false, 3 })
		}},
		{name: "nothing is missing after the end", end: Success, lose: func(_ *world, tr *trade) { tr.to(Success) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			tr := w.newTrade(Sell)
			tr.script = nil // the first attempt arrives
			c.lose(w, tr)
			hash := w.order(tr.id).Hold
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			if got := w.reowe(hash); !slices.Equal(got, want) {
				t.Errorf("owed again: %v, want %v", got, want)
			}
			if got := w.reowe(hash); got != nil {
				t.Errorf("a second time: %v", got)
			}
			w.pump()
			w.want(tr.id, c.end)
		})
	}
	w := newWorld(t)
	if _, err := w.e.Reowe(t.Context(), Hash{1}, w.now, 1); err == nil {
		t.Error("a hold that is not ours")
	}
}

// The lost row may have begun a payment whose call still runs, so the new one lets it end.
func TestReoweOfAPaymentInFlightWaits(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(FiatSent)
	tr.seller.owes(tr.id, Release{})
	w.carryOnly("settle-hold")
	before := w.order(tr.id).Payout
	w.loseRows("pay")
	w.reowe(w.order(tr.id).Hold)
	st, _, err := w.e.Story(tr.id)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range st.Owed {
		if p, ok := r.Effect.(*Pay); ok {
			if r.NotBefore != w.now+120 || p.Invoice != before.Invoice || p.Hash != before.Hash || p.Began != 0 {
				t.Errorf("owed again: %+v, not before %d", p, r.NotBefore-w.now)
			}
			return
		}
	}
	t.Error("no payment is owed")
}

func TestAffairsAreAllThatMatters(t *testing.T) {
	w := newWorld(t)
	w.newTrade(Sell).to(Success)
	w.newTrade(Sell).to(Canceled)
	w.newTrade(Sell).to(Pending)
	active, frozen := w.newTrade(Sell).to(Active), w.newTrade(Sell).to(Frozen)
	released := w.newTrade(Sell).to(FiatSent)
	released.seller.owes(released.id, Release{})
	all, err := w.e.Affairs()
	if err != nil {
		t.Fatal(err)
	}
	got := map[OrderID]Affair{}
	for _, a := range all {
		got[a.Order.ID] = a
	}
	if len(all) != 3 || got[active.id].Hold.State != HoldAccepted || got[frozen.id].Hold.State != HoldCanceled {
		t.Errorf("got %+v", all)
	}
	if a := got[released.id]; !a.HoldOwed || a.PayoutOwed || a.Astray() {
		t.Errorf("released: %+v", a)
	}
	w.carryOnly("settle-hold")
	a, ok, err := w.e.Affair(got[released.id].Hold.Hash)
	if err != nil || !ok || a.HoldOwed || !a.PayoutOwed || a.Hold.State != HoldSettled {
		t.Errorf("settled: %+v, %v", a, err)
	}
	if _, ok, err := w.e.Affair(Hash{1}); ok || err != nil {
		t.Errorf("a hold that is not ours: %v, %v", ok, err)
	}
}

// carryOnly carries out what is owed of one kind.
func (w *world) carryOnly(kind string) {
	w.t.Helper()
	var rows []*Row
	if err := w.e.read(func(t *tx) { rows = t.rows() }); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range rows {
		if effectKind(r.Effect) == kind {
			w.carry(r)
		}
	}
}

// change writes an order as no life cycle would.
func (w *world) change(id OrderID, f func(*Order)) {
	w.t.Helper()
	err := w.store.update(func(t *tx) error {
		o, _ := t.order(id)
		from := o.Status
		f(o)
		if o.Status != from {
			t.addHistory(id, Transition{At: w.now, From: from, To: o.Status, On: OnCancel})
		}
		t.putOrder(o)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
