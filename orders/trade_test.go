package orders

import (
	"errors"
	"testing"
)

func TestSellOrderHappyPath(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	w.wantHeard(seller, SayNewOrder)
	buyer.must(id, TakeSell{})
	w.want(id, WaitingBuyerInvoice)
	if l := w.last(buyer, SayAddInvoice); l.View.Amount != 10_000 || l.View.ExpiresAt != nil || *l.Request != 1 {
		t.Errorf("add-invoice: %+v", l)
	}
	w.wantHeard(buyer, SayAddInvoice)
	w.wantHeard(seller, SayWaitingBuyerInvoice)
	buyer.must(id, AddInvoice{w.invoice(10_000)})
	w.want(id, WaitingPayment)
	if l := w.last(seller, SayPayInvoice); l.View.Amount != 10_060 || l.Bolt11 == "" {
		t.Errorf("pay-invoice: %+v", l)
	}
	w.wantHeard(seller, SayPayInvoice, SayPayInvoice)
	w.wantHeard(buyer, SayWaitingSellerToPay)
	w.lock(id)
	w.want(id, Active)
	w.wantHeard(seller, SayBuyerTookOrder)
	w.wantHeard(buyer, SayHoldAccepted)
	buyer.must(id, SendFiat{})
	w.wantHeard(seller, SayFiatSentOk)
	w.wantHeard(buyer, SayFiatSentOk)
	seller.must(id, Release{})
	w.want(id, Success)
	w.wantHeard(buyer, SayReleased, SayPurchaseCompleted, SayRate)
	w.wantHeard(seller, SayHoldSettled, SayRate)
	st, _, err := w.e.Story(id)
	if err != nil {
		t.Fatal(err)
	}
	sum := map[EntryKind]Msats{}
	for _, e := range st.Ledger {
		sum[e.What] += e.Msats
	}
	if sum[Locked] != 10_060_000 || sum[Settled] != 10_060_000 || sum[Paid] != 10_000_000 || sum[Kept] != 60_000 || sum[Routed] != 1500 {
		t.Errorf("ledger: %v", sum)
	}
	if w.node.sends != 1 {
		t.Errorf("%d payment calls", w.node.sends)
	}
	var public []string
	for _, a := range w.book {
		public = append(public, a.Status)
	}
	if join2(public) != "pending\nin-progress\nsuccess" {
		t.Errorf("order events: %v", public)
	}
	buyer.must(id, RateUser{5})
	w.wantHeard(buyer, SayRateReceived)
	if out := buyer.does(id, RateUser{1}); out.Reason != InvalidOrderStatus {
		t.Errorf("second vote: %+v", out)
	}
}

func TestBuyOrderHappyPath(t *testing.T) {
	w := newWorld(t, func(r *Rules) { r.FeePayer = FeeSplit })
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := buyer.must(OrderID{}, NewOrder{Terms: buyTerms(10_000)})
	w.wantHeard(buyer, SayNewOrder)
	seller.must(id, TakeBuy{})
	w.want(id, WaitingPayment)
	if l := w.last(seller, SayPayInvoice); l.View.Amount != 10_030 || l.Request == nil {
		t.Errorf("pay-invoice: %+v", l.View)
	}
	w.wantHeard(seller, SayPayInvoice)
	w.wantHeard(buyer, SayWaitingSellerToPay)
	w.lock(id)
	w.want(id, WaitingBuyerInvoice)
	w.wantHeard(buyer, SayAddInvoice, SayAddInvoice)
	w.wantHeard(seller, SayWaitingBuyerInvoice)
	buyer.must(id, AddInvoice{w.invoice(9_970)})
	w.want(id, Active)
	w.wantHeard(seller, SayBuyerTookOrder)
	w.wantHeard(buyer, SayHoldAccepted)
	buyer.must(id, SendFiat{})
	seller.must(id, Release{})
	w.want(id, Success)
}

