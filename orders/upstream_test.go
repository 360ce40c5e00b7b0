package orders

import (
	"fmt"
	"sync"
	"testing"
)

// The limitations that the reference server is known to have, one test each: what a trader meets there must not happen
// here. Those about solvers are in roster_test.go. Later work: L8, L21, L27, L28 and L30 (bonds), and of L22 the pruning of
// old orders.

func TestL01_AnOrderTakenWithAnInvoiceLeavesTheBook(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).open()
	tr.taker.must(tr.id, TakeSell{Invoice: tr.invoice()})
	w.want(tr.id, WaitingPayment)
	if a := w.book[len(w.book)-1]; a.Status != "in-progress" {
		t.Errorf("the book says %s", a.Status)
	}
}

func TestL02_AFailureBetweenSettleAndPayoutStillPaysTheBuyer(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Settling)
	w.node.down = false
	for _, r := range w.rows() {
		if s, ok := r.Effect.(*SettleHold); ok {
			w.carry(&Row{Number: r.Number, Order: r.Order, Effect: s})
		}
	}
	w.want(tr.id, SettledHoldInvoice)
	if w.node.sends != 0 {
		t.Fatal("it was paid already")
	}
	w.restart()
	w.pump()
	w.pass(60)
	w.pass(60)
	w.want(tr.id, Success)
}

func TestL03_ASettleThatWasDoneAndNotWrittenDownIsNoError(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell)
	tr.script = nil
	tr.to(Settling)
	w.node.holds[w.order(tr.id).Hold].state = HoldSettled // and then the process died
	w.restart()
	if out := tr.seller.does(tr.id, Release{}); out.Reason != NotAllowedByStatus {
		t.Errorf("a second release: %+v", out)
	}
	w.last(tr.seller, SayCantDo)
	w.node.down = false
	w.pump()
	w.want(tr.id, Success)
}

func TestL04_AnOnlyAttemptThatFailsAsksForAnotherInvoice(t *testing.T) {
	w := newWorld(t, func(r *Rules) { r.PayoutAttempts = 1 })
	tr := w.newTrade(Sell).to(SettledHoldInvoice)
	w.last(tr.buyer, SayAddInvoice)
	tr.script = nil
	tr.addInvoice()
	w.want(tr.id, Success)
}

