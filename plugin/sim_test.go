package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
	"github.com/mostro-cln/mostro/orders"
)

// These tests run the real binaries under the simulated lightningd: this one as the exchange, contrib/holdinvoice as
// the holder and its guard.

// holderDir is where the holder was built; TestMain removes it.
var holderDir string

// holderBinary builds contrib/holdinvoice once for all tests.
var holderBinary = sync.OnceValues(func() (string, error) {
	var err error
	if holderDir, err = os.MkdirTemp("", "mostro-holder"); err != nil {
		return "", err
	}
	path := filepath.Join(holderDir, "holdinvoice")
	out, err := exec.Command("go", "build", "-o", path, "github.com/mostro-cln/mostro/contrib/holdinvoice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the holder: %w\n%s", err, out)
	}
	return path, nil
})

// copyOf puts a binary under another name: lightningd takes a link for the same plugin.
func copyOf(t *testing.T, path, name string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// sim is a simulated node with its plugins, which a test can stop and start again.
type sim struct {
	t   *testing.T
	cfg simln.Config
	*simln.Node
}

func startSim(t *testing.T) *sim {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs binaries")
	}
	holder, err := holderBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := &sim{t: t, cfg: simln.Config{Dir: shortDir(t), Height: 500, Plugins: []simln.Plugin{
		{Path: copyOf(t, holder, "holdinvoice"), Important: true},
		{Path: copyOf(t, holder, "holdinvoice-guard")},
		mostroPlugin(t),
	}}}
	var log safeBuffer
	s.cfg.Log = &log
	s.start()
	t.Cleanup(func() {
		s.Kill()
		for _, bad := range []string{"DATA RACE", "panic:"} {
			if strings.Contains(log.String(), bad) {
				t.Errorf("%s in the node's log:\n%s", bad, log.String())
			}
		}
	})
	return s
}

// safeBuffer is a log that is written and read at once.
type safeBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func mostroPlugin(t *testing.T) simln.Plugin {
	return simln.Plugin{
		Path: copyOf(t, os.Args[0], "mostro"), Env: []string{"MOSTRO_AS_PLUGIN=real", "GORACE=atexit_sleep_ms=0"},
		Options: map[string]any{"mostro-relays": "ws://127.0.0.1:1", "mostro-fee": "0.01"},
	}
}

func (s *sim) start() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), deadline)
	defer cancel()
	n, err := simln.Start(ctx, s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Node = n
}

func (s *sim) call(method string, params, out any) {
	s.t.Helper()
	if err := s.Call(s.t.Context(), method, params, out); err != nil {
		s.t.Fatalf("%s: %v", method, err)
	}
}

// escrow is ours on the simulated node.
func (s *sim) escrow() *escrow {
	n := s.client()
	c, err := parseConfig(nil, Config{})
	if err != nil {
		s.t.Fatal(err)
	}
	return newEscrow(n, slog.New(slog.DiscardHandler), c, time.Now)
}

// pay has a wallet pay an invoice in so many parts.
func (s *sim) pay(wallet, bolt11 string, parts int) {
	s.t.Helper()
	s.call("sim-wallet-pay", map[string]any{"wallet": wallet, "bolt11": bolt11, "parts": parts}, nil)
}

// accepted has a new seller pay a hold in so many parts, and waits until its escrow is accepted.
func (s *sim) accepted(e *escrow, parts int) (orders.Hold, *book) {
	s.t.Helper()
	s.call("sim-wallet-new", []any{"seller", "1000000sat"}, nil)
	h := testHold(1)
	b := newBook(h)
	s.pay("seller", create(s.t, e, h), parts)
	if !eventually(s.t, func() bool { look(s.t, e, b); return b.state(h.Hash) == orders.HoldAccepted }) {
		s.t.Fatal("never accepted")
	}
	return h, b
}

func TestSimOptionsMethodsAndRestartOfTheExchange(t *testing.T) {
	s := startSim(t)
	var info overview
	s.call("mostro-info", nil, &info)
	if info.Network != "regtest" || info.NodeID != s.ID() || info.Fee != "0.01" || info.HoldCLTV != 215 {
		t.Errorf("got %+v", info)
	}
	var list orderList
	s.call("mostro-listorders", map[string]any{"limit": 5}, &list)
	if list.Orders == nil || len(list.Orders) != 0 {
		t.Errorf("got %+v", list)
	}
	err := s.Call(t.Context(), "mostro-showorder", []any{"00000000-0000-0000-0000-000000000001"}, nil)
	var told *simln.RPCError
	if !errors.As(err, &told) || told.Code != codeOrderNotFound {
		t.Errorf("got %v", err)
	}
	if err := s.Call(t.Context(), "mostro-showorder", nil, nil); !errors.As(err, &told) || told.Code != -32602 {
		t.Errorf("got %v", err)
	}
	s.call("check", map[string]any{"command_to_check": "mostro-listorders", "limit": 5}, nil)

	// It has no htlc_accepted hook, so it can be stopped and started while the node runs.
	mostro := s.cfg.Plugins[2]
	if err := s.StopPlugin(t.Context(), mostro.Path); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := s.StartPlugin(t.Context(), mostro); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("ready after %v without a relay, want under a second", took)
	}
	s.call("mostro-info", nil, &info)
}

