package orders

import (
	"os"
	"testing"
)

// Frozen trades of schema 2 have no dispute. Of one the seller had released, which shows only in its history.
func TestFrozenTradesOfSchema2(t *testing.T) {
	old, err := os.ReadFile("testdata/frozen2.db")
	must(t, err)
	w := newWorld(t)
	w.e.Close()
	w.store.Close()
	must(t, os.WriteFile(w.path, old, 0o600))
	w.open()
	w.n = 1000 // seeds that the fixture has not used
	page, _, err := w.e.Orders(Query{Status: Settling, Limit: 10})
	if err != nil || len(page) != 1 || page[0].FreedBy != FreedBySeller {
		t.Errorf("settling: %+v %v", page, err)
	}
	page, _, err = w.e.Orders(Query{Status: Frozen, Limit: 10})
	if err != nil || len(page) != 2 {
		t.Fatal(len(page), err)
	}
	freed := 0
	for _, o := range page {
		h, _, err := w.e.Hold(o.Hold)
		if err != nil || h.State != HoldCanceled || h.Refunded != h.Held || h.Held == 0 {
			t.Errorf("hold %+v: %v", h, err)
		}
		w.node.holds[o.Hold] = &fakeHold{h.Amount, HoldSettled}
		w.node.paid[o.Payout.Hash] = &fakePay{state: PayNever, script: []error{noRoute}}
		if o.FreedBy == FreedBySeller {
			freed++
			w.report(HoldIsSettled{o.Hold})
			w.want(o.ID, SettledHoldInvoice)
			continue
		}
		buyer := &trader{w: w, name: "buyer", identity: o.Taker.Identity, trade: o.Taker.Trade, index: 9, way: Direct}
		buyer.must(o.ID, OpenDispute{})
		w.operator(o.ID, AdminSettle{})
		w.want(o.ID, SettledHoldInvoice)
	}
	if freed != 1 {
		t.Errorf("%d of them were released", freed)
	}
}