func TestL05_TwoThingsAtOnceAreOneAfterTheOther(t *testing.T) {
	tests := []struct {
		name     string
		kind     Kind
		in       Status
		a, b     func(*trade) Input
		statuses []Status // one of these
	}{
		{"the payment and the taker's cancel", Sell, WaitingPayment, (*trade).accepted, (*trade).takerCancels, []Status{Active, Pending}},
		{"the payment and the maker's cancel", Buy, WaitingPayment, (*trade).accepted, (*trade).makerCancels, []Status{WaitingBuyerInvoice, Canceled}},
		{"the invoice and the maker's cancel", Sell, WaitingBuyerInvoice, (*trade).adds, (*trade).makerCancels, []Status{WaitingPayment, Canceled}},
		{"fiat sent and a cancel", Sell, Active, (*trade).sends, (*trade).makerCancels, []Status{FiatSent}},
		{"both cancel", Sell, FiatSent, (*trade).takerCancels, (*trade).makerCancels, []Status{CoopCanceled}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			for range 10 {
				tr := w.newTrade(tt.kind).to(tt.in)
				inputs := []Input{tt.a(tr), tt.b(tr)}
				var both sync.WaitGroup
				for _, in := range inputs {
					both.Go(func() {
						if _, err := w.e.Do(t.Context(), in); err != nil {
							t.Error(err)
						}
					})
				}
				both.Wait()
				w.pump()
				if s := w.order(tr.id).Status; s != tt.statuses[0] && s != tt.statuses[len(tt.statuses)-1] {
					t.Errorf("order is %s, want one of %v", s, tt.statuses)
				}
				if err := w.store.Check(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Inputs of a trade that a test may do in any order.

func (tr *trade) accepted() Input {
	hash := tr.w.order(tr.id).Hold
	f := tr.w.node.holds[hash]
	f.state = HoldAccepted
	return Input{ID: NodeID(OnHoldAccepted, hash[:]), At: tr.w.now, Seed: tr.w.seed(), Act: HoldIsAccepted{hash, f.amount, 1000}}
}

func (tr *trade) lost() Input {
	hash := tr.w.order(tr.id).Hold
	tr.w.node.holds[hash].state = HoldCanceled
	return Input{ID: NodeID(OnHoldCanceled, hash[:]), At: tr.w.now, Seed: tr.w.seed(), Act: HoldIsCanceled{hash, "gone"}}
}

func (tr *trade) ending() Input {
	hash := tr.w.order(tr.id).Hold
	return Input{ID: NodeID(OnEscrowDeadline, hash[:]), At: tr.w.now, Seed: tr.w.seed(), Act: EscrowEnding{hash, 970}}
}

func (tr *trade) late() Input         { return tr.w.deadline(tr.id, tr.w.order(tr.id).Deadline) }
func (tr *trade) makerCancels() Input { return tr.maker.message(tr.id, Cancel{}) }
func (tr *trade) takerCancels() Input { return tr.taker.message(tr.id, Cancel{}) }
func (tr *trade) takes() Input        { return tr.taker.message(tr.id, tr.takeAct()) }
func (tr *trade) adds() Input         { return tr.buyer.message(tr.id, AddInvoice{tr.invoice()}) }
func (tr *trade) sends() Input        { return tr.buyer.message(tr.id, SendFiat{}) }
func (tr *trade) releases() Input     { return tr.seller.message(tr.id, Release{}) }

func (w *world) rows() (rows []*Row) {
	w.t.Helper()
	if err := w.e.read(func(t *tx) { rows = t.rows() }); err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func TestL06_WhoeverAsksHearsAnAnswer(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	market := w.newTrade(Sell).openWith(NewOrder{Terms: marketTerms(Sell, 10, 0)})
	fixed := w.newTrade(Sell).open()
	done := w.newTrade(Sell).to(Success)
	done.maker.must(done.id, RateUser{5})
	w.quote = nil
	stranger := w.trader("stranger")
	tests := []struct {
		name string
		by   *trader
		id   OrderID
		act  Act
		want Reason
	}{
		{"a take without a price", stranger, market.id, TakeSell{}, PriceTooStale},
		{"an order in a currency without a price", stranger, OrderID{}, NewOrder{Terms: marketTerms(Sell, 10, 0)}, PriceTooStale},
		{"an invoice for an order without a buyer", stranger, fixed.id, AddInvoice{w.invoice(10_000)}, InvalidPeer},
		{"fiat for an order without a seller", stranger, fixed.id, SendFiat{}, InvalidOrderStatus},
		{"a second vote", done.maker, done.id, RateUser{5}, InvalidOrderStatus},
		{"a vote of nine", done.taker, done.id, RateUser{9}, InvalidRating},
		{"a key for somebody else's order", stranger, fixed.id, TradeKey{}, InvalidPubkey},
		{"a bond's invoice, which is not served", done.maker, done.id, Other{"add-bond-invoice", InvalidAction}, InvalidAction},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.said = nil
			if out := tt.by.does(tt.id, tt.act); out.Reason != tt.want {
				t.Errorf("got %q, want %q", out.Reason, tt.want)
			}
			if l := w.last(tt.by, SayCantDo); l.Reason != tt.want || *l.Request != tt.by.request {
				t.Errorf("heard %+v", l)
			}
		})
	}
	t.Run("a take while no escrow can be made", func(t *testing.T) {
		in := stranger.message(fixed.id, TakeSell{})
		in.Closed = true
		if out := w.do(in); out.Reason != NotAllowedByStatus {
			t.Errorf("got %q", out.Reason)
		}
	})
	t.Run("a take while the node is down is answered when it is back", func(t *testing.T) {
		w.node.down = true
		fixed.taker.must(fixed.id, TakeSell{Invoice: fixed.invoice()})
		w.said = nil
		w.node.down = false
		w.pump()
		w.last(fixed.seller, SayPayInvoice)
		w.last(fixed.buyer, SayWaitingSellerToPay)
	})
}

func TestL07_AMakersCancelGivesTheSatsBackHoweverTheNodeIs(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Buy).to(WaitingBuyerInvoice)
	w.said = nil
	w.node.down = true
	tr.maker.must(tr.id, Cancel{})
	w.last(tr.maker, SayCanceled)
	w.last(tr.taker, SayCanceled)
	w.restart()
	hash := w.order(tr.id).Hold
	if h, _, _ := w.e.Hold(hash); h.State != HoldCanceling {
		t.Errorf("hold is %s and the node was not reached", h.State)
	}
	if got := w.booked(tr.id, Refunded); got != 0 {
		t.Errorf("%d msat are said to be refunded", got)
	}
	w.node.down = false
	w.pump()
	if got := w.booked(tr.id, Refunded); got != 10_060_000 || w.node.holds[hash].state != HoldCanceled {
		t.Errorf("refunded %d msat, the hold is %s", got, w.node.holds[hash].state)
	}
}

// booked sums the ledger rows of one kind.
func (w *world) booked(id OrderID, what EntryKind) (sum Msats) {
	w.t.Helper()
	st, _, err := w.e.Story(id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range st.Ledger {
		if e.What == what {
			sum += e.Msats
		}
	}
	return sum
}

func TestL09_ATakeAtTheMarketPriceKeepsTheLimitsOfToday(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	tr := w.newTrade(Sell).openWith(NewOrder{Terms: marketTerms(Sell, 400, 0)})
	for _, tt := range []struct {
		name  string
		quote *Quote
		want  Reason
	}{
		{"too much today", &Quote{PerBTC: 10_000_000_000}, OutOfRangeSatsAmount},
		{"too little today", &Quote{PerBTC: 1_000_000_000_000_000}, OutOfRangeSatsAmount},
		{"no fresh price", nil, PriceTooStale},
	} {
		w.quote = tt.quote
		if out := tr.taker.does(tr.id, TakeSell{}); out.Reason != tt.want {
			t.Errorf("%s: %q", tt.name, out.Reason)
		}
	}
	w.want(tr.id, Pending)
}

func TestL10_TheRestOfARangeIsAnOrderOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	tr := w.newTrade(Sell)
	tr.script = []error{noRoute}
	tr.openWith(NewOrder{Terms: rangeTerms(Sell, 10, 50)})
	tr.takeRange(20)
	tr.toward(Active)
	tr.maker.must(tr.id, Cancel{})
	tr.sendFiat()
	w.now += 80_000
	next := &NextKey{Trade: w.freshKey(), Index: 7}
	tr.maker.must(tr.id, Release{Next: next})
	rest := restOf(t, w, tr.id)
	low, high := int64(10), int64(30)
	want := Order{
		ID: rest.ID, Kind: Sell, Status: Pending, Market: true, PaymentMethod: "SEPA", Parent: tr.id, Tariff: w.rules.tariff(),
		Maker:     Party{Trade: next.Trade, Identity: tr.maker.identity, Index: &next.Index, Way: Direct, Request: rest.Maker.Request},
		Fiat:      Fiat{Code: "EUR", Min: &low, Max: &high},
		CreatedAt: w.now, ExpiresAt: w.now + 86_400, Deadline: w.now + 86_400, Published: w.now, UpdatedAt: w.now,
	}
	if got, want := asJSON(t, rest), asJSON(t, want); got != want {
		t.Errorf("the rest is\n%s, want\n%s", got, want)
	}
}

func TestL11_AnInvoiceThatCouldNotBePaidIsRefusedWhenItComes(t *testing.T) {
	tests := []struct {
		name   string
		amount Msats
		want   Reason
	}{
		{"the order's amount, of which the buyer's fee must come off", 10_000_000, InvalidInvoice},
		{"what is paid out", 9_970_000, ""},
		{"half a sat more", 9_970_500, InvalidInvoice},
		{"no amount", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(r *Rules) { r.FeePayer = FeeSplit })
			inv := w.invoice(9_970)
			inv.Amount = tt.amount
			p := w.trader("buyer")
			if out := p.does(OrderID{}, NewOrder{Terms: buyTerms(10_000), Invoice: inv}); out.Reason != tt.want {
				t.Errorf("got %q, want %q", out.Reason, tt.want)
			}
		})
	}
}

func TestL12_TheMakersInvoiceOutlivesAnAbandonedTake(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Buy).openWith(NewOrder{Terms: buyTerms(10_000), Invoice: w.invoice(10_000)})
	tr.take()
	tr.taker.must(tr.id, Cancel{})
	again := w.trader("again")
	again.must(tr.id, TakeBuy{})
	tr.lock()
	w.want(tr.id, Active)
}

