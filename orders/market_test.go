package orders

import (
	"fmt"
	"math"
	"testing"
)

// euro is 50 000 EUR for one bitcoin: 1 EUR is 2000 sat.
var euro = &Quote{PerBTC: 50_000_000_000, AsOf: startTime}

func TestSatsFor(t *testing.T) {
	tests := []struct {
		name    string
		fiat    int64
		perBTC  int64 // millionths
		premium int64
		want    Sats
	}{
		{"ten at par", 10, 50_000_000_000, 0, 20_000},
		{"a premium means fewer sats", 10, 50_000_000_000, 5, 19_000},
		{"a discount means more", 10, 50_000_000_000, -5, 21_000},
		{"truncated, not rounded", 1, 30_000_000_000, 0, 3333},
		{"the highest premium", 100, 50_000_000_000, 99, 2000},
		{"a weak currency", 1_000_000, 4_000_000_000_000_000, 0, 25_000},
		{"a price below one", 1, 500_000, 0, 200_000_000},
		{"nothing for nothing", 0, 50_000_000_000, 0, 0},
		{"no more than there is", math.MaxInt64, 1, 0, 0},
		{"no price", 10, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := satsFor(tt.fiat, &Quote{PerBTC: tt.perBTC}, tt.premium); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	if satsFor(10, nil, 0) != 0 {
		t.Error("sats without a quote")
	}
}

func marketTerms(k Kind, fiat, premium int64) Terms {
	return Terms{Kind: k, FiatCode: "EUR", FiatAmount: fiat, PaymentMethod: "SEPA", Premium: premium}
}

func rangeTerms(k Kind, low, high int64) Terms {
	return Terms{Kind: k, FiatCode: "EUR", Min: &low, Max: &high, PaymentMethod: "SEPA"}
}

func TestTheMarketPriceIsFrozenAtTheTakeAndForgottenWhenItIsAbandoned(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	seller, gone, buyer := w.trader("seller"), w.trader("gone"), w.trader("buyer")
	id := seller.must(OrderID{}, NewOrder{Terms: marketTerms(Sell, 10, 5)})
	if l := w.last(seller, SayNewOrder); l.View.Amount != 0 {
		t.Errorf("the order has %d sat before the take", l.View.Amount)
	}
	gone.must(id, TakeSell{})
	if l := w.last(gone, SayAddInvoice); l.View.Amount != 19_000 {
		t.Errorf("asked for an invoice of %d", l.View.Amount)
	}
	w.quote = &Quote{PerBTC: 40_000_000_000}
	if got := w.order(id).Amount; got != 19_000 {
		t.Errorf("amount moved to %d", got)
	}
	w.pass(901)
	if o := w.order(id); o.Status != Pending || o.Amount != 0 || o.Fees.Total() != 0 {
		t.Errorf("reopened as %+v", o)
	}
	buyer.must(id, TakeSell{})
	if l := w.last(buyer, SayAddInvoice); l.View.Amount != 23_750 {
		t.Errorf("at the new price: %d", l.View.Amount)
	}
}

func TestMarketRefusals(t *testing.T) {
	tests := []struct {
		name  string
		terms Terms
		quote *Quote
		want  Reason
	}{
		{"no price", marketTerms(Sell, 10, 0), nil, PriceTooStale},
		{"too little at today's price", marketTerms(Sell, 1, 99), &Quote{PerBTC: 60_000_000_000}, OutOfRangeSatsAmount},
		{"too much at today's price", marketTerms(Sell, 1000, 0), euro, OutOfRangeSatsAmount},
		{"a premium of 100", marketTerms(Sell, 10, 100), euro, InvalidParameters},
		{"a premium of −100", marketTerms(Sell, 10, -100), euro, InvalidParameters},
		{"a range upside down", rangeTerms(Sell, 20, 10), euro, InvalidAmount},
		{"a range of one point", rangeTerms(Sell, 10, 10), euro, InvalidAmount},
		{"a range from zero", rangeTerms(Sell, 0, 10), euro, InvalidAmount},
		{"a range with fixed sats", func() Terms { r := rangeTerms(Sell, 10, 20); r.Amount = 5000; return r }(), euro, InvalidAmount},
		{"the end of a range beyond the limit", rangeTerms(Sell, 10, 501), euro, OutOfRangeSatsAmount},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.quote = tt.quote
			if out := w.trader("maker").does(OrderID{}, NewOrder{Terms: tt.terms}); out.Reason != tt.want {
				t.Errorf("got %q, want %q", out.Reason, tt.want)
			}
		})
	}
	t.Run("a take without a price, or beyond the limits of today", func(t *testing.T) {
		w := newWorld(t)
		w.quote = euro
		id := w.trader("maker").must(OrderID{}, NewOrder{Terms: marketTerms(Buy, 400, 0)})
		seller := w.trader("seller")
		w.quote = nil
		if out := seller.does(id, TakeBuy{}); out.Reason != PriceTooStale {
			t.Errorf("without a price: %q", out.Reason)
		}
		w.quote = &Quote{PerBTC: 10_000_000_000}
		if out := seller.does(id, TakeBuy{}); out.Reason != OutOfRangeSatsAmount {
			t.Errorf("at a fifth of the price: %q", out.Reason)
		}
		w.want(id, Pending)
	})
	t.Run("a range without the taker's choice, or beyond it", func(t *testing.T) {
		w := newWorld(t)
		w.quote = euro
		id := w.trader("maker").must(OrderID{}, NewOrder{Terms: rangeTerms(Sell, 10, 50)})
		buyer := w.trader("buyer")
		for _, slice := range []*int64{nil, i64(9), i64(51), i64(-1), i64(0)} {
			if out := buyer.does(id, TakeSell{Fiat: slice}); out.Reason != OutOfRangeSatsAmount {
				t.Errorf("slice %v: %q", slice, out.Reason)
			}
		}
	})
}

