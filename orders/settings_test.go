package orders

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func (w *world) setting(change func(*Settings)) {
	w.t.Helper()
	if _, err := w.e.Change(w.t.Context(), change); err != nil {
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
		if _, err := w.e.Change(t.Context(), change); !errors.As(err, &bad) {
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
	least := Sats(50_000)
	w.setting(func(s *Settings) { s.MinOrder, s.Pause = &least, &Pause{At: w.now} })
	w.rules.MaxOrder = 20_000
	w.restart()
	if r := w.e.Rules(); r.MinOrder != w.rules.MinOrder || !r.Paused {
		t.Errorf("got %+v", r)
	}
	if s, base := w.e.Settings(); s.MinOrder == nil || base.MaxOrder != 20_000 {
		t.Errorf("got %+v over %+v", s, base)
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
		w.e.moved(Move{})
	}
	if n := w.e.MissedMoves(); n != 5 {
		t.Errorf("%d were dropped, want 5", n)
	}
}

func TestAnAlertRingsTheBell(t *testing.T) {
	w := newWorld(t)
	if err := w.e.Alert(t.Context(), OrderID{}, "the backup failed"); err != nil {
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