func TestL13_OnlyWhatGoesOnIsRestoredAndKnown(t *testing.T) {
	for _, s := range Statuses {
		t.Run(string(s), func(t *testing.T) {
			w := newWorld(t)
			tr := w.newTrade(Sell).to(s)
			w.restart()
			w.said = nil
			tr.maker.must(OrderID{}, AskRestore{})
			r := w.last(tr.maker, SayRestore).Restore
			n := len(r.Trades) + len(r.Disputes)
			if disputed := s.Wire() == InDispute.Wire(); disputed != (len(r.Disputes) == 1) {
				t.Errorf("restored: %+v", r)
			}
			if want := map[bool]int{false: 1, true: 0}[s.Final()]; n != want {
				t.Errorf("%d trades restored, want %d", n, want)
			}
			if w.e.Known(tr.maker.trade) == s.Final() {
				t.Errorf("the maker's key is known: %v", s.Final())
			}
		})
	}
}

func TestL14_AVoteCountsAtOnceAndIsPublishedUnderTheRatedKey(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Success)
	tr.buyer.must(tr.id, RateUser{5})
	n := w.notes[len(w.notes)-1]
	if n.Trade != tr.seller.trade || n.Sum != 5 || n.Reviews != 1 {
		t.Errorf("published %+v", n)
	}
}

