package scenario

import (
	"context"
	"encoding/hex"
	"os"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// realNode starts a network of real programs, where there are any.
func realNode(t *testing.T) (context.Context, *Real) {
	t.Helper()
	if names := Missing(); len(names) > 0 || testing.Short() {
		t.Skipf("needs time, and in PATH: %v", Programs)
	}
	bin := binaries(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp("/tmp", "mostro-real-")
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReal(ctx, RealConfig{Dir: dir, Bin: bin})
	if err != nil {
		t.Fatalf("%v\nlogs are in %s", err, dir)
	}
	t.Cleanup(func() {
		r.Close()
		if t.Failed() {
			t.Logf("logs are in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	return ctx, r
}

// hold makes a hold invoice on the exchange's node, without the exchange.
func hold(ctx context.Context, t *testing.T, r *Real, label string) (bolt11, hash string) {
	t.Helper()
	var made struct {
		Bolt11 string `json:"bolt11"`
		Hash   string `json:"payment_hash"`
	}
	err := r.Call(ctx, "holdinvoice", map[string]any{"amount_msat": Amount.Msats(), "label": label, "description": label, "cltv": 47}, &made)
	if err != nil {
		t.Fatal(err)
	}
	return made.Bolt11, made.Hash
}

func awaitHold(ctx context.Context, t *testing.T, r *Real, hash, state string) {
	t.Helper()
	var found struct {
		State string `json:"state"`
	}
	err := until(ctx, "the hold is "+state, func() (bool, error) {
		err := r.Call(ctx, "holdinvoicelookup", map[string]any{"payment_hash": hash}, &found)
		return found.State == state, err
	})
	if err != nil {
		t.Fatalf("%v; it is %s", err, found.State)
	}
}

func awaitPayment(ctx context.Context, t *testing.T, w Wallet, bolt11 string, want PaymentState) {
	t.Helper()
	var got PaymentState
	err := until(ctx, "the payment is "+string(want), func() (ok bool, err error) {
		got, err = w.Payment(ctx, bolt11)
		return got == want, err
	})
	if err != nil {
		t.Fatalf("%v; it is %s", err, got)
	}
}

func wantBalance(ctx context.Context, t *testing.T, w Wallet, free, locked orders.Sats) {
	t.Helper()
	gotFree, gotLocked, err := w.Balance(ctx)
	if err != nil || gotFree != free.Msats() || gotLocked != locked.Msats() {
		t.Fatalf("balance is %s and %s locked (%v), want %s and %s", gotFree, gotLocked, err, free, locked)
	}
}

func TestRealNodeHoldsThroughKillsAndRefusesForgeries(t *testing.T) {
	ctx, r := realNode(t)
	w, err := r.Wallet(ctx, "seller-1", 500_000)
	if err != nil {
		t.Fatal(err)
	}
	bolt11, hash := hold(ctx, t, r, "one")
	for _, f := range []Fault{WrongSecret, WrongTotal, WrongNextHop} {
		if err := w.Forge(ctx, bolt11, f); err != nil {
			t.Fatal(err)
		}
		awaitPayment(ctx, t, w, bolt11, PaymentFailed)
		awaitHold(ctx, t, r, hash, "OPEN")
	}
	wantBalance(ctx, t, w, 500_000, 0)
	if err := w.Pay(ctx, bolt11); err != nil {
		t.Fatal(err)
	}
	awaitHold(ctx, t, r, hash, "ACCEPTED")
	wantBalance(ctx, t, w, 450_000, 50_000)
	for _, harm := range []struct {
		what string
		do   func() error
	}{
		{"kill", func() error { return r.Kill(ctx) }},
		{"stop", func() error { return r.Stop(ctx) }},
		{"kill of the holder", func() error { return r.KillPlugin(ctx, "holdinvoice") }},
	} {
		if err := harm.do(); err != nil {
			t.Fatalf("%s: %v", harm.what, err)
		}
		if err := until(ctx, "the node is down", func() (bool, error) { return !r.Alive(), nil }); err != nil {
			t.Fatalf("%s: %v", harm.what, err)
		}
		if err := r.Start(ctx); err != nil {
			t.Fatalf("after %s: %v", harm.what, err)
		}
		awaitHold(ctx, t, r, hash, "ACCEPTED")
		awaitPayment(ctx, t, w, bolt11, PaymentPending)
	}
	// A holder that has just started refuses until the node tells it that it is in step with the chain.
	err = until(ctx, "the hold can be settled", func() (bool, error) {
		err := r.Call(ctx, "holdinvoicesettle", map[string]any{"payment_hash": hash}, nil)
		return err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
	awaitPayment(ctx, t, w, bolt11, PaymentComplete)
	wantBalance(ctx, t, w, 450_000, 0)

	b, err := r.Wallet(ctx, "buyer-2", 500_000)
	if err != nil {
		t.Fatal(err)
	}
	payout, err := b.Invoice(ctx, 30_000, "payout")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Call(ctx, "xpay", map[string]any{"invstring": payout}, nil); err != nil {
		t.Fatal(err)
	}
	wantBalance(ctx, t, b, 530_000, 0)
	s, err := r.Sum(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.Fees = Amount.Msats() - 30_000_000 // no trade: what came in less what went out
	if err := s.Check(); err != nil {
		t.Fatalf("%v\n%s", err, s)
	}
}

func TestForwardPayloadIsThatOfBolt4(t *testing.T) {
	for _, c := range []struct {
		name   string
		amount uint64
		cltv   uint32
		want   string
	}{
		{"small numbers are cut", 1, 153, "100201010401990608" + "0003e70000010001"},
		{"large ones keep their bytes", 50_000_000, 800_000, "15020402faf08004030c35000608" + "0003e70000010001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hex.EncodeToString(forwardPayload(c.amount, c.cltv, bogusHop)); got != c.want {
				t.Errorf("payload\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTaskIsReadFromProc(t *testing.T) {
	for _, c := range []struct {
		name, stat, cmdline string
		want                task
		ok                  bool
	}{
		{"a plugin", "42 (mostro) S 7 5 5 0 -1", "/tmp/bin/mostro\x00--developer\x00", task{pid: 42, parent: 7, group: 5, program: "mostro"}, true},
		{"a name with a bracket", "42 (a) b) S 7 5 5 0 -1", "b\x00", task{pid: 42, parent: 7, group: 5, program: "b"}, true},
		{"one that nobody has waited for", "42 (mostro) Z 7 5 5", "", task{pid: 42, parent: 7, group: 5, dead: true, program: "."}, true},
		{"no bracket", "42 mostro S 7 5 5", "x", task{}, false},
		{"cut off", "42 (mostro) S 7", "x", task{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := parseTask(c.stat, c.cmdline)
			if ok != c.ok || ok && got != c.want {
				t.Errorf("got %+v, %v; want %+v, %v", got, ok, c.want, c.ok)
			}
		})
	}
}

func TestPartsMakeAPaymentsState(t *testing.T) {
	parts := func(states ...PaymentState) (list []part) {
		for _, s := range states {
			list = append(list, part{Status: s})
		}
		return list
	}
	for _, c := range []struct {
		name   string
		parts  []part
		trying bool
		want   PaymentState
	}{
		{"one part hangs beside a failed one", parts("failed", "pending"), false, PaymentPending},
		{"one part hangs beside a complete one", parts("complete", "pending"), false, PaymentPending},
		{"complete after a failed try", parts("failed", "complete"), false, PaymentComplete},
		{"complete while the call is open", parts("complete"), true, PaymentComplete},
		{"all failed, and the node tries again", parts("failed"), true, PaymentPending},
		{"all failed", parts("failed", "failed"), false, PaymentFailed},
		{"no part yet", nil, true, PaymentPending},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := stateOf(c.parts, c.trying); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSumsThatDoNotAddUpAreFound(t *testing.T) {
	good := Sums{Exchange: 300_000, Sellers: -50_300_000, Buyers: 50_000_000, SellerWallets: -50_300_000, BuyerWallets: 50_000_000, Trades: 1, Fees: 300_000, Open: 5, Channels: 5}
	if err := good.Check(); err != nil {
		t.Fatalf("good sums: %v", err)
	}
	for name, spoil := range map[string]func(*Sums){
		"a msat is gone":           func(s *Sums) { s.Exchange-- },
		"the fee was not earned":   func(s *Sums) { s.Fees = 0 },
		"a seller paid unrecorded": func(s *Sums) { s.SellerWallets += 5 },
		"a buyer got unrecorded":   func(s *Sums) { s.BuyerWallets -= 5 },
		"a channel is closed":      func(s *Sums) { s.Open = 4 },
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			spoil(&s)
			if err := s.Check(); err == nil {
				t.Errorf("nothing was found in %+v", s)
			}
		})
	}
}
