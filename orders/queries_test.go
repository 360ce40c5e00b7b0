package orders

import "testing"

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
