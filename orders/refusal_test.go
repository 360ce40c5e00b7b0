package orders

import (
	"strings"
	"testing"
)

func i64(n int64) *int64 { return &n }

func TestNewOrderRefusals(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Input, *NewOrder)
		want   Reason
	}{
		{"no index with an identity", func(in *Input, _ *NewOrder) { in.Index = nil }, InvalidTradeIndex},
		{"index zero", func(in *Input, _ *NewOrder) { in.Index = i64(0) }, InvalidTradeIndex},
		{"negative index", func(in *Input, _ *NewOrder) { in.Index = i64(-1) }, InvalidTradeIndex},
		{"index beyond BIP 32", func(in *Input, _ *NewOrder) { in.Index = i64(1 << 31) }, InvalidTradeIndex},
		{"no escrow", func(in *Input, _ *NewOrder) { in.Closed = true }, NotAllowedByStatus},
		{"no kind", func(_ *Input, n *NewOrder) { n.Terms.Kind = "" }, InvalidOrderKind},
		{"no payment method", func(_ *Input, n *NewOrder) { n.Terms.PaymentMethod = "" }, InvalidParameters},
		{"endless payment method", func(_ *Input, n *NewOrder) { n.Terms.PaymentMethod = strings.Repeat("x", 601) }, InvalidParameters},
		{"currency not on the list", func(_ *Input, n *NewOrder) { n.Terms.FiatCode = "XXX" }, InvalidFiatCurrency},
		{"currency in lower case", func(_ *Input, n *NewOrder) { n.Terms.FiatCode = "eur" }, InvalidFiatCurrency},
		{"no fiat", func(_ *Input, n *NewOrder) { n.Terms.FiatAmount = 0 }, InvalidAmount},
		{"negative fiat", func(_ *Input, n *NewOrder) { n.Terms.FiatAmount = -5 }, InvalidAmount},
		{"negative sats", func(_ *Input, n *NewOrder) { n.Terms.Amount = -5 }, InvalidAmount},
		{"more sats than there are", func(_ *Input, n *NewOrder) { n.Terms.Amount = MaxSats + 1 }, InvalidAmount},
		{"the largest number", func(_ *Input, n *NewOrder) { n.Terms.Amount = 1<<63 - 1 }, InvalidAmount},
		{"half a range", func(_ *Input, n *NewOrder) { n.Terms.Min = i64(1) }, InvalidAmount},
		{"premium on fixed sats", func(_ *Input, n *NewOrder) { n.Terms.Premium = 1 }, InvalidParameters},
		{"too small", func(_ *Input, n *NewOrder) { n.Terms.Amount = 99 }, OutOfRangeSatsAmount},
		{"too large", func(_ *Input, n *NewOrder) { n.Terms.Amount = 1_000_001 }, OutOfRangeSatsAmount},
		{"expired at birth", func(in *Input, n *NewOrder) { n.Terms.ExpiresAt = in.At }, InvalidParameters},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(r *Rules) { r.FiatCodes = []string{"EUR", "USD"} })
			p := w.trader("maker")
			a := NewOrder{Terms: sellTerms(10_000)}
			in := p.message(OrderID{}, nil)
			tt.change(&in, &a)
			in.Act = a
			if out := w.do(in); out.Reason != tt.want {
				t.Errorf("got %q, want %q", out.Reason, tt.want)
			}
			w.pump()
			w.wantHeard(p, SayCantDo)
			if n, _ := w.e.Count(); n.Orders != 0 {
				t.Errorf("%d orders", n.Orders)
			}
			if out := p.does(OrderID{}, NewOrder{Terms: sellTerms(10_000)}); out.Reason != "" {
				t.Errorf("the index was burnt by a refused order: %s", out.Reason)
			}
		})
	}
}

func TestTakeRefusals(t *testing.T) {
	w := newWorld(t)
	maker, taker := w.trader("maker"), w.trader("taker")
	id := maker.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	second := maker
	second.trade, second.index = key(200), 2
	other := second.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	tests := []struct {
		name string
		by   *trader
		id   OrderID
		act  Act
		want Reason
	}{
		{"unknown order", taker, OrderID{1}, TakeSell{}, NotFound},
		{"wrong kind", taker, id, TakeBuy{}, InvalidOrderKind},
		{"own order under another trade key", &trader{w: w, identity: maker.identity, trade: key(201), index: 9, way: Direct}, id, TakeSell{}, InvalidPubkey},
		{"used index", &trader{w: w, identity: maker.identity, trade: key(201), index: 2, way: Direct}, id, TakeSell{}, InvalidTradeIndex},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out := tt.by.does(tt.id, tt.act); out.Reason != tt.want {
				t.Errorf("got %q, want %q", out.Reason, tt.want)
			}
		})
	}
	taker.must(id, TakeSell{})
	taker.trade, taker.index = key(202), 2
	if out := taker.does(other, TakeSell{}); out.Reason != PendingOrderExists {
		t.Errorf("a second take before the first is served: %q", out.Reason)
	}
	late := w.trader("late")
	if out := late.does(id, TakeSell{}); out.Reason != InvalidOrderStatus {
		t.Errorf("a take of a taken order: %q", out.Reason)
	}
	w.now += 86_400
	if out := late.does(other, TakeSell{}); out.Reason != InvalidOrderStatus {
		t.Errorf("a take in the second of the expiry: %q", out.Reason)
	}
}