func TestRangeOrdersLeaveARest(t *testing.T) {
	tests := []struct {
		name     string
		kind     Kind
		slice    int64
		noKey    bool
		min, max int64 // of the rest; max 0: a fixed amount; both 0: none
	}{
		{"a sell range leaves a range", Sell, 20, false, 10, 30},
		{"a buy range leaves a range", Buy, 20, false, 10, 30},
		{"exactly the minimum is left as a fixed amount", Sell, 40, false, 10, 0},
		{"less than the minimum ends it", Sell, 41, false, 0, 0},
		{"all of it ends it", Buy, 50, false, 0, 0},
		{"no key for the rest ends it", Sell, 20, true, 0, 0},
	}
	for _, tt := range tests {
		for _, private := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, private %v", tt.name, private), func(t *testing.T) {
				w := newWorld(t)
				w.quote = euro
				maker, taker := w.trader("maker"), w.trader("taker")
				maker.private = private
				id := maker.must(OrderID{}, NewOrder{Terms: rangeTerms(tt.kind, 10, 50)})
				next := &NextKey{Trade: key(250), Index: 7}
				if tt.noKey {
					next = nil
				}
				amount := Sats(tt.slice * 2000)
				seller, buyer := maker, taker
				if tt.kind == Buy {
					seller, buyer = taker, maker
					taker.must(id, TakeBuy{Fiat: &tt.slice})
					w.lock(id)
					buyer.must(id, AddInvoice{w.invoice(amount)})
				} else {
					taker.must(id, TakeSell{Fiat: &tt.slice, Invoice: w.invoice(amount)})
					w.lock(id)
				}
				w.now += 1000
				sent, release := SendFiat{}, Release{}
				if tt.kind == Buy {
					sent.Next = next
					release.Next = &NextKey{Trade: key(251), Index: 9} // of no maker: ignored
				} else {
					release.Next = next
				}
				buyer.must(id, sent)
				seller.must(id, release)
				w.want(id, Success)
				rest := restOf(t, w, id)
				if tt.min == 0 {
					if rest != nil {
						t.Fatalf("a rest: %+v", rest)
					}
					return
				}
				if rest == nil {
					t.Fatal("no rest")
				}
				checkRest(t, w, rest, next, tt.min, tt.max, private)
			})
		}
	}
}

