package orders

import (
	"fmt"
	"testing"
)

// Pairs of inputs that can meet. Each pair is done in both orders, with nothing carried out in between, and once more
// with a restart between the two.
func TestWhicheverComesFirst(t *testing.T) {
	type end struct {
		status Status
		second Reason // what the second one hears
	}
	tests := []struct {
		name   string
		kind   Kind
		in     Status
		a, b   func(*trade) Input
		ab, ba end
	}{
		{"the maker's cancel and a take of a sell order", Sell, Pending, (*trade).makerCancels, (*trade).takes,
			end{Canceled, InvalidOrderStatus}, end{Canceled, ""}},
		{"the maker's cancel and a take of a buy order", Buy, Pending, (*trade).makerCancels, (*trade).takes,
			end{Canceled, InvalidOrderStatus}, end{Canceled, ""}},
		{"two takers", Sell, Pending, (*trade).takes, (*trade).takesToo, end{WaitingBuyerInvoice, InvalidOrderStatus}, end{WaitingBuyerInvoice, InvalidOrderStatus}},
		{"two takers of a buy order", Buy, Pending, (*trade).takes, (*trade).takesToo, end{WaitingPayment, InvalidOrderStatus}, end{WaitingPayment, InvalidOrderStatus}},
		{"a take and the end of the order", Sell, Pending, (*trade).takes, (*trade).late, end{WaitingBuyerInvoice, ""}, end{Expired, InvalidOrderStatus}},
		{"the payment and the end of the seller's time", Sell, WaitingPayment, (*trade).accepted, (*trade).late, end{Active, ""}, end{Canceled, ""}},
		{"the taker's payment and the end of his time", Buy, WaitingPayment, (*trade).accepted, (*trade).late, end{WaitingBuyerInvoice, ""}, end{Pending, ""}},
		{"the payment and the maker's cancel", Sell, WaitingPayment, (*trade).accepted, (*trade).makerCancels, end{Active, ""}, end{Canceled, ""}},
		{"the payment and the taker's cancel", Buy, WaitingPayment, (*trade).accepted, (*trade).takerCancels, end{Pending, ""}, end{Pending, ""}},
		{"the invoice and the end of the taker's time", Sell, WaitingBuyerInvoice, (*trade).adds, (*trade).late, end{WaitingPayment, ""}, end{Pending, InvalidPeer}},
		{"the invoice and the end of the maker's time", Buy, WaitingBuyerInvoice, (*trade).adds, (*trade).late, end{Active, ""}, end{Canceled, NotAllowedByStatus}},
		{"the invoice and the taker's cancel", Buy, WaitingBuyerInvoice, (*trade).adds, (*trade).takerCancels, end{Active, ""}, end{Pending, NotAllowedByStatus}},
		{"fiat sent and the end of the escrow", Sell, Active, (*trade).sends, (*trade).ending, end{Canceled, ""}, end{Canceled, InvalidOrderStatus}},
		{"a release and the other's word for a cancel", Sell, FiatSent, (*trade).releases, (*trade).agrees, end{Settling, NotAllowedByStatus}, end{CoopCanceled, NotAllowedByStatus}},
		{"a release and the end of the escrow", Sell, FiatSent, (*trade).releases, (*trade).ending, end{Settling, ""}, end{Canceled, NotAllowedByStatus}},
		{"a release and the loss of the escrow", Sell, FiatSent, (*trade).releases, (*trade).lost, end{Frozen, ""}, end{Frozen, NotAllowedByStatus}},
		{"a release twice, as two messages", Sell, FiatSent, (*trade).releases, (*trade).releases, end{Settling, NotAllowedByStatus}, end{Settling, NotAllowedByStatus}},
		{"the payout and another invoice", Sell, SettledHoldInvoice, (*trade).paid, (*trade).adds, end{Success, NotAllowedByStatus}, end{Success, ""}},
		{"both votes", Sell, Success, (*trade).makerVotes, (*trade).takerVotes, end{Success, ""}, end{Success, ""}},
	}
	for _, tt := range tests {
		for n, first := range []string{"the first one first", "the second one first"} {
			for _, restarts := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, restart %v", tt.name, first, restarts), func(t *testing.T) {
					w := newWorld(t)
					tr := w.newTrade(tt.kind)
					tr.script = nil
					if tt.in == SettledHoldInvoice {
						tr.script = []error{noRoute} // and the next one pays
					}
					tr.to(tt.in)
					tr.script = nil
					w.now += 500
					a, b, want := tt.a, tt.b, tt.ab
					if n == 1 {
						a, b, want = b, a, tt.ba
					}
					inputs := []Input{a(tr), b(tr)}
					if out := w.do(inputs[0]); out.Reason != "" {
						t.Fatalf("the first: %q", out.Reason)
					}
					if restarts {
						w.restart()
					}
					if out := w.do(inputs[1]); out.Reason != want.second {
						t.Errorf("the second: %q, want %q", out.Reason, want.second)
					}
					if tt.in != SettledHoldInvoice {
						w.want(tr.id, want.status)
					}
					w.settleDown(tr.id)
				})
			}
		}
	}
}