func TestTheMakersOwnInvoiceSurvivesAnAbandonedTake(t *testing.T) {
	w := newWorld(t)
	buyer, gone, seller := w.trader("buyer"), w.trader("gone"), w.trader("seller")
	id := buyer.must(OrderID{}, NewOrder{Terms: buyTerms(10_000), Invoice: w.invoice(10_000)})
	gone.must(id, TakeBuy{})
	w.pass(901)
	w.want(id, Pending)
	w.wantHeard(gone, SayPayInvoice, SayCanceled)
	w.wantHeard(buyer, SayNewOrder, SayWaitingSellerToPay, SayNewOrder)
	seller.must(id, TakeBuy{})
	w.lock(id)
	w.want(id, Active)
}

func TestAbandonPaths(t *testing.T) {
	type parties struct {
		w            *world
		maker, taker *trader
		id           OrderID
	}
	sell := func(p *parties) { p.id = p.maker.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)}) }
	buy := func(p *parties) { p.id = p.maker.must(OrderID{}, NewOrder{Terms: buyTerms(10_000)}) }
	take := func(p *parties) {
		if p.w.order(p.id).Kind == Sell {
			p.taker.must(p.id, TakeSell{})
		} else {
			p.taker.must(p.id, TakeBuy{})
		}
	}
	invoice := func(p *parties) {
		b := p.taker
		if p.w.order(p.id).Kind == Buy {
			b = p.maker
		}
		b.must(p.id, AddInvoice{p.w.invoice(10_000)})
	}
	lock := func(p *parties) { p.w.lock(p.id) }
	late := func(p *parties) { p.w.pass(901) }
	expire := func(p *parties) { p.w.pass(86_401) }
	makerCancels := func(p *parties) { p.maker.must(p.id, Cancel{}) }
	takerCancels := func(p *parties) { p.taker.must(p.id, Cancel{}) }
	tests := []struct {
		name  string
		steps []func(*parties)
		want  Status
		maker Action // the last thing that the maker hears
		taker Action
	}{
		{"maker cancels a pending order", []func(*parties){sell, makerCancels}, Canceled, SayCanceled, ""},
		{"a pending order expires", []func(*parties){buy, expire}, Expired, SayCanceled, ""},
		{"the taker of a sell order gives no invoice", []func(*parties){sell, take, late}, Pending, SayNewOrder, SayCanceled},
		{"the maker of a sell order does not pay", []func(*parties){sell, take, invoice, late}, Canceled, SayCanceled, SayCanceled},
		{"the taker of a buy order does not pay", []func(*parties){buy, take, late}, Pending, SayNewOrder, SayCanceled},
		{"the maker of a buy order gives no invoice", []func(*parties){buy, take, lock, late}, Canceled, SayCanceled, SayCanceled},
		{"the taker cancels before the invoice", []func(*parties){sell, take, takerCancels}, Pending, SayNewOrder, SayCanceled},
		{"the taker cancels before the payment", []func(*parties){sell, take, invoice, takerCancels}, Pending, SayNewOrder, SayCanceled},
		{"the maker cancels after the take", []func(*parties){sell, take, makerCancels}, Canceled, SayCanceled, SayCanceled},
		{"the seller takes his locked sats back", []func(*parties){buy, take, lock, takerCancels}, Pending, SayNewOrder, SayCanceled},
		{"both agree to cancel", []func(*parties){sell, take, invoice, lock, makerCancels, takerCancels}, CoopCanceled, SayCoopAccepted, SayCoopAccepted},
	}
	for _, tt := range tests {
		for _, restarts := range []bool{false, true} {
			name := tt.name
			if restarts {
				name += ", restarted after each step"
			}
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				p := &parties{w: w, maker: w.trader("maker"), taker: w.trader("taker")}
				for _, step := range tt.steps {
					step(p)
					if restarts {
						w.restart()
					}
				}
				w.want(p.id, tt.want)
				if tt.maker != "" {
					w.last(p.maker, tt.maker)
				}
				if tt.taker != "" {
					w.last(p.taker, tt.taker)
				}
				for h, f := range w.node.holds {
					if f.state != HoldCanceled && tt.want != Active {
						t.Errorf("hold %s is %s", h, f.state)
					}
				}
				if n, err := w.e.Count(); err != nil || n.Owed != 0 || n.Holds != 0 {
					t.Errorf("left: %+v %v", n, err)
				}
			})
		}
	}
}