func TestL15_ARefusedFirstOrderLeavesItsIndexFree(t *testing.T) {
	w := newWorld(t)
	p := w.trader("p")
	if out := p.does(OrderID{}, NewOrder{Terms: sellTerms(1)}); out.Reason != OutOfRangeSatsAmount {
		t.Fatalf("got %q", out.Reason)
	}
	p.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
}

func TestL16_NobodyTradesWithHimself(t *testing.T) {
	for _, private := range []bool{false, true} {
		w := newWorld(t)
		tr := w.newTrade(Sell)
		tr.maker.private = private
		tr.open()
		identity := tr.maker.identity
		if private {
			identity = tr.maker.trade
		}
		for name, p := range map[string]*trader{
			"under another key of the same identity":             {trade: w.freshKey(), identity: identity},
			"under the same key":                                 {trade: tr.maker.trade, identity: identity},
			"under the identity key itself, in full privacy":     {trade: identity, private: true},
			"with the trade key of the order as identity":        {trade: w.freshKey(), identity: tr.maker.trade},
			"under the same key, with a proof of another person": {trade: tr.maker.trade, identity: w.freshKey()},
		} {
			p.w, p.name, p.index, p.way = w, "self", 50, Direct
			if out := p.does(tr.id, TakeSell{}); out.Reason != InvalidPubkey {
				t.Errorf("private %v, %s: %q", private, name, out.Reason)
			}
		}
		w.want(tr.id, Pending)
	}
}

func TestL18_WhatNoRelayTookIsSentAfterARestart(t *testing.T) {
	w := newWorld(t)
	w.deaf = true
	tr := w.newTrade(Sell).to(FiatSent)
	if len(w.said)+len(w.book) != 0 {
		t.Fatal("a relay has heard something")
	}
	w.restart()
	w.deaf = false
	w.pump()
	w.wantHeard(tr.seller, SayNewOrder, SayWaitingBuyerInvoice, SayPayInvoice, SayPayInvoice, SayBuyerTookOrder, SayFiatSentOk)
	w.wantHeard(tr.buyer, SayAddInvoice, SayWaitingSellerToPay, SayHoldAccepted, SayFiatSentOk)
	if a := w.book[len(w.book)-1]; a.Status != "in-progress" {
		t.Errorf("the book says %s", a.Status)
	}
}