// settleDown carries everything out and looks for what was left lying about.
func (w *world) settleDown(id OrderID) {
	w.t.Helper()
	w.pump()
	o := w.order(id)
	for hash, h := range w.node.holds {
		lives := h.state == HoldOpen || h.state == HoldAccepted
		if lives && (hash != o.Hold || o.Status.Final() || o.Status == Pending) {
			w.t.Errorf("order is %s, and its hold %s is %s at the node", o.Status, hash, h.state)
		}
	}
	if o.Status == SettledHoldInvoice {
		w.t.Error("nobody paid the buyer")
	}
	done := 0
	for _, p := range w.node.paid {
		if p.state == PayDone {
			done++
		}
	}
	if done > 1 {
		w.t.Errorf("%d payouts", done)
	}
	if err := w.store.Check(); err != nil {
		w.t.Error(err)
	}
}

func (tr *trade) takesToo() Input   { return tr.w.trader("second").message(tr.id, tr.takeAct()) }
func (tr *trade) makerVotes() Input { return tr.maker.message(tr.id, RateUser{5}) }
func (tr *trade) takerVotes() Input { return tr.taker.message(tr.id, RateUser{5}) }

// agrees is the second word for a cancel; the first one was said before.
func (tr *trade) agrees() Input {
	tr.maker.must(tr.id, Cancel{})
	return tr.takerCancels()
}

// paid is the next attempt on the payout, which the node makes well.
func (tr *trade) paid() Input {
	return tr.late()
}

// Every step of both kinds of trade ends where it should if the process dies after each commit.
func TestATradeThatDiesAfterEachCommit(t *testing.T) {
	for _, kind := range []Kind{Sell, Buy} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			tr := w.newTrade(kind)
			tr.script = nil
			dying := func(in Input) {
				t.Helper()
				if out := w.do(in); out.Reason != "" {
					t.Fatalf("%s: %q", in.Act.On(), out.Reason)
				}
				w.restart()
				if out := w.do(in); !out.Repeat { // nobody knows whether it was done, so it comes again
					t.Fatalf("%s again: %+v", in.Act.On(), out)
				}
				for rows := w.rows(); len(rows) > 0; rows = w.rows() {
					if !w.carry(rows[0]) {
						w.carry(rows[0]) // a payment is looked at after its call
					}
					w.restart()
				}
			}
			open := tr.maker.message(OrderID{}, NewOrder{Terms: func() Terms { t := sellTerms(10_000); t.Kind = kind; return t }()})
			dying(open)
			tr.id = newOrderID(open.Seed)
			dying(tr.takes())
			if kind == Sell {
				dying(tr.adds())
				dying(tr.accepted())
			} else {
				dying(tr.accepted())
				dying(tr.adds())
			}
			dying(tr.sends())
			dying(tr.releases())
			w.want(tr.id, Success)
			dying(tr.makerVotes())
			dying(tr.takerVotes())
			w.wantHeard(tr.buyer, map[Kind][]Action{
				Sell: {SayAddInvoice, SayWaitingSellerToPay, SayHoldAccepted, SayFiatSentOk, SayReleased, SayPurchaseCompleted, SayRate, SayRateReceived},
				Buy: {SayNewOrder, SayWaitingSellerToPay, SayAddInvoice, SayAddInvoice, SayHoldAccepted, SayFiatSentOk, SayReleased,
					SayPurchaseCompleted, SayRate, SayRateReceived},
			}[kind]...)
			if w.node.sends != 1 || w.booked(tr.id, Paid) != 10_000_000 || w.booked(tr.id, Kept) != 60_000 {
				t.Errorf("%d sends, %d msat paid, %d kept", w.node.sends, w.booked(tr.id, Paid), w.booked(tr.id, Kept))
			}
		})
	}
}