func TestPayoutLife(t *testing.T) {
	noRoute := &PayError{Why: "no route"}
	expired := &PayError{Why: "invoice expired", Fatal: true}
	lost := errLost
	settled := func(t *testing.T, script ...error) (*world, *trader, OrderID) {
		w := newWorld(t)
		seller, buyer := w.trader("seller"), w.trader("buyer")
		id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		buyer.must(id, TakeSell{Invoice: w.invoice(10_000, script...)})
		w.lock(id)
		buyer.must(id, SendFiat{})
		w.heard(buyer)
		seller.must(id, Release{})
		return w, buyer, id
	}
	t.Run("the second attempt works", func(t *testing.T) {
		w, buyer, id := settled(t, noRoute)
		w.want(id, SettledHoldInvoice)
		w.wantHeard(buyer, SayReleased, SayPaymentFailed)
		w.pass(60)
		w.want(id, Success)
		if w.node.sends != 2 {
			t.Errorf("%d sends", w.node.sends)
		}
	})
	t.Run("after three failures the buyer is asked, and his new invoice is paid", func(t *testing.T) {
		w, buyer, id := settled(t, noRoute, noRoute, noRoute, noRoute)
		w.pass(60)
		w.wantHeard(buyer, SayReleased, SayPaymentFailed)
		w.pass(60)
		w.wantHeard(buyer, SayAddInvoice)
		buyer.must(id, AddInvoice{w.invoice(10_000)})
		w.wantHeard(buyer, SayInvoiceUpdated, SayPurchaseCompleted, SayRate)
		w.want(id, Success)
	})
	t.Run("the old invoice is tried again every hour", func(t *testing.T) {
		w, _, id := settled(t, noRoute, noRoute, noRoute, noRoute)
		w.pass(60)
		w.pass(60)
		w.pass(3600)
		w.want(id, SettledHoldInvoice)
		w.pass(3600)
		w.want(id, Success)
	})
	t.Run("an invoice that can never be paid is asked for at once", func(t *testing.T) {
		w, buyer, id := settled(t, expired)
		w.wantHeard(buyer, SayReleased, SayAddInvoice)
		w.pass(100_000)
		w.want(id, SettledHoldInvoice)
		if w.node.sends != 1 {
			t.Errorf("%d sends", w.node.sends)
		}
	})
	t.Run("a lost answer is waited for and the invoice stays locked", func(t *testing.T) {
		w, buyer, id := settled(t, lost)
		w.want(id, SettledHoldInvoice)
		if out := buyer.does(id, AddInvoice{w.invoice(10_000)}); out.Reason != NotAllowedByStatus {
			t.Errorf("swap of the invoice: %+v", out)
		}
		w.pass(119)
		if w.node.sends != 1 {
			t.Errorf("paid again after %d sends", w.node.sends)
		}
		w.pass(2) // patience is over: failed
		w.pass(60)
		w.want(id, Success)
	})
	t.Run("a clock that is set forward does not end the wait for a lost answer", func(t *testing.T) {
		w, buyer, id := settled(t, lost)
		w.jumped += 3600
		w.pass(3600)
		w.pass(1)
		if out := buyer.does(id, AddInvoice{w.invoice(10_000)}); out.Reason != NotAllowedByStatus || w.node.sends != 1 {
			t.Errorf("another invoice after %d sends: %+v", w.node.sends, out)
		}
		w.pass(120)
		w.pass(60)
		w.want(id, Success)
	})
	t.Run("the wait for a lost answer counts from the call, not from a mark that could not be written", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell)
		tr.script = []error{errLost, nil}
		tr.to(FiatSent)
		tr.seller.owes(tr.id, Release{})
		w.carryOnly("settle-hold")
		w.commit = func(func() error) error { return errors.New("no space left on device") }
		var rows []*Row
		must(t, w.e.read(func(x *tx) { rows = x.rows() }))
		for _, r := range rows {
			if _, ok := r.Effect.(*Pay); ok {
				d := &dispatcher{e: w.e, p: w.ports()}
				if gone, _, err := d.carryOut(t.Context(), r, false); gone || err == nil {
					t.Fatal("the mark was written to a full disk", gone, err)
				}
			}
		}
		w.commit = nil
		w.pass(3600)
		if w.node.sends != 1 {
			t.Fatalf("%d sends", w.node.sends)
		}
		w.pass(119)
		if o := w.order(tr.id); !o.Payout.InFlight || w.node.sends != 1 {
			t.Errorf("the payout is over after 119 s: %+v, %d sends", o.Payout, w.node.sends)
		}
		w.pass(2)
		w.pass(60)
		w.want(tr.id, Success)
	})
	t.Run("a start of the program begins the wait for a lost answer anew", func(t *testing.T) {
		w, _, id := settled(t, lost)
		w.restart()
		w.pass(3600) // the rows of before are met now
		if w.node.sends != 1 {
			t.Errorf("paid again after %d sends", w.node.sends)
		}
		w.pass(120)
		w.pass(60)
		w.want(id, Success)
	})
	t.Run("a lost answer of a node that restarted is over at once", func(t *testing.T) {
		w, _, id := settled(t, lost)
		w.node.session = "2"
		w.pass(1)
		w.pass(60)
		w.want(id, Success)
	})
	t.Run("a crash between the call and its answer never pays twice", func(t *testing.T) {
		w, _, id := settled(t, lost)
		o := w.order(id)
		w.node.paid[o.Payout.Hash].state = PayDone // it had gone through
		w.restart()
		w.pump()
		w.want(id, Success)
		if w.node.sends != 1 {
			t.Errorf("%d sends", w.node.sends)
		}
	})
}