func TestL19_AnAddressIsAskedWhenItIsTimeToPayAndNotBefore(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).open()
	tr.taker.must(tr.id, TakeSell{Invoice: &Invoice{Destination: "alice@example.com"}})
	tr.toward(FiatSent)
	if w.node.asked != 0 {
		t.Errorf("asked %d times", w.node.asked)
	}
	w.node.gives = []any{w.invoice(10_000)}
	tr.release()
	if w.node.asked != 1 {
		t.Errorf("asked %d times", w.node.asked)
	}
	w.want(tr.id, Success)
}

func TestL22_OneIdentityHasALimitAndOldInputsAreForgotten(t *testing.T) {
	w := newWorld(t, func(r *Rules) { r.MaxOpenOrders = 2 })
	p := w.trader("p")
	for i := range 3 {
		p.trade, p.index = w.freshKey(), int64(i+1)
		want := Reason("")
		if i == 2 {
			want = TooManyRequests
		}
		if out := p.does(OrderID{}, NewOrder{Terms: sellTerms(10_000)}); out.Reason != want {
			t.Errorf("order %d: %q", i, out.Reason)
		}
	}
	w.pass(w.rules.SeenSeconds + 1)
	w.pass(1)
	left := 0
	if err := w.e.read(func(x *tx) {
		x.each(seenBucket, nil, func(_, _ []byte) bool { left++; return true })
	}); err != nil || left != 0 {
		t.Errorf("%d inputs are remembered: %v", left, err)
	}
}

func TestL23_APremiumLeavesSomethingToPay(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	for premium, want := range map[int64]Reason{99: "", 100: InvalidParameters, 1 << 62: InvalidParameters, -99: "", -100: InvalidParameters} {
		if out := w.trader("p").does(OrderID{}, NewOrder{Terms: marketTerms(Sell, 100, premium)}); out.Reason != want {
			t.Errorf("%d %%: %q, want %q", premium, out.Reason, want)
		}
	}
}

func TestL25_AnActiveOrderThatNobodyAdvancesEndsBeforeItsEscrowDoes(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Active)
	w.pass(30 * 86_400)
	w.want(tr.id, Active) // the clock does not end it, the chain does
	w.said = nil
	w.do(tr.ending())
	w.pump()
	w.want(tr.id, Canceled)
	w.last(tr.maker, SayCanceled)
	w.last(tr.taker, SayCanceled)
	if got := w.booked(tr.id, Refunded); got != 10_060_000 {
		t.Errorf("refunded %d msat", got)
	}
}

func TestL26_OnlyTheMakersNextKeyIsKept(t *testing.T) {
	for _, kind := range []Kind{Sell, Buy} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			w.quote = euro
			tr := w.newTrade(kind).openWith(NewOrder{Terms: rangeTerms(kind, 10, 50)})
			tr.takeRange(20)
			tr.toward(Active)
			tr.buyer.must(tr.id, SendFiat{Next: &NextKey{Trade: w.freshKey(), Index: 5}})
			if kept := w.order(tr.id).Next != nil; kept != (kind == Buy) {
				t.Errorf("the buyer's next key is kept: %v", kept)
			}
			tr.seller.must(tr.id, Release{Next: &NextKey{Trade: w.freshKey(), Index: 6}})
			o := w.order(tr.id)
			if o.Next == nil || o.Next.Index != map[Kind]int64{Buy: 5, Sell: 6}[kind] {
				t.Errorf("next key: %+v", o.Next)
			}
		})
	}
}

func TestL29_NoVoteIsLostOnItsWayOut(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Success)
	w.deaf = true
	tr.buyer.must(tr.id, RateUser{5})
	tr.seller.must(tr.id, RateUser{3})
	w.restart()
	w.deaf = false
	w.pump()
	got := map[PubKey]int64{}
	for _, n := range w.notes {
		got[n.Trade] = n.Sum
	}
	if want := map[PubKey]int64{tr.seller.trade: 5, tr.buyer.trade: 3}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("published %v", w.notes)
	}
}
