package orders

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func (w *world) setting(change func(*Settings)) {
	w.t.Helper()
	if _, err := w.e.Change(w.t.Context(), Record{At: w.now, What: "test"}, change); err != nil {
		w.t.Fatal(err)
	}
}

func TestAPauseRefusesNewBusinessAndLetsTradesGoOn(t *testing.T) {
	w := newWorld(t)
	running := w.newTrade(Sell).to(FiatSent)
	waiting := w.newTrade(Buy).to(Pending)
	w.setting(func(s *Settings) { s.Pause = &Pause{At: w.now, Reason: "the disk is full"} })

	for range 2 { // the second time after a restart
		if out := w.trader("maker").does(OrderID{}, NewOrder{Terms: sellTerms(10_000)}); out.Reason != NotAllowedByStatus {
			t.Errorf("a new order: %q", out.Reason)
		}
		if out := w.trader("taker").does(waiting.id, TakeBuy{}); out.Reason != NotAllowedByStatus {
			t.Errorf("a take: %q", out.Reason)
		}
		if all, _, err := w.e.Records(RecordQuery{Limit: 5}); err != nil || len(all) != 1 || all[0].What != "test" {
			t.Errorf("the audit has %+v, %v", all, err)
		}
		w.restart()
		if s, _ := w.e.Settings(); s.Pause == nil || s.Pause.Reason != "the disk is full" {
			t.Fatalf("after a restart: %+v", s.Pause)
		}
	}
	running.to(Success)
	w.setting(func(s *Settings) { s.Pause = nil })
	w.trader("maker").must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	waiting.to(Success)
}

// What an order costs is what was in force when it was made, whatever the operator does before it is taken.
func TestFeeAndLimitsAreThoseOfTheOrdersMaking(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	market := sellTerms(0)
	market.FiatAmount = 50 // 100 000 sat
	old := w.trader("maker").must(OrderID{}, NewOrder{Terms: market})
	rate, most := PPM(20_000), Sats(60_000)
	w.setting(func(s *Settings) { s.FeeRate, s.MaxOrder = &rate, &most })
	w.restart()

	w.trader("taker").must(old, TakeSell{})
	if o := w.order(old); o.Amount != 100_000 || o.Fees.Seller != 600 {
		t.Errorf("the old order: %d sat, fees %+v", o.Amount, o.Fees)
	}
	if out := w.trader("maker").does(OrderID{}, NewOrder{Terms: market}); out.Reason != OutOfRangeSatsAmount {
		t.Errorf("a new order over the new limit: %q", out.Reason)
	}
	id := w.trader("maker").must(OrderID{}, NewOrder{Terms: sellTerms(50_000)})
	if o := w.order(id); o.Fees.Seller != 1000 {
		t.Errorf("the new order's fees %+v", o.Fees)
	}
	w.setting(func(s *Settings) { *s = Settings{} })
	if r := w.e.Rules(); r.FeeRate != w.rules.FeeRate || r.MaxOrder != w.rules.MaxOrder {
		t.Errorf("taken back: %+v", r)
	}
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	w := newWorld(t)
	rate, least := PPM(200_000), Sats(5_000_000)
	for name, change := range map[string]func(*Settings){
		"a fee of a fifth":         func(s *Settings) { s.FeeRate = &rate },
		"a minimum over the limit": func(s *Settings) { s.MinOrder = &least },
	} {
		var bad *BadSettings
		if _, err := w.e.Change(t.Context(), Record{At: w.now, What: "test"}, change); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
		if r := w.e.Rules(); r.FeeRate != w.rules.FeeRate || r.MinOrder != w.rules.MinOrder {
			t.Errorf("%s is in force: %+v", name, r)
		}
	}
}

// The options of a later start may not go together with what was set before. The exchange starts all the same.
func TestSettingsThatDoNotFitNewOptionsAreLeftOut(t *testing.T) {
	w := newWorld(t)
	least, rate := Sats(50_000), PPM(7_000)
	w.setting(func(s *Settings) { s.MinOrder, s.FeeRate, s.Pause = &least, &rate, &Pause{At: w.now} })
	w.rules.MaxOrder = 20_000
	w.restart()
	if r := w.e.Rules(); r.MinOrder != w.rules.MinOrder || !r.Paused {
		t.Errorf("got %+v", r)
	}
	if r := w.e.Rules(); r.FeeRate != rate {
		t.Errorf("the fee, which fits, is %d", r.FeeRate)
	}
	if s, base := w.e.Settings(); s.MinOrder == nil || base.MaxOrder != 20_000 {
		t.Errorf("got %+v over %+v", s, base)
	}
	w.setting(func(s *Settings) { s.Pause = nil }) // that can always be changed
	w.setting(func(s *Settings) { s.Pause = &Pause{At: w.now} })
	if r := w.e.Rules(); !r.Paused {
		t.Errorf("got %+v", r)
	}
}

