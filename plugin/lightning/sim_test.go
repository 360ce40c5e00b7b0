package lightning

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
)

// These tests run the real holder and its guard under the simulated lightningd.

func TestMain(m *testing.M) { os.Exit(simtest.Main(m)) }

type sim struct{ *simtest.Sim }

func startSim(t *testing.T) sim { return sim{simtest.Run(t, simtest.Holder(t)...)} }

// escrow is ours on the simulated node.
func (s sim) escrow() *Escrow {
	n := s.client()
	return NewEscrow(n, slog.New(slog.DiscardHandler), testConfig, time.Now)
}

// accepted has a new seller pay a hold in so many parts, and waits until its escrow is accepted.
func (s sim) accepted(e *Escrow, parts int) (orders.Hold, *book) {
	s.T.Helper()
	s.Must("sim-wallet-new", []any{"seller", "1000000sat"}, nil)
	h := testHold(1)
	b := newBook(h)
	s.Pay("seller", create(s.T, e, h), parts)
	if !simtest.Eventually(s.T, func() bool { look(s.T, e, b); return b.state(h.Hash) == orders.HoldAccepted }) {
		s.T.Fatal("never accepted")
	}
	return h, b
}

func TestSimEscrowFromInvoiceToProof(t *testing.T) {
	s := startSim(t)
	e := s.escrow()
	s.Must("sim-wallet-new", []any{"seller", "1000000sat"}, nil)
	sold, refunded, unpaid := testHold(1), testHold(2), testHold(3)
	bolts := map[orders.Hash]string{}
	for _, h := range []orders.Hold{sold, refunded, unpaid} {
		bolts[h.Hash] = create(t, e, h)
		if again := create(t, e, h); again != bolts[h.Hash] {
			t.Errorf("made twice")
		}
	}
	b := newBook(sold, refunded, unpaid)
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	go e.Watch(stop, b)
	s.Pay("seller", bolts[sold.Hash], 3)
	s.Pay("seller", bolts[refunded.Hash], 1)
	for _, h := range []orders.Hold{sold, refunded} {
		if !simtest.Eventually(t, func() bool {
			e.Poke(h.Hash)
			return b.state(h.Hash) == orders.HoldAccepted
		}) {
			t.Fatalf("%x is never accepted", h.Order[0])
		}
	}
	for _, h := range []orders.Hold{sold, refunded} {
		if got := b.hold(h.Hash); got.Held != h.Amount || got.MinExpiry < s.Height()+215 {
			t.Errorf("held %d, expiry %d at height %d", got.Held, got.MinExpiry, s.Height())
		}
	}
	for range 2 { // each is safe to repeat
		if err := e.Settle(t.Context(), sold); err != nil {
			t.Fatal(err)
		}
		if err := e.Cancel(t.Context(), refunded.Hash); err != nil {
			t.Fatal(err)
		}
		if err := e.Cancel(t.Context(), unpaid.Hash); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Cancel(t.Context(), sold.Hash); !errors.Is(err, orders.ErrHoldSettled) {
		t.Errorf("cancel of the settled one: %v", err)
	}
	if err := e.Settle(t.Context(), refunded); !errors.Is(err, orders.ErrHoldCanceled) {
		t.Errorf("settle of the canceled one: %v", err)
	}
	s.Must("sim-audit", nil, nil)
}

// A node that dies while it holds an escrow has it again after the start, and a settle then is a settle.
func TestSimEscrowOutlivesTheNode(t *testing.T) {
	s := startSim(t)
	e := s.escrow()
	h, _ := s.accepted(e, 2)
	s.Kill()
	s.Start()
	e = s.escrow()
	if !simtest.Eventually(t, func() bool { return e.Settle(t.Context(), h) == nil }) {
		t.Fatal(e.Settle(t.Context(), h))
	}
	s.Must("sim-audit", nil, nil)
}

// The holder dies alone; the guard behind it has the escrow.
func TestSimEscrowOutlivesTheHolder(t *testing.T) {
	s := startSim(t)
	e := s.escrow()
	h, _ := s.accepted(e, 1)
	if err := s.KillPlugin(t.Context(), s.Cfg.Plugins[0].Path); err != nil {
		t.Fatal(err)
	}
	select { // the holder is important: the node goes down with it
	case <-s.Died():
	case <-time.After(simtest.Deadline):
		t.Fatal("the node lives on without its important plugin")
	}
	s.Start()
	e = s.escrow()
	if !simtest.Eventually(t, func() bool { return e.Settle(t.Context(), h) == nil }) {
		t.Fatal(e.Settle(t.Context(), h))
	}
	s.Must("sim-audit", nil, nil)
}

func TestSimEscrowEndsBeforeTheChainDoes(t *testing.T) {
	s := startSim(t)
	e := s.escrow()
	h, b := s.accepted(e, 1)
	<-b.acts
	s.Mine(b.hold(h.Hash).MinExpiry - forceAt - s.Height())
	look(t, e, b)
	if a, ok := b.next(t).(orders.EscrowEnding); !ok || a.Hash != h.Hash {
		t.Errorf("got %#v", a)
	}
	s.Mine(forceAt - settleMin + 1)
	if err := e.Settle(t.Context(), h); err == nil || errors.Is(err, orders.ErrHoldCanceled) {
		t.Errorf("a settle that comes too late: %v", err)
	}
	if err := e.Cancel(t.Context(), h.Hash); err != nil {
		t.Error(err)
	}
}

// sent is what came of Send.
type sent int

const (
	sentWell    sent = iota // nil: ask for the result
	sentOver                // a PayError: the call is over
	sentUnknown             // any other error: the call may run on
)

func sentAs(err error) sent {
	var over *orders.PayError
	switch {
	case err == nil:
		return sentWell
	case errors.As(err, &over):
		return sentOver
	}
	return sentUnknown
}

// Each way in which a payment can go at the node, and what the payer must make of it. "Never" is said only when no
// part can succeed any more: an exchange that hears it may ask for another invoice.
func TestSimPayout(t *testing.T) {
	for _, c := range []struct {
		name   string
		script map[string]any
		sent   sent
		first  []orders.PayState // allowed right after the call
		then   func(s sim, hash orders.Hash)
		last   orders.PayState
	}{
		{name: "paid", sent: sentWell, first: []orders.PayState{orders.PayDone}, last: orders.PayDone},
		{name: "no route", script: map[string]any{"mode": "fail", "code": 205}, sent: sentOver, first: []orders.PayState{orders.PayNever}, last: orders.PayNever},
		{name: "refused by the payee", script: map[string]any{"mode": "fail", "code": 203}, sent: sentOver, first: []orders.PayState{orders.PayNever}, last: orders.PayNever},
		{name: "the call fails, a part is under way and arrives", script: map[string]any{"mode": "fail-early", "delay_ms": 300}, sent: sentOver,
			first: []orders.PayState{orders.PayUnknown, orders.PayDone}, last: orders.PayDone},
		{name: "the call fails, a part is under way and fails", script: map[string]any{"mode": "fail-early-fail", "delay_ms": 300}, sent: sentOver,
			first: []orders.PayState{orders.PayUnknown, orders.PayNever}, last: orders.PayNever},
		{name: "the answer is lost", script: map[string]any{"mode": "reply-lost"}, sent: sentUnknown,
			first: []orders.PayState{orders.PayUnknown, orders.PayDone}, last: orders.PayDone},
		{name: "xpay dies, the payment goes on", script: map[string]any{"mode": "terminated", "delay_ms": 300}, sent: sentUnknown,
			first: []orders.PayState{orders.PayUnknown, orders.PayDone}, last: orders.PayDone},
		{name: "a row that stays pending for ever", script: map[string]any{"mode": "orphan"}, sent: sentUnknown,
			first: []orders.PayState{orders.PayUnknown}, last: orders.PayUnknown},
		{name: "the node dies, the payee settles meanwhile", script: map[string]any{"mode": "complete-after-restart"}, sent: sentUnknown,
			first: []orders.PayState{orders.PayUnknown}, then: restartNode, last: orders.PayDone},
		{name: "the node dies, the payee refuses meanwhile", script: map[string]any{"mode": "fail-after-restart"}, sent: sentUnknown,
			first: []orders.PayState{orders.PayUnknown}, then: restartNode, last: orders.PayNever},
		{name: "the payee holds it and lets go", script: map[string]any{"mode": "hold"}, sent: sentUnknown,
			first: []orders.PayState{orders.PayUnknown}, then: func(s sim, hash orders.Hash) {
				s.Must("sim-pay-release", map[string]any{"payment_hash": hash.String(), "outcome": "fail"}, nil)
			}, last: orders.PayNever},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startBareSim(t)
			p, o := s.payout(c.script)
			p.ask(t, o.Hash, orders.PayNever)

			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // ends our waiting, not the payment
			defer cancel()
			if got := sentAs(p.Send(ctx, o, "mostro/x/1")); got != c.sent {
				t.Errorf("send: got %v, want %v", got, c.sent)
			}
			p.ask(t, o.Hash, c.first...)
			if c.then != nil {
				c.then(s, o.Hash)
				p.node = s.client()
			}
			if !simtest.Eventually(t, func() bool { r, err := p.Ask(t.Context(), o.Hash); return err == nil && r.State == c.last }) {
				t.Fatalf("it never becomes %v", c.last)
			}
			if c.last != orders.PayNever { // a second call must change nothing
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				p.Send(ctx, o, "mostro/x/2")
				p.ask(t, o.Hash, c.last)
			}
			s.Must("sim-audit", nil, nil)
		})
	}
}

