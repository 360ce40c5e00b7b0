package orders

import (
	"fmt"
	"slices"
	"testing"
)

// traded is an exchange with two trades a day apart and one canceled order between them.
func traded(t *testing.T) (w *world, ids []OrderID) {
	t.Helper()
	w = newWorld(t)
	for i, amount := range []Sats{10_000, 20_000} {
		if i == 1 {
			w.now += 43_200
			p := w.trader("maker")
			p.must(p.must(OrderID{}, NewOrder{Terms: buyTerms(30_000)}), Cancel{})
			w.now += 43_200
		}
		tr := w.newTrade(Sell).openWith(NewOrder{Terms: sellTerms(amount)})
		tr.script = nil
		tr.to(FiatSent)
		w.now += 60
		tr.to(Success)
		ids = append(ids, tr.id)
	}
	return w, ids
}

func TestTheLedgerComesByTimeInPages(t *testing.T) {
	w, ids := traded(t)
	read := func(q LedgerQuery) (rows []LedgerRow) {
		for {
			page, next, err := w.e.Ledger(q)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, page...)
			if next == nil {
				return rows
			}
			if len(page) != q.Limit {
				t.Errorf("a page of %d before the end", len(page))
			}
			q.After = next
		}
	}
	all := read(LedgerQuery{Limit: 100})
	if len(all) == 0 || !slices.IsSortedFunc(all, func(a, b LedgerRow) int { return int(a.At - b.At) }) {
		t.Fatalf("rows not by time: %+v", all)
	}
	for _, limit := range []int{1, 2, len(all), len(all) + 1} {
		if got := read(LedgerQuery{Limit: limit}); fmt.Sprint(got) != fmt.Sprint(all) {
			t.Errorf("in pages of %d: %+v", limit, got)
		}
	}
	for _, r := range read(LedgerQuery{Period: Period{Since: startTime + 43_200}, Limit: 3}) {
		if r.Order != ids[1] || r.Fiat.Code == "" || r.Kind != Sell {
			t.Errorf("after the first day: %+v", r)
		}
	}
	if rows := read(LedgerQuery{Period: Period{Until: startTime}, Limit: 3}); len(rows) != 0 {
		t.Errorf("before everything: %+v", rows)
	}
}

func TestStatsAreThoseOfThePeriod(t *testing.T) {
	w, _ := traded(t)
	tests := []struct {
		name         string
		p            Period
		made, trades int
		canceled     int
		amount, fee  Sats
	}{
		{"everything", Period{}, 3, 2, 1, 30_000, 180},
		{"the first half day", Period{Until: startTime + 40_000}, 1, 1, 0, 10_000, 60},
		{"from noon on", Period{Since: startTime + 40_000}, 2, 1, 1, 20_000, 120},
		{"a quiet week", Period{Since: startTime + 1e6, Until: startTime + 2e6}, 0, 0, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := w.e.Stats(tt.p)
			if err != nil {
				t.Fatal(err)
			}
			v := s.Trades[sellTerms(1).FiatCode]
			if s.Made != tt.made || s.Ended[Success] != tt.trades || s.Ended[Canceled] != tt.canceled || v.Trades != tt.trades || v.Amount != tt.amount {
				t.Errorf("got %+v", s)
			}
			if s.Money[Kept] != tt.fee.Msats() || s.Money[Settled] != s.Money[Paid]+s.Money[Kept] || s.Locked != tt.trades {
				t.Errorf("money %+v, %d locked", s.Money, s.Locked)
			}
			if s.Payouts.Count != tt.trades {
				t.Errorf("payouts %+v", s.Payouts)
			}
		})
	}
}

func TestDelaysAreSortedOut(t *testing.T) {
	list := []int64{30, 10, 20, 100, 40, 50, 60, 70, 80, 90}
	if d := newDelays(list); d != (Delays{10, 50, 90, 100}) {
		t.Errorf("got %+v", d)
	}
	if d := newDelays([]int64{7}); d != (Delays{1, 7, 7, 7}) {
		t.Errorf("of one: %+v", d)
	}
}

func TestPayoutsOwedAndPaid(t *testing.T) {
	w, ids := traded(t)
	stuck := w.newTrade(Sell).to(SettledHoldInvoice)

	owed, next, err := w.e.Payouts(PayoutQuery{Limit: 10})
	if err != nil || next != nil || len(owed) != 1 || owed[0].Order != stuck.id || owed[0].Payout.Attempts != 1 || owed[0].PaidAt != 0 || owed[0].Since == 0 {
		t.Errorf("owed %+v, %x, %v", owed, next, err)
	}
	var got []OrderID
	q := PayoutQuery{Paid: true, Limit: 1}
	for range 10 {
		page, next, err := w.e.Payouts(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			if r.PaidAt < r.Since || r.Since == 0 || r.Hash.IsZero() || r.Amount == 0 {
				t.Errorf("got %+v", r)
			}
			got = append(got, r.Order)
		}
		if next == nil {
			break
		}
		q.Cursor = next
	}
	slices.Reverse(ids)
	if !slices.Equal(got, ids) {
		t.Errorf("paid %v, want %v", got, ids)
	}
	if page, _, err := w.e.Payouts(PayoutQuery{Paid: true, Period: Period{Until: startTime}, Limit: 5}); err != nil || len(page) != 0 {
		t.Errorf("before everything: %+v, %v", page, err)
	}
}