func TestMovesTellOfEachStatusAndHoldNothingUp(t *testing.T) {
	w := newWorld(t)
	id := w.newTrade(Sell).to(Success).id
	var got []Status
	for len(w.e.Moves()) > 0 {
		m := <-w.e.Moves()
		if m.Order.ID != id || len(got) > 0 && m.From != got[len(got)-1] {
			t.Errorf("from %s, after %v", m.From, got)
		}
		got = append(got, m.Order.Status)
	}
	want := []Status{Pending, WaitingBuyerInvoice, WaitingPayment, Active, FiatSent, Settling, SettledHoldInvoice, Success}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for range maxMoves + 5 {
		w.e.moved(Move{From: Active})
	}
	if n := w.e.MissedMoves(); n != 5 {
		t.Errorf("%d were dropped, want 5", n)
	}
}

func TestAnAlertRingsTheBell(t *testing.T) {
	w := newWorld(t)
	if err := w.e.Alert(t.Context(), OrderID{}, "the backup failed", w.now, w.seed()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rung := make(chan Bell, 1)
	p := w.ports()
	p.Bell = func(b Bell) { rung <- b }
	done := make(chan error, 1)
	go func() { done <- w.e.Dispatch(ctx, p) }()
	if b := <-rung; b.Text != "the backup failed" || !b.Order.IsZero() || b.Number == 0 {
		t.Errorf("got %+v", b)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Admins who are other people hear of disputes and alerts over Nostr, each once; a party of the trade does not.
func TestAdminsHearOfDisputesAndAlerts(t *testing.T) {
	own, admin := key(1), key(2)
	w := newWorld(t, func(r *Rules) { r.Admins = []PubKey{own, admin} })
	said := func() (texts []string) {
		for _, l := range w.said {
			if l.To == own {
				t.Errorf("the exchange writes to itself: %q", l.Text)
			}
			if l.To == admin {
				texts = append(texts, l.Text)
			}
		}
		w.said = nil
		return texts
	}
	for _, words := range []string{"there are no solvers", "was opened by the buyer"} {
		tr := w.newTrade(Sell).to(FiatSent)
		if texts := said(); len(texts) != 0 {
			t.Errorf("a quiet trade: %q", texts)
		}
		tr.buyer.must(tr.id, OpenDispute{})
		if texts := said(); len(texts) != 1 || !strings.Contains(texts[0], words) {
			t.Errorf("a dispute: %q, want one with %q", texts, words)
		}
		if err := w.e.AddSolver(t.Context(), key(3), LevelReadWrite, Actor{Role: RoleOperator}, w.now); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := w.e.Alert(t.Context(), OrderID{}, "the backup failed", w.now, w.seed()); err != nil {
			t.Fatal(err)
		}
	}
	w.pump()
	if texts := said(); len(texts) != 2 || texts[0] != "Alert: the backup failed" {
		t.Errorf("alerts: %q", texts)
	}
}

func TestQueriesFindOrdersByWhatTheyAre(t *testing.T) {
	w := newWorld(t)
	a, b := w.newTrade(Sell).to(Active), w.newTrade(Buy).to(Pending)
	w.now += 1000
	dollars := sellTerms(20_000)
	dollars.FiatCode = "USD"
	c := w.newTrade(Sell).openWith(NewOrder{Terms: dollars})
	tests := []struct {
		name string
		q    Query
		want []OrderID
	}{
		{"sell orders", Query{Kind: Sell}, []OrderID{c.id, a.id}},
		{"of a currency", Query{Fiat: "USD"}, []OrderID{c.id}},
		{"of a taker's identity", Query{Party: a.taker.identity}, []OrderID{a.id}},
		{"of an identity and another kind", Query{Party: b.maker.identity, Kind: Sell}, nil},
		{"of a trade key", Query{Trade: a.maker.trade}, []OrderID{a.id}},
		{"of the first minutes", Query{Period: Period{Until: startTime + 500}, Kind: Buy}, []OrderID{b.id}},
		{"since then", Query{Period: Period{Since: startTime + 500}}, []OrderID{c.id}},
		{"of an identity since then", Query{Party: a.maker.identity, Period: Period{Since: startTime + 500}}, nil},
		{"of an identity until then", Query{Party: a.maker.identity, Period: Period{Until: startTime + 500}}, []OrderID{a.id}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []OrderID
			for tt.q.Limit = 1; ; {
				page, next, err := w.e.Orders(tt.q)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range page {
					got = append(got, o.ID)
				}
				if next == nil {
					break
				}
				tt.q.Before = next
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
