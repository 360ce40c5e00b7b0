package orders

import "testing"

func TestAFrozenTradeIsToldPlainly(t *testing.T) {
	for _, disputed := range []bool{false, true} {
		w := newWorld(t)
		solver := w.solver(LevelReadWrite)
		tr := w.newTrade(Sell).to(FiatSent)
		if disputed {
			tr.to(InDispute).takenBy(solver)
		}
		w.said = nil
		alerts := w.alerts(tr.lose)
		w.want(tr.id, Frozen)
		if len(alerts) != 1 {
			t.Errorf("the operator hears %v", alerts)
		}
		if disputed {
			w.wantHeard(tr.buyer, SayHoldCanceled, SayText)
			w.wantHeard(tr.seller, SayHoldCanceled, SayText)
		} else {
			w.wantHeard(tr.buyer, SayHoldCanceled, SayText, SayDisputeByYou)
			w.wantHeard(tr.seller, SayHoldCanceled, SayText, SayDisputeByPeer)
		}
		w.wantHeard(solver, SayText)
		if w.node.sends != 0 {
			t.Error("something was paid")
		}
		if alerts := w.alerts(func() { w.pass(w.rules.DisputePatience) }); len(alerts) != 1 {
			t.Errorf("half a day later the operator hears %v", alerts)
		}
		w.wantHeard(solver, SayText)
	}
}

// A verdict on a frozen trade first finds out where the money is. The node's proof decides.
func TestAPersonEndsAFrozenTrade(t *testing.T) {
	tests := []struct {
		name     string
		verdict  Act
		settled  bool // the escrow had not been lost but settled, after all
		want     Status
		paid     Msats
		refunded Msats
		owed     Msats
	}{
		{"for the buyer, and the sats are there", AdminSettle{}, true, Success, 10_000_000, 0, 0},
		{"for the buyer, and the sats are gone", AdminSettle{}, false, Frozen, 0, 10_060_000, 0},
		{"for the seller, and he has them", AdminCancel{}, false, CanceledByAdmin, 0, 10_060_000, 0},
		{"for the seller, and the node has them", AdminCancel{}, true, CanceledByAdmin, 0, 0, 10_060_000},
	}
	for _, tt := range tests {
		for _, byOperator := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				w := newWorld(t)
				solver := w.solver(LevelReadWrite)
				tr := w.newTrade(Sell)
				tr.script = nil
				tr.to(Frozen)
				if tt.settled {
					w.node.holds[w.order(tr.id).Hold].state = HoldSettled
				}
				if byOperator {
					w.operator(tr.id, tt.verdict)
				} else {
					tr.takenBy(solver)
					w.said = nil
					solver.must(tr.id, tt.verdict)
				}
				w.want(tr.id, tt.want)
				if p, r, o := w.booked(tr.id, Paid), w.booked(tr.id, Refunded), w.booked(tr.id, Owed); p != tt.paid || r != tt.refunded || o != tt.owed {
					t.Errorf("paid %d, refunded %d, owed to the seller %d msat", p, r, o)
				}
				switch {
				case byOperator:
				case tt.want == Success:
					w.wantHeard(solver, SayAdminSettled)
				case tt.want == CanceledByAdmin:
					w.wantHeard(solver, SayAdminCanceled)
				default:
					w.wantHeard(solver, SayText)
				}
				if tt.want == Frozen {
					w.operator(tr.id, AdminCancel{})
					w.want(tr.id, CanceledByAdmin)
				}
			})
		}
	}
}

func TestEvidenceEndsAFrozenTrade(t *testing.T) {
	tests := []struct {
		name  string
		to    func(*trade)
		want  Status
		heard Action
	}{
		{"released before", func(tr *trade) { tr.frozenAfter(FiatSent, (*trade).release) }, Success, SayReleased},
		{"a verdict before", func(tr *trade) {
			tr.frozenAfter(InDispute, func(tr *trade) { tr.w.operator(tr.id, AdminSettle{}) })
		}, Success, SayAdminSettled},
		{"nobody's word: a person decides", func(tr *trade) { tr.to(Frozen) }, Frozen, SayHoldCanceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tr := w.newTrade(Sell)
			tr.script = nil
			tt.to(tr)
			if w.node.sends != 0 {
				t.Fatal("paid before the proof")
			}
			hash := w.order(tr.id).Hold
			w.node.holds[hash].state = HoldSettled
			w.report(HoldIsSettled{hash})
			w.want(tr.id, tt.want)
			w.last(tr.buyer, tt.heard)
			if refunded, settled := w.booked(tr.id, Refunded), w.booked(tr.id, Settled); tt.want == Success && (refunded != 0 || settled != 10_060_000) {
				t.Errorf("refunded %d, settled %d msat", refunded, settled)
			}
		})
	}
}

func TestAPayoutThatWasMadeIsFoundAndNotMadeAgain(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell)
	tr.script = nil
	tr.to(Frozen)
	o := w.order(tr.id)
	w.node.holds[o.Hold].state = HoldSettled
	w.node.paid[o.Payout.Hash].state = PayDone // by a store that was lost
	w.operator(tr.id, AdminSettle{})
	w.want(tr.id, Success)
	if w.node.sends != 0 {
		t.Errorf("%d payment calls", w.node.sends)
	}
}

func TestThePartiesOfAFrozenTrade(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Frozen)
	if out := tr.seller.does(tr.id, Release{}); out.Reason != NotAllowedByStatus {
		t.Errorf("a release: %q", out.Reason)
	}
	if out := tr.seller.does(tr.id, OpenDispute{}); out.Reason != DisputeCreationError {
		t.Errorf("a dispute: %q", out.Reason)
	}
	tr.seller.must(tr.id, Cancel{})
	tr.buyer.must(tr.id, Cancel{})
	w.want(tr.id, CoopCanceled)
	if got := w.booked(tr.id, Refunded); got != 10_060_000 {
		t.Errorf("refunded %d msat", got)
	}
}

// A release was on its way to the node when the hold seemed lost. What was decided afterwards counts: if the node has the
// hold again, the old settle is not carried out.
func TestASettleThatWasGivenUpIsNotCarriedOutLater(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Settling) // the node is down
	hash := w.order(tr.id).Hold
	w.do(Input{ID: w.seed().Derive("report"), At: w.now, Seed: w.seed(), Act: HoldIsCanceled{hash, "the hold plugin does not know it"}})
	if s := w.order(tr.id).Status; s != Frozen {
		t.Fatalf("the order is %s", s)
	}
	id := w.seed().Derive("rpc")
	if out := w.do(Input{ID: id, At: w.now, Seed: w.seed(), Order: tr.id, Act: AdminCancel{}}); out.Reason != "" {
		t.Fatal(out)
	}
	w.node.down = false
	w.pump()
	w.want(tr.id, CanceledByAdmin)
	if s := w.node.holds[hash].state; s != HoldCanceled || w.booked(tr.id, Refunded) != 10_060_000 || w.booked(tr.id, Owed) != 0 {
		t.Errorf("at the node the hold is %s; refunded %d, owed %d msat", s, w.booked(tr.id, Refunded), w.booked(tr.id, Owed))
	}
}