func TestInvoiceRefusals(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	buyer.must(id, TakeSell{})
	tests := []struct {
		name   string
		change func(*Invoice)
	}{
		{"not an invoice", func(i *Invoice) { i.Problem = "not an invoice" }},
		{"one sat more", func(i *Invoice) { i.Amount += 1000 }},
		{"half a sat more", func(i *Invoice) { i.Amount += 500 }},
		{"one sat less", func(i *Invoice) { i.Amount -= 1000 }},
		{"expires too soon", func(i *Invoice) { i.Expires = w.now + 3599 }},
		{"final CLTV too far", func(i *Invoice) { i.CLTV = 433 }},
		{"empty", func(i *Invoice) { i.Bolt11 = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inv := w.invoice(10_000)
			tt.change(inv)
			if out := buyer.does(id, AddInvoice{inv}); out.Reason != InvalidInvoice {
				t.Errorf("got %q", out.Reason)
			}
			w.want(id, WaitingBuyerInvoice)
		})
	}
	t.Run("an invoice of another order", func(t *testing.T) {
		used := w.invoice(10_000)
		s2, b2 := w.trader("seller2"), w.trader("buyer2")
		other := s2.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		b2.must(other, TakeSell{Invoice: used})
		if out := buyer.does(id, AddInvoice{used}); out.Reason != InvalidInvoice {
			t.Errorf("got %q", out.Reason)
		}
		t.Run("a hash of a hold invoice of ours", func(t *testing.T) {
			inv := w.invoice(10_000)
			inv.Hash = w.order(other).Hold
			if out := buyer.does(id, AddInvoice{inv}); out.Reason != InvalidInvoice {
				t.Errorf("got %q", out.Reason)
			}
		})
	})
	t.Run("an amountless invoice will do", func(t *testing.T) {
		inv := w.invoice(10_000)
		inv.Amount = 0
		buyer.must(id, AddInvoice{inv})
		w.want(id, WaitingPayment)
	})
}

func TestFullPrivacyLeavesNoTrace(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	seller.private = true
	id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	buyer.must(id, TakeSell{Invoice: w.invoice(10_000)})
	w.lock(id)
	buyer.must(id, SendFiat{})
	seller.must(id, Release{})
	buyer.must(id, RateUser{5})
	seller.must(id, RateUser{3})
	err := w.e.read(func(tx *tx) {
		if _, ok := tx.user(seller.trade); ok {
			t.Error("a user row for a private seller")
		}
		u, ok := tx.user(buyer.identity)
		if !ok || u.Reviews != 1 || u.Sum != 3 {
			t.Errorf("buyer: %+v", u)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStrangersAndWrongSides(t *testing.T) {
	w, id, who := tradeIn(t, FiatSent)
	tests := []struct {
		name string
		by   string
		act  Act
		want Reason
	}{
		{"the buyer releases", "taker", Release{}, InvalidPeer},
		{"a stranger releases", "stranger", Release{}, InvalidPeer},
		{"the buyer says twice that he paid", "taker", SendFiat{}, InvalidOrderStatus},
		{"a stranger cancels", "stranger", Cancel{}, InvalidPubkey},
		{"the seller gives an invoice", "maker", AddInvoice{w.invoice(10_000)}, InvalidPeer},
		{"a vote of six", "maker", RateUser{6}, InvalidRating},
		{"a vote too early", "maker", RateUser{5}, InvalidOrderStatus},
		{"a request that is not served", "maker", Other{Action: "pay-invoice", Reason: InvalidAction}, InvalidAction},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out := who[tt.by].does(id, tt.act); out.Reason != tt.want {
				t.Errorf("got %q, want %q", out.Reason, tt.want)
			}
			w.want(id, FiatSent)
		})
	}
	who["maker"].must(id, Cancel{})
	if out := who["maker"].does(id, Cancel{}); out.Reason != InvalidPubkey {
		t.Errorf("confirming one's own cancel: %q", out.Reason)
	}
}