func TestHoldLostAfterFiatFreezesTheTrade(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	buyer.must(id, TakeSell{Invoice: w.invoice(10_000)})
	w.lock(id)
	buyer.must(id, SendFiat{})
	w.node.holds[w.order(id).Hold].state = HoldCanceled
	w.report(HoldIsCanceled{Hash: w.order(id).Hold, Why: "channel closed"})
	w.want(id, Frozen)
	w.last(buyer, SayHoldCanceled)
	w.last(seller, SayHoldCanceled)
	if out := seller.does(id, Release{}); out.Reason != NotAllowedByStatus {
		t.Errorf("release of a frozen trade: %+v", out)
	}
}

func TestAcceptedAfterCancelIsRefunded(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := buyer.must(OrderID{}, NewOrder{Terms: buyTerms(10_000)})
	seller.must(id, TakeBuy{})
	hash := w.order(id).Hold
	w.node.holds[hash].state = HoldAccepted // paid, and we do not know yet
	seller.must(id, Cancel{})
	w.report(HoldIsAccepted{Hash: hash, Held: 10_060_000, MinExpiry: 1000})
	w.want(id, Pending)
	if st := w.node.holds[hash].state; st != HoldCanceled {
		t.Errorf("hold is %s", st)
	}
}

func TestSameInputTwiceHasOneEffect(t *testing.T) {
	w := newWorld(t)
	seller := w.trader("seller")
	in := seller.message(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	first := w.do(in)
	w.restart()
	second := w.do(in)
	if !second.Repeat || second.Order != first.Order {
		t.Errorf("second: %+v, first: %+v", second, first)
	}
	if n, _ := w.e.Count(); n.Orders != 1 {
		t.Errorf("%d orders", n.Orders)
	}
	w.pump()
}

func TestAnInvoiceThatGrewTooOldIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	old := w.invoice(10_000)
	old.Expires = w.now + 3600
	buyer.must(id, TakeSell{Invoice: old})
	w.now += 901
	w.lock(id)
	w.want(id, WaitingBuyerInvoice)
	hold := w.order(id).Hold
	buyer.must(id, AddInvoice{w.invoice(10_000)})
	w.want(id, Active)
	if w.order(id).Hold != hold {
		t.Error("the seller was asked to pay twice")
	}
}

func TestAnInvoiceThatLivesForTheWindowIsGoodEnough(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	inv := w.invoice(10_000)
	inv.Expires = w.now + 3600 // what most wallets make
	buyer.must(id, TakeSell{Invoice: inv})
	w.now += 600
	w.lock(id)
	w.want(id, Active)
}
