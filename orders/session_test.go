package orders

import (
	"fmt"
	"testing"
)

func TestRestoreGivesBackWhatGoesOn(t *testing.T) {
	w := newWorld(t)
	p, other := w.trader("p"), w.trader("other")
	var open []OrderID
	for i := range 3 {
		w.now++
		p.trade, p.index = key(byte(150+i)), int64(i+1)
		id := p.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		if i == 1 {
			p.must(id, Cancel{})
			continue
		}
		open = append(open, id)
	}
	other.must(open[1], TakeSell{})
	p.trade = key(199) // any key of the identity may ask
	p.must(OrderID{}, AskRestore{})
	got := w.last(p, SayRestore).Restore.Trades
	want := []Restored{{open[1], 3, "waiting-buyer-invoice"}, {open[0], 1, "pending"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	other.must(OrderID{}, AskRestore{})
	if got := w.last(other, SayRestore).Restore.Trades; len(got) != 1 || got[0].Order != open[1] {
		t.Errorf("the taker got %v", got)
	}
	stranger := w.trader("stranger")
	stranger.must(OrderID{}, AskRestore{})
	if l := w.last(stranger, SayRestore); l.Restore == nil || len(l.Restore.Trades) != 0 {
		t.Errorf("a stranger got %+v", l.Restore)
	}
}

func TestOrdersById(t *testing.T) {
	w := newWorld(t)
	seller, buyer, stranger := w.trader("seller"), w.trader("buyer"), w.trader("stranger")
	id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	buyer.must(id, TakeSell{Invoice: w.invoice(10_000)})
	buyer.must(OrderID{}, AskOrders{IDs: []OrderID{{9}, id}})
	l := w.last(buyer, SayOrders)
	if len(l.Views) != 1 || l.Views[0].ID != id || l.Views[0].BuyerInvoice != "" || *l.Views[0].SellerTrade != seller.trade {
		t.Errorf("got %+v", l.Views)
	}
	tests := []struct {
		name string
		by   *trader
		ids  []OrderID
		want Reason
	}{
		{"a stranger's question", stranger, []OrderID{id}, NotFound},
		{"no ids", buyer, nil, InvalidParameters},
		{"too many ids", buyer, make([]OrderID, 11), TooManyRequests},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out := tt.by.does(OrderID{}, AskOrders{IDs: tt.ids}); out.Reason != tt.want {
				t.Errorf("got %q", out.Reason)
			}
		})
	}
}

func TestLastTradeIndex(t *testing.T) {
	w := newWorld(t)
	p := w.trader("p")
	if out := p.does(OrderID{}, AskLastIndex{}); out.Reason != NotFound {
		t.Errorf("an unknown user: %q", out.Reason)
	}
	p.index = 5
	p.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	p.must(OrderID{}, AskLastIndex{})
	if l := w.last(p, SayLastIndex); l.Index == nil || *l.Index != 5 {
		t.Errorf("got %+v", l)
	}
	p.trade, p.private = p.identity, true // some clients author such requests with the identity key
	p.identity = key(1)
	p.must(OrderID{}, AskLastIndex{})
	if l := w.last(p, SayLastIndex); l.Index == nil || *l.Index != 5 {
		t.Errorf("under the identity key: %+v", l)
	}
}

func TestTheMakerMovesAPendingOrderToAnotherKey(t *testing.T) {
	w := newWorld(t)
	p, stranger, buyer := w.trader("p"), w.trader("stranger"), w.trader("buyer")
	id := p.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	if out := stranger.does(id, TradeKey{}); out.Reason != InvalidPubkey {
		t.Errorf("a stranger: %q", out.Reason)
	}
	old := p.trade
	p.trade = key(222)
	p.must(id, TradeKey{})
	w.wantHeard(p, SayTradeKey)
	if w.e.Known(old) || !w.e.Known(p.trade) {
		t.Error("the gate knows the wrong key")
	}
	buyer.must(id, TakeSell{})
	w.wantHeard(p, SayWaitingBuyerInvoice)
	if out := p.does(id, TradeKey{}); out.Reason != InvalidOrderStatus {
		t.Errorf("after the take: %q", out.Reason)
	}
}

func TestOneIdentityCannotFillTheBook(t *testing.T) {
	w := newWorld(t, func(r *Rules) { r.MaxOpenOrders = 3 })
	p := w.trader("p")
	var first OrderID
	for i := range 3 {
		p.trade, p.index = key(byte(150+i)), int64(i+1)
		id := p.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		if i == 0 {
			first = id
		}
	}
	p.trade, p.index = key(190), 4
	if out := p.does(OrderID{}, NewOrder{Terms: sellTerms(10_000)}); out.Reason != TooManyRequests {
		t.Errorf("the fourth: %q", out.Reason)
	}
	p.trade = key(150)
	p.must(first, Cancel{})
	p.trade = key(190)
	p.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
}

func TestRatingsAreTheAverageOfAllVotes(t *testing.T) {
	w := newWorld(t)
	seller := w.trader("seller")
	for i, points := range []int64{5, 5, 2} {
		buyer := w.trader("buyer")
		seller.trade, seller.index = key(byte(150+i)), int64(i+1)
		id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		buyer.must(id, TakeSell{Invoice: w.invoice(10_000)})
		w.lock(id)
		buyer.must(id, SendFiat{})
		seller.must(id, Release{})
		buyer.must(id, RateUser{points})
	}
	n := w.notes[len(w.notes)-1]
	if n.Sum != 12 || n.Reviews != 3 || n.Min != 2 || n.Max != 5 || n.Last != 2 || n.Trade != seller.trade {
		t.Errorf("rating event: %+v", n)
	}
	seller.trade, seller.index = key(180), 9
	seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	s := w.book[len(w.book)-1].Standing
	if s.Rating() != 4 || s.Reviews != 3 {
		t.Errorf("shown as %+v", s)
	}
}
