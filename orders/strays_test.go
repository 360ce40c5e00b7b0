package orders

import "testing"

// What changed nothing when it came may mean something later, so it is not taken for done.
func TestAReportThatChangedNothingIsNotRemembered(t *testing.T) {
	t.Run("a deadline that had not come yet, when the order is back on the book", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).open()
		end := w.order(tr.id).Deadline
		tr.take() // between the timer's look and its input
		w.do(w.deadline(tr.id, end))
		tr.taker.must(tr.id, Cancel{})
		w.want(tr.id, Pending)
		w.pass(86_400)
		w.want(tr.id, Expired)
	})
	t.Run("two attempts that are due in the same second, by a clock that was put back", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(SettledHoldInvoice)
		w.do(w.deadline(tr.id, w.order(tr.id).Deadline))
		w.pump()
		w.do(w.deadline(tr.id, w.order(tr.id).Deadline))
		w.pump()
		w.want(tr.id, Success)
	})
}

// A holder may settle by itself near an expiry. Without a release the money is the seller's.
func TestAHoldThatTheNodeSettledByItself(t *testing.T) {
	settles := func(tr *trade) {
		hash := tr.w.order(tr.id).Hold
		tr.w.node.holds[hash].state = HoldSettled
		tr.w.report(HoldIsSettled{Hash: hash})
	}
	owed := func(t *testing.T, w *world, id OrderID) (sum Msats) {
		t.Helper()
		st, _, err := w.e.Story(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range st.Ledger {
			if e.What == Owed {
				sum += e.Msats
			}
		}
		return sum
	}
	t.Run("is owed to the seller when both cancel", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(Active)
		settles(tr)
		tr.seller.must(tr.id, Cancel{})
		tr.buyer.must(tr.id, Cancel{})
		w.want(tr.id, CoopCanceled)
		if got := owed(t, w, tr.id); got != 10_060_000 {
			t.Errorf("%d msat are owed", got)
		}
		if n, _ := w.e.Count(); n.Holds != 0 || n.Owed != 0 {
			t.Errorf("left: %+v", n)
		}
	})
	t.Run("is owed to the seller when it was settled before we knew that it was paid", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(WaitingPayment)
		settles(tr)
		tr.maker.must(tr.id, Cancel{})
		w.want(tr.id, Canceled)
		if got := owed(t, w, tr.id); got != 10_060_000 {
			t.Errorf("%d msat are owed", got)
		}
	})
}

// What a node says against its own word is for a person to look at; no ledger follows it.
func TestAHoldThatWasCanceledAndIsSaidToBeSettled(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Active)
	hash := w.order(tr.id).Hold
	tr.lose()
	w.want(tr.id, Canceled)
	w.report(HoldIsSettled{Hash: hash})
	if h, _, _ := w.e.Hold(hash); h.State != HoldCanceled {
		t.Errorf("hold is %s", h.State)
	}
}

// Less than the whole amount is not an escrow, whoever says so.
func TestAHoldThatHoldsTooLittleIsNoEscrow(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(WaitingPayment)
	hash := w.order(tr.id).Hold
	in := Input{ID: NodeID(OnHoldAccepted, hash[:]), At: w.now, Seed: w.seed(), Act: HoldIsAccepted{hash, 10_059_999, 1000}}
	if out, err := w.e.Do(t.Context(), in); err == nil {
		t.Errorf("accepted: %+v", out)
	}
	w.want(tr.id, WaitingPayment)
	tr.lock()
	w.want(tr.id, Active)
}
