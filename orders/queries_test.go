package orders

import (
	"reflect"
	"slices"
	"testing"
)

func TestOrdersComeInPagesFromTheNewest(t *testing.T) {
	w := newWorld(t)
	var ids []OrderID
	for i := range 7 {
		w.now++
		p := w.trader("maker")
		id := p.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		ids = append(ids, id)
		if i%2 == 0 {
			p.must(id, Cancel{})
		}
	}
	read := func(q Query) (got []OrderID) {
		for {
			page, next, err := w.e.Orders(q)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page {
				got = append(got, o.ID)
			}
			if next == nil {
				return got
			}
			q.Before = next
		}
	}
	tests := []struct {
		name string
		q    Query
		want []int
	}{
		{"all, one by one", Query{Limit: 1}, []int{6, 5, 4, 3, 2, 1, 0}},
		{"all, three at a time", Query{Limit: 3}, []int{6, 5, 4, 3, 2, 1, 0}},
		{"open ones", Query{Open: true, Limit: 2}, []int{5, 3, 1}},
		{"canceled ones", Query{Status: Canceled, Limit: 10}, []int{6, 4, 2, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := read(tt.q)
			if len(got) != len(tt.want) {
				t.Fatalf("%d orders, want %d", len(got), len(tt.want))
			}
			for i, n := range tt.want {
				if got[i] != ids[n] {
					t.Errorf("place %d: %s, want order %d", i, got[i], n)
				}
			}
		})
	}
	n, err := w.e.Open()
	if err != nil || n[Pending] != 3 || len(n) != 1 {
		t.Errorf("open: %v %v", n, err)
	}
}

func TestKnownKeysFollowTheTrade(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := seller.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	buyer.must(id, TakeSell{})
	for _, k := range []PubKey{seller.trade, buyer.trade} {
		if !w.e.Known(k) {
			t.Errorf("%s is not known", k)
		}
	}
	w.restart()
	if !w.e.Known(buyer.trade) {
		t.Error("forgotten at a restart")
	}
	seller.must(id, Cancel{})
	if w.e.Known(seller.trade) {
		t.Error("known after the end")
	}
}

// Relays that lost an order get what was announced, whatever became of the order since.
func TestTheBookIsWhatWasAnnouncedLast(t *testing.T) {
	w := newWorld(t)
	maker, taker := w.trader("maker"), w.trader("taker")
	other := w.trader("another").must(OrderID{}, NewOrder{Terms: sellTerms(20_000)})
	id := maker.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	check := func(want string, inBook bool) {
		t.Helper()
		w.pump()
		var last *Announcement
		for i := range w.book {
			if w.book[i].Order == id {
				last = &w.book[i]
			}
		}
		got, ok, err := w.e.Announced(id)
		if err != nil || !ok || !reflect.DeepEqual(got, *last) || got.Status != want {
			t.Errorf("announced %+v, %v, %v; the last was %+v, want %s", got, ok, err, last, want)
		}
		book, err := w.e.Book(w.now)
		if err != nil || slices.ContainsFunc(book, func(a Announcement) bool { return reflect.DeepEqual(a, got) }) != inBook {
			t.Errorf("%s, in the book or not: %+v, %v", want, book, err)
		}
		if !slices.ContainsFunc(book, func(a Announcement) bool { return a.Order == other }) {
			t.Error("the other order is missing")
		}
	}
	check("pending", true)
	w.now += 86400 / 2
	taker.must(id, TakeSell{})
	check("in-progress", true)
	w.now++
	taker.must(id, Cancel{})
	check("pending", true)
	maker.must(id, Cancel{})
	check("canceled", false)
	if _, ok, err := w.e.Announced(OrderID{1}); ok || err != nil {
		t.Errorf("an order that never was: %v, %v", ok, err)
	}
	if book, err := w.e.Book(w.now + 86400); len(book) != 0 || err != nil {
		t.Errorf("what relays have forgotten by themselves: %+v, %v", book, err)
	}
}