func TestSimStopIsQuick(t *testing.T) {
	s := startSim(t)
	begun := time.Now()
	s.Stop()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestSimEscrowFromInvoiceToProof(t *testing.T) {
	s := startSim(t)
	e := s.escrow()
	s.call("sim-wallet-new", []any{"seller", "1000000sat"}, nil)
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
	s.pay("seller", bolts[sold.Hash], 3)
	s.pay("seller", bolts[refunded.Hash], 1)
	for _, h := range []orders.Hold{sold, refunded} {
		if !eventually(t, func() bool {
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
	s.call("sim-audit", nil, nil)
}

// A node that dies while it holds an escrow has it again after the start, and a settle then is a settle.
func TestSimEscrowOutlivesTheNode(t *testing.T) {
	s := startSim(t)
	e := s.escrow()
	h, _ := s.accepted(e, 2)
	s.Kill()
	s.start()
	e = s.escrow()
	if !eventually(t, func() bool { return e.Settle(t.Context(), h) == nil }) {
		t.Fatal(e.Settle(t.Context(), h))
	}
	s.call("sim-audit", nil, nil)
}

// The holder dies alone; the guard behind it has the escrow.
func TestSimEscrowOutlivesTheHolder(t *testing.T) {
	s := startSim(t)
	e := s.escrow()
	h, _ := s.accepted(e, 1)
	if err := s.KillPlugin(t.Context(), s.cfg.Plugins[0].Path); err != nil {
		t.Fatal(err)
	}
	select { // the holder is important: the node goes down with it
	case <-s.Died():
	case <-time.After(deadline):
		t.Fatal("the node lives on without its important plugin")
	}
	s.start()
	e = s.escrow()
	if !eventually(t, func() bool { return e.Settle(t.Context(), h) == nil }) {
		t.Fatal(e.Settle(t.Context(), h))
	}
	s.call("sim-audit", nil, nil)
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
		then   func(s *sim, hash orders.Hash)
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
			first: []orders.PayState{orders.PayUnknown}, then: func(s *sim, hash orders.Hash) {
				s.call("sim-pay-release", map[string]any{"payment_hash": hash.String(), "outcome": "fail"}, nil)
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
			if !eventually(t, func() bool { r, err := p.Ask(t.Context(), o.Hash); return err == nil && r.State == c.last }) {
				t.Fatalf("it never becomes %v", c.last)
			}
			if c.last != orders.PayNever { // a second call must change nothing
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				p.Send(ctx, o, "mostro/x/2")
				p.ask(t, o.Hash, c.last)
			}
			s.call("sim-audit", nil, nil)
		})
	}
}

func restartNode(s *sim, _ orders.Hash) {
	s.Kill()
	s.start()
}

// startBareSim is a node without plugins.
func startBareSim(t *testing.T) *sim {
	t.Helper()
	s := &sim{t: t, cfg: simln.Config{Dir: shortDir(t), Height: 500}}
	s.start()
	t.Cleanup(func() { s.Kill() })
	return s
}

func (s *sim) client() *Node {
	n := newNode(s.RPCPath())
	s.t.Cleanup(func() { n.Close() })
	return n
}

// simPayer is a payer with a test's way of asking.
type simPayer struct{ *payer }

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
func (s *sim) payout(script map[string]any) (simPayer, orders.Pay) {
	s.t.Helper()
	n := s.client()
	info, err := n.GetInfo(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.call("sim-wallet-new", []any{"buyer", "0msat"}, nil)
	var made struct {
		Bolt11 string `json:"bolt11"`
	}
	s.call("sim-wallet-invoice", map[string]any{"wallet": "buyer", "amount_msat": "10000sat", "label": "payout"}, &made)
	inv, err := n.DecodePayout(s.t.Context(), info, made.Bolt11)
	if err != nil || inv.Problem != "" || inv.Amount != 10_000_000 {
		s.t.Fatalf("decode: %+v, %v", inv, err)
	}
	if script != nil {
		script["match"] = inv.Hash.String()
		s.call("sim-pay-script", script, nil)
	}
	p := newPayer(n, slog.New(slog.DiscardHandler), parseVersion(info.Version), "s", time.Now)
	return simPayer{p}, orders.Pay{Invoice: made.Bolt11, Hash: inv.Hash, Amount: inv.Amount, MaxFee: 100_000, Attempt: 1}
}

func TestSimKeyIsTheNodesOwn(t *testing.T) {
	s := startSim(t)
	n := newNode(s.RPCPath())
	defer n.Close()
	a, sealA, err := loadKeys(t.Context(), n, "")
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.start()
	b, sealB, err := loadKeys(t.Context(), n, "")
	if err != nil || a != b || sealA != sealB || a == sealA {
		t.Errorf("keys %v %v, then %v %v, %v", a, sealA, b, sealB, err)
	}
}

// A wrong option ends neither the node nor its start.
func TestSimWrongOptionsLeaveTheNodeAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("runs binaries")
	}
	var log safeBuffer
	cfg := simln.Config{Dir: shortDir(t), Plugins: []simln.Plugin{mostroPlugin(t)}, Log: &log}
	cfg.Plugins[0].Options["mostro-fee"] = "7"
	cfg.Plugins[0].Options["mostro-pow"] = "x"
	n, err := simln.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Kill()
	if err := n.Call(t.Context(), "mostro-info", nil, nil); err == nil {
		t.Error("the exchange runs")
	}
	if text := log.String(); !strings.Contains(text, "2 options to mend") || !strings.Contains(text, "mostro-pow") {
		t.Errorf("the log says %s", text)
	}
}

// eventually asks again until ok or the deadline.
func eventually(t *testing.T, ok func() bool) bool {
	t.Helper()
	for until := time.Now().Add(deadline); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
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
