package orders

import (
	"os"
	"slices"
	"testing"
)

// putBack is a restart with a backup in place of the store; the node and the relays have gone on meanwhile.
func (w *world) putBack(path string) {
	w.t.Helper()
	w.e.Close()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path, old, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.book = nil // the order events of what is forgotten are announced again
	w.open()
	w.pump()
}

// look tells the exchange what the node says of its holds, as the watcher does at a start.
func (w *world) look() {
	w.t.Helper()
	live, err := w.e.LiveHolds()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range live {
		f := w.node.holds[h.Hash]
		switch {
		case f == nil:
		case (f.state == HoldAccepted || f.state == HoldSettled) && h.State == HoldOpen:
			w.report(HoldIsAccepted{Hash: h.Hash, Held: f.amount, MinExpiry: 1000})
		case f.state == HoldCanceled:
			w.report(HoldIsCanceled{Hash: h.Hash, Why: "the node says so"})
		case f.state == HoldSettled:
			w.report(HoldIsSettled{Hash: h.Hash})
		}
	}
}

// again has relays give every message once more, oldest first, with what a new process knows of it.
func (w *world) again() {
	w.t.Helper()
	for _, in := range slices.Clone(w.asked) {
		in.Seed = w.seed()
		w.do(in)
		w.pump()
		w.look()
	}
}

// payments counts the invoices that the node has paid.
func (w *world) payments() (n int) {
	for _, p := range w.node.paid {
		if p.state == PayDone {
			n++
		}
	}
	return n
}

// A backup is taken at each point of a trade, the trade ends well, and the backup is put back: whatever is owed in it,
// and whatever the relays say again, nothing is paid twice, and where the escrow is known the order ends as it did.
func TestAStaleBackupPaysNothingTwice(t *testing.T) {
	direct := func(w *world) *Invoice { return w.invoice(10_000, noRoute) }
	byAddress := func(w *world) *Invoice {
		for range 3 { // each time it is asked, the address gives another invoice
			w.node.gives = append(w.node.gives, w.invoice(10_000))
		}
		return &Invoice{Destination: "alice@example.com"}
	}
	replaced := func(w *world) *Invoice { return w.invoice(10_000, &PayError{Why: "gone", Fatal: true}) }
	for _, c := range []struct {
		name    string
		invoice func(*world) *Invoice
	}{{"to an invoice", direct}, {"to an address", byAddress}, {"to a second invoice", replaced}} {
		for _, at := range []Status{Pending, WaitingPayment, Active, FiatSent, Settling, SettledHoldInvoice} {
			t.Run(c.name+", "+string(at), func(t *testing.T) {
				w := newWorld(t)
				tr := w.newTrade(Sell).open()
				var saved string
				save := func() {
					if saved == "" && w.order(tr.id).Status == at {
						saved = w.backup("stale.db")
					}
				}
				save()
				tr.taker.must(tr.id, TakeSell{Invoice: c.invoice(w)})
				save()
				tr.lock()
				save()
				tr.sendFiat()
				save()
				w.node.down = true
				tr.release()
				save()
				w.node.down = false
				// The escrow is settled; the backup of the next status is taken before the payout goes out.
				var rows []*Row
				if err := w.e.read(func(t *tx) { rows = t.rows() }); err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					w.carry(r)
				}
				save()
				w.pump()
				for range 10 {
					if w.order(tr.id).Status == Success {
						break
					}
					if c.name == "to a second invoice" {
						tr.buyer.must(tr.id, AddInvoice{w.invoice(10_000)})
					} else {
						tr.deadline()
						w.pump()
					}
				}
				w.want(tr.id, Success)
				if n := w.payments(); n != 1 {
					t.Fatalf("%d payments before the restart", n)
				}
				hash := w.order(tr.id).Payout.Hash

				// The first invoice of a buyer can be paid by now: it must not be.
				for _, p := range w.node.paid {
					p.script = nil
				}
				w.putBack(saved)
				w.look()
				w.again()
				for range 5 {
					if o := w.order(tr.id); o.Status.Final() || o.Deadline == 0 {
						break
					}
					tr.deadline()
					w.pump()
					w.look()
				}
				if n := w.payments(); n != 1 {
					t.Errorf("%d payments after the backup was put back", n)
				}
				switch o := w.order(tr.id); at {
				case Pending: // its hold is not known any more: another one is asked for, and nobody pays it
					if !o.Status.Final() || o.Status == Success {
						t.Errorf("order is %s", o.Status)
					}
				default:
					if o.Status != Success || o.Payout.Hash != hash {
						t.Errorf("order is %s, paid by %s, want %s", o.Status, o.Payout.Hash, hash)
					}
				}
				if n, err := w.e.Count(); err != nil || n.Owed != 0 || n.Holds != 0 {
					t.Errorf("left: %+v, %v", n, err)
				}
			})
		}
	}
}

// What may still arrive is waited for, and no second invoice is paid meanwhile.
func TestAPayoutUnderWayElsewhereIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).open()
	first := w.invoice(10_000)
	second := w.invoice(10_000)
	w.node.claims[tr.id] = []Hash{second.Hash}
	w.node.paid[second.Hash].state = PayUnknown
	tr.taker.must(tr.id, TakeSell{Invoice: first})
	tr.lock()
	tr.sendFiat()
	tr.release()
	w.want(tr.id, SettledHoldInvoice)
	if w.node.sends != 0 {
		t.Errorf("%d calls while another payment is under way", w.node.sends)
	}
	w.node.paid[second.Hash].state = PayNever
	w.pump()
	w.want(tr.id, Success)
	if o := w.order(tr.id); o.Payout.Hash != first.Hash || w.node.sends != 1 {
		t.Errorf("paid by %s after %d calls", o.Payout.Hash, w.node.sends)
	}
}