func restartNode(s sim, _ orders.Hash) {
	s.Kill()
	s.Start()
}

// startBareSim is a node without plugins.
func startBareSim(t *testing.T) sim { return sim{simtest.Run(t)} }

func (s sim) client() *Node {
	n := NewNode(s.RPCPath())
	s.T.Cleanup(func() { n.Close() })
	return n
}

// simPayer is a payer with a test's way of asking.
type simPayer struct{ *Payer }

func (p simPayer) ask(t *testing.T, hash orders.Hash, allowed ...orders.PayState) {
	t.Helper()
	r, err := p.Ask(t.Context(), hash)
	if err != nil || !slices.Contains(allowed, r.State) {
		t.Errorf("ask: got %v, %v; want one of %v", r.State, err, allowed)
	}
	if r.State == orders.PayDone && (!r.Preimage.Matches(hash) || r.Fee <= 0 || r.Fee > 100_000) {
		t.Errorf("paid with another preimage, or for a fee of %d", r.Fee)
	}
}

// payout is a payer and a buyer's invoice whose payment goes as the script says.
func (s sim) payout(script map[string]any) (simPayer, orders.Pay) {
	s.T.Helper()
	n := s.client()
	info, err := n.GetInfo(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	s.Must("sim-wallet-new", []any{"buyer", "0msat"}, nil)
	var made struct {
		Bolt11 string `json:"bolt11"`
	}
	s.Must("sim-wallet-invoice", map[string]any{"wallet": "buyer", "amount_msat": "10000sat", "label": "payout"}, &made)
	inv, err := n.DecodePayout(s.T.Context(), info, made.Bolt11)
	if err != nil || inv.Problem != "" || inv.Amount != 10_000_000 {
		s.T.Fatalf("decode: %+v, %v", inv, err)
	}
	if script != nil {
		script["match"] = inv.Hash.String()
		s.Must("sim-pay-script", script, nil)
	}
	p := NewPayer(n, slog.New(slog.DiscardHandler), ParseVersion(info.Version), "s", time.Now)
	return simPayer{p}, orders.Pay{Invoice: made.Bolt11, Hash: inv.Hash, Amount: inv.Amount, MaxFee: 100_000, Attempt: 1}
}

func (b *book) hold(hash orders.Hash) orders.Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.live {
		if h.Hash == hash {
			return h
		}
	}
	return orders.Hold{}
}

func (b *book) state(hash orders.Hash) orders.HoldState { return b.hold(hash).State }