func restOf(t *testing.T, w *world, id OrderID) *Order {
	t.Helper()
	page, _, err := w.e.Orders(Query{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range page {
		if page[i].Parent == id {
			return &page[i]
		}
	}
	return nil
}

func checkRest(t *testing.T, w *world, rest *Order, next *NextKey, low, high int64, private bool) {
	t.Helper()
	switch {
	case high == 0 && (rest.Range() || rest.Fiat.Amount != low):
		t.Errorf("rest is %+v", rest.Fiat)
	case high != 0 && (!rest.Range() || *rest.Fiat.Min != low || *rest.Fiat.Max != high):
		t.Errorf("rest is %+v", rest.Fiat)
	}
	if rest.Status != Pending || rest.Maker.Trade != next.Trade || rest.Taker.Here() || rest.Amount != 0 {
		t.Errorf("rest is %+v", rest)
	}
	if rest.ExpiresAt != w.now+86_400 {
		t.Errorf("L10: the rest expires at %d", rest.ExpiresAt-w.now)
	}
	heir := &trader{w: w, name: "heir", trade: next.Trade}
	l := w.last(heir, SayNewOrder)
	if l.Order != rest.ID || l.Index == nil || *l.Index != next.Index {
		t.Errorf("the maker heard %+v", l)
	}
	if private != rest.Maker.Private() {
		t.Errorf("privacy changed: %+v", rest.Maker)
	}
	// The rest trades like any order.
	second := w.trader("second")
	if rest.Kind == Sell {
		second.must(rest.ID, TakeSell{Fiat: &low})
	} else {
		second.must(rest.ID, TakeBuy{Fiat: &low})
	}
}

func TestPayoutsToADestination(t *testing.T) {
	start := func(t *testing.T) (*world, *trader, *trader, OrderID) {
		w := newWorld(t)
		seller, buyer := w.trader("seller"), w.trader("buyer")
		id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		buyer.must(id, TakeSell{Invoice: &Invoice{Destination: "alice@example.com"}})
		w.lock(id)
		buyer.must(id, SendFiat{})
		w.heard(buyer)
		return w, seller, buyer, id
	}
	t.Run("an address is asked once and paid", func(t *testing.T) {
		w, seller, buyer, id := start(t)
		w.node.gives = []any{w.invoice(10_000)}
		seller.must(id, Release{})
		w.want(id, Success)
		w.wantHeard(buyer, SayReleased, SayPurchaseCompleted, SayRate)
	})
	t.Run("an address that does not answer counts as a failed attempt", func(t *testing.T) {
		w, seller, buyer, id := start(t)
		no := &ResolveError{Why: "503"}
		w.node.gives = []any{no, no, no, w.invoice(10_000)}
		seller.must(id, Release{})
		w.pass(60)
		w.pass(60)
		w.wantHeard(buyer, SayReleased, SayPaymentFailed, SayAddInvoice)
		w.pass(3600)
		w.want(id, Success)
	})
	t.Run("an invoice that could not be paid is tried again, not replaced, while it lives", func(t *testing.T) {
		w, seller, _, id := start(t)
		w.node.gives = []any{w.invoice(10_000, &PayError{Why: "no route"})}
		seller.must(id, Release{})
		w.pass(60)
		w.want(id, Success)
		if w.node.sends != 2 {
			t.Errorf("%d sends", w.node.sends)
		}
	})
	t.Run("an expired invoice of the address is replaced by a new one", func(t *testing.T) {
		w, seller, _, id := start(t)
		w.node.gives = []any{w.invoice(10_000, &PayError{Why: "expired", Fatal: true}), w.invoice(10_000)}
		seller.must(id, Release{})
		w.pass(60)
		w.want(id, Success)
	})
	t.Run("an address that hands out somebody else's invoice is not paid twice", func(t *testing.T) {
		w, seller, buyer, id := start(t)
		used := w.invoice(10_000)
		s2, b2 := w.trader("s2"), w.trader("b2")
		other := s2.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		b2.must(other, TakeSell{Invoice: used})
		w.node.gives = []any{used}
		seller.must(id, Release{})
		w.want(id, SettledHoldInvoice)
		w.wantHeard(buyer, SayReleased, SayPaymentFailed)
		if w.node.sends != 0 {
			t.Errorf("%d sends", w.node.sends)
		}
	})
	t.Run("an address of a buy order's maker serves every take", func(t *testing.T) {
		w := newWorld(t)
		buyer, gone, seller := w.trader("buyer"), w.trader("gone"), w.trader("seller")
		id := buyer.must(OrderID{}, NewOrder{Terms: buyTerms(10_000), Invoice: &Invoice{Destination: "alice@example.com"}})
		gone.must(id, TakeBuy{})
		gone.must(id, Cancel{})
		seller.must(id, TakeBuy{})
		w.lock(id)
		w.want(id, Active)
	})
}
