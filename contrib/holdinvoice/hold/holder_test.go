package hold

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// lab is a holder in this process under a fake node; the store is real.
type lab struct {
	t    *testing.T
	n    *fakeNode
	path string
	s    *Store
	h    *Holder
	stop context.CancelFunc

	wrap  func(Vault) Vault // if set, stands between holder and store
	out   Outlet            // if set, between holder and node
	node  Node
	clock Clock // if set, instead of the computer's
}

func newLab(t *testing.T) *lab {
	return &lab{t: t, n: newFakeNode(t), path: filepath.Join(t.TempDir(), databaseName)}
}

// start opens the store and wakes a holder up; loops says whether its own ones run too.
func (l *lab) start(loops bool) *Holder {
	l.t.Helper()
	s, err := OpenStore(l.path, StoreOptions{Wait: time.Second})
	if err != nil {
		l.t.Fatal(err)
	}
	l.s = s
	var v Vault = s
	if l.wrap != nil {
		v = l.wrap(s)
	}
	var out Outlet = l.n
	if l.out != nil {
		out = l.out
	}
	var n Node = l.n
	if l.node != nil {
		n = l.node
	}
	l.h = newHolder(Config{Log: newLog(l.n), Node: n, Out: out, Vault: v, Clock: l.clock, Limits: Floors, Keep: KeepRecords})
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	if err := l.h.wakeUp(ctx); err != nil {
		l.t.Fatal(err)
	}
	if loops {
		l.h.Start(ctx)
	}
	return l.h
}

// end is the end of the process; held calls are forgotten.
func (l *lab) end() {
	l.stop()
	synctestWait()
	l.s.Close()
}

// synctestWait lets a bubble's goroutines come to rest; outside of one nothing runs.
var synctestWait = func() {}

// replay asks for every HTLC that is still held, as the node does after its start.
func (l *lab) replay() {
	l.n.mu.Lock()
	list := append([]*fakeHTLC{}, l.n.htlcs...)
	l.n.mu.Unlock()
	for _, h := range list {
		if h.State == stateHeld {
			l.give(h)
		}
	}
}

// give passes an HTLC to the holder as its role does.
func (l *lab) give(h *fakeHTLC) {
	m := l.n.ask(h)
	hash, _ := hookHash(m.Params)
	if c := l.h.find(hash); c != nil {
		l.h.accept(c, m.ID, m.Params)
		return
	}
	answer(l.n, m.ID, replyContinue)
}

func (l *lab) make(p Preimage, label string) error {
	_, err := l.h.create(context.Background(), invoiceRequest{
		Amount: 50_000_000, Label: label, Description: "d", CLTV: 40, Preimage: &p,
	})
	return err
}

func (l *lab) state(p Preimage) State {
	c := l.h.find(p.Hash())
	if c == nil {
		return ""
	}
	return l.h.view(c).State
}

// bubble runs a test on a clock of its own.
func bubble(t *testing.T, f func(t *testing.T, l *lab)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		synctestWait = synctest.Wait
		defer func() { synctestWait = func() {} }()
		l := &lab{t: t, n: newFakeNode(t), path: filepath.Join(dir, databaseName)}
		l.start(true)
		defer func() { l.end() }()
		f(t, l)
	})
}

// pass lets time go by and everything happen that is due.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// set changes the node while the holder may look at it.
func (l *lab) set(f func(n *fakeNode)) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	f(l.n)
}

func (l *lab) mine(height uint32) {
	l.n.mu.Lock()
	l.n.height = height
	l.n.mu.Unlock()
	l.h.raise(Height(height))
}

func TestIncompletePaymentIsGivenBackAfterAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{2}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		first := l.n.pay(pre, 20_000_000, 50_000_000, 60)
		l.give(first)
		pass(30 * time.Second)
		second := l.n.pay(pre, 20_000_000, 50_000_000, 60)
		l.give(second)
		pass(29 * time.Second)
		if first.Result != "" || l.state(pre) != Open {
			t.Fatalf("before the minute: %q, %s", first.Result, l.state(pre))
		}
		pass(2 * time.Second)
		if first.Result != "0017" || second.Result != "0017" || l.state(pre) != Open {
			t.Fatalf("after the minute: %q %q %s", first.Result, second.Result, l.state(pre))
		}
		whole := l.n.pay(pre, 50_000_000, 50_000_000, 60)
		l.give(whole)
		pass(2 * time.Minute)
		if whole.Result != "" || l.state(pre) != Accepted {
			t.Fatalf("the next payment: %q %s", whole.Result, l.state(pre))
		}
	})
}

func TestUnpaidInvoiceEndsWithItsTime(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{3}
		if _, err := l.h.create(t.Context(), invoiceRequest{Amount: 1000, Label: "a", CLTV: 40, Expiry: 900, Preimage: &pre}); err != nil {
			t.Fatal(err)
		}
		pass(899 * time.Second)
		if l.state(pre) != Open {
			t.Fatal(l.state(pre))
		}
		pass(2 * time.Second)
		v := l.h.view(l.h.find(pre.Hash()))
		if v.State != Canceled || v.Reason != reasonExpired || !v.Confirmed {
			t.Fatalf("%+v", v)
		}
		late := l.n.pay(pre, 1000, 1000, 60)
		l.give(late)
		if late.Result != "400f00000000000003e8000003e8" {
			t.Fatalf("late payment: %q", late.Result)
		}
	})
}

func TestHeldPaymentIsGivenBackTwentyBlocksBeforeItsExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		kept, settled := Preimage{4}, Preimage{5}
		for i, p := range []Preimage{kept, settled} {
			if err := l.make(p, string(rune('a'+i))); err != nil {
				t.Fatal(err)
			}
		}
		a, b := l.n.pay(kept, 50_000_000, 50_000_000, 60), l.n.pay(settled, 50_000_000, 50_000_000, 60)
		l.give(a)
		l.give(b)
		l.mine(1036) // 24 left: the last block for a settle
		pass(2 * time.Second)
		if err := l.h.settle(t.Context(), l.h.find(settled.Hash()), nil); err != nil {
			t.Fatal(err)
		}
		l.mine(1037)
		pass(2 * time.Second)
		var refused *clnio.Error
		if err := l.h.settle(t.Context(), l.h.find(kept.Hash()), nil); !errors.As(err, &refused) || refused.Code != codeTooLate {
			t.Fatalf("23 blocks left: %v", err)
		}
		l.mine(1039)
		l.mine(1037) // a reorg gives no time back
		pass(2 * time.Second)
		if a.Result != "" || l.state(kept) != Accepted {
			t.Fatalf("21 blocks left: %q %s", a.Result, l.state(kept))
		}
		l.mine(1040)
		pass(2 * time.Second)
		l.n.finish()
		pass(time.Minute)
		if v := l.h.view(l.h.find(kept.Hash())); a.Result[:4] != "400f" || v.State != Canceled || v.Reason != reasonDeadline {
			t.Fatalf("20 blocks left: %q %+v", a.Result, v)
		}
		if v := l.h.view(l.h.find(settled.Hash())); b.Result != "resolve" || v.State != Settled || v.Proof != proofBooked {
			t.Fatalf("settled in time: %q %+v", b.Result, v)
		}
	})
}

func TestSettledPaymentIsNeverGivenBackHoweverLate(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{6}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		h := l.n.pay(pre, 50_000_000, 50_000_000, 60)
		l.give(h)
		if err := l.h.settle(t.Context(), l.h.find(pre.Hash()), nil); err != nil {
			t.Fatal(err)
		}
		var refused *clnio.Error
		if err := l.h.cancel(l.h.find(pre.Hash()), "x"); !errors.As(err, &refused) || refused.Code != codeWrongState {
			t.Fatalf("cancel after settle: %v", err)
		}
		l.mine(1200)
		pass(time.Minute)
		// The node was killed before it read the answer, and replays the part much later.
		l.set(func(n *fakeNode) {
			h.State, h.Result = stateHeld, ""
		})
		l.give(h)
		if h.Result != "resolve" {
			t.Fatalf("replayed: %q", h.Result)
		}
	})
}

func TestSettleOfAPaymentThatVanishedIsNotProof(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{7}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		h := l.n.pay(pre, 50_000_000, 50_000_000, 60)
		l.give(h)
		l.set(func(n *fakeNode) {
			n.broken["listpeerchannels"] = clnio.Errorf(-5, "shutting down")
		})
		if err := l.h.settle(t.Context(), l.h.find(pre.Hash()), nil); err != nil {
			t.Fatal(err)
		}
		// The process dies before it saw anything, and the part was given back meanwhile.
		l.end()
		l.set(func(n *fakeNode) {
			delete(n.broken, "listpeerchannels")
			h.Result = "400f"
		})
		l.n.finish()
		l.start(true)
		pass(50 * time.Second)
		if v := l.h.view(l.h.find(pre.Hash())); v.State != Settling || v.Proof != proofNone {
			t.Fatalf("without proof: %+v", v)
		}
		pass(3 * time.Minute)
		if v := l.h.view(l.h.find(pre.Hash())); v.State != Lost || v.Proof != proofNone || v.Confirmed {
			t.Fatalf("after the time for a proof: %+v", v)
		}
	})
}

func TestSettleIsProvedByTheBooksAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{8}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		h := l.n.pay(pre, 50_000_000, 50_000_000, 60)
		l.give(h)
		l.set(func(n *fakeNode) {
			n.broken["listpeerchannels"] = clnio.Errorf(-5, "shutting down")
		})
		if err := l.h.settle(t.Context(), l.h.find(pre.Hash()), nil); err != nil {
			t.Fatal(err)
		}
		l.end()
		delete(l.n.broken, "listpeerchannels")
		l.n.moves = append(l.n.moves, map[string]any{ // of the same hash, but no income
			"created_index": 1, "credit_msat": 50_000_000, "debit_msat": 0, "primary_tag": "routed", "payment_hash": pre.Hash(),
		})
		l.start(true)
		pass(time.Minute)
		if l.state(pre) != Settling {
			t.Fatalf("still in the channel, answered by a process that is gone: %s", l.state(pre))
		}
		l.set(func(*fakeNode) { h.Channel = "ONCHAIN" }) // the peer is gone; nothing is booked yet
		pass(10 * time.Minute)
		if l.state(pre) != Settling {
			t.Fatalf("while the channel closes: %s", l.state(pre))
		}
		l.set(func(*fakeNode) { h.State = "SENT_REMOVE_ACK_REVOCATION" })
		pass(40 * time.Second)
		if l.state(pre) != Settling {
			t.Fatalf("gone, and the books not written yet: %s", l.state(pre))
		}
		l.set(func(n *fakeNode) { h.State = "SENT_REMOVE_HTLC" })
		l.n.finish()
		pass(time.Minute)
		if v := l.h.view(l.h.find(pre.Hash())); v.State != Settled || v.Proof != proofBooked || !v.Confirmed {
			t.Fatalf("booked: %+v", v)
		}
	})
}

func TestAcceptedPaymentComesBackAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{9}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		a, b := l.n.pay(pre, 20_000_000, 50_000_000, 60), l.n.pay(pre, 30_000_000, 50_000_000, 66)
		l.give(a)
		l.give(b)
		l.end()
		l.n.height = 970 // what the node believes at first
		l.n.behind = true
		l.start(true)
		if v := l.h.view(l.h.find(pre.Hash())); v.State != Accepted || !v.Recovering || v.Held != 0 || l.h.chain.highest() != 1000 {
			t.Fatalf("before the replay: %+v at %d", v, l.h.chain.highest())
		}
		settled := make(chan error)
		go func() {
			err := l.h.settle(context.Background(), l.h.find(pre.Hash()), nil)
			settled <- err
		}()
		pass(2 * time.Second)
		l.give(a)
		pass(2 * time.Second)
		l.set(func(n *fakeNode) {
			n.height, n.behind = 1001, false
		})
		pass(time.Minute / 20)
		l.give(b)
		if err := <-settled; err != nil {
			t.Fatalf("settle during recovery: %v", err)
		}
		if a.Result != "resolve" || b.Result != "resolve" {
			t.Fatalf("%q %q", a.Result, b.Result)
		}
	})
}

func TestAcceptedPaymentThatDoesNotComeBackIsLost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		late   bool
		gone   []bool // of the two parts
		wait   time.Duration
		state  State
		reason string
	}{
		{"both gone", false, []bool{true, true}, 61 * time.Second, Lost, reasonLost},
		{"one gone", false, []bool{true, false}, 61 * time.Second, Lost, reasonLost},
		{"plugin started in a running node", true, []bool{true, true}, time.Second, Lost, "plugin_died"},
		{"still held by another plugin", false, []bool{false, false}, 5 * time.Minute, Accepted, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				pre := Preimage{10}
				if err := l.make(pre, "a"); err != nil {
					t.Fatal(err)
				}
				parts := []*fakeHTLC{l.n.pay(pre, 20_000_000, 50_000_000, 60), l.n.pay(pre, 30_000_000, 50_000_000, 66)}
				for _, h := range parts {
					l.give(h)
				}
				l.end()
				for i, h := range parts {
					if tt.gone[i] {
						h.State = "SENT_REMOVE_ACK_REVOCATION"
					}
				}
				l.start(false)
				l.h.late = tt.late
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				l.h.Start(ctx)
				if tt.name == "one gone" {
					l.give(parts[1])
				}
				pass(tt.wait)
				v := l.h.view(l.h.find(pre.Hash()))
				if v.State != tt.state || v.Reason != tt.reason {
					t.Fatalf("%+v", v)
				}
				if tt.name == "one gone" && parts[1].Result[:4] != "400f" {
					t.Fatalf("what was left of it: %q", parts[1].Result)
				}
				if err := l.h.settle(t.Context(), l.h.find(pre.Hash()), nil); err == nil {
					t.Fatal("settled what is not there")
				}
				cancel()
				pass(time.Second)
			})
		})
	}
}

func TestDiskFailureHoldsThePaymentUntilItsExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{11}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		full := &fullDisk{Vault: l.s, err: errors.New("no space left on device")}
		l.h.vault = full
		h, never := l.n.pay(pre, 50_000_000, 50_000_000, 60), l.n.pay(pre, 1, 50_000_000, 60)
		l.give(h)
		pass(10 * time.Second)
		if h.Result != "" || l.state(pre) != Open {
			t.Fatalf("disk full: %q %s", h.Result, l.state(pre))
		}
		full.set(nil)
		pass(2 * time.Second)
		if l.state(pre) != Accepted {
			t.Fatalf("disk has room again: %s", l.state(pre))
		}
		full.set(errors.New("no space left on device"))
		if err := l.h.settle(t.Context(), l.h.find(pre.Hash()), nil); err == nil || h.Result != "" {
			t.Fatalf("settled without a disk: %v %q", err, h.Result)
		}
		l.mine(1059)
		pass(2 * time.Second)
		if h.Result != "" {
			t.Fatalf("one block left: %q", h.Result)
		}
		l.mine(1060)
		pass(2 * time.Second)
		if h.Result == "" || h.Result == "resolve" {
			t.Fatalf("at its expiry: %q", h.Result)
		}
		_ = never
	})
}

func TestSettleIsProvedOnChain(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{8}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		h := l.n.pay(pre, 50_000_000, 50_000_000, 60)
		l.give(h)
		l.set(func(*fakeNode) { h.Channel = "ONCHAIN" })
		if err := l.h.settle(t.Context(), l.h.find(pre.Hash()), nil); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Minute)
		if v := l.h.view(l.h.find(pre.Hash())); v.State != Settling || v.Proof != 0 {
			t.Fatalf("answered, and the claim may lose its race: %+v", v)
		}
		l.set(func(n *fakeNode) {
			n.chain = []map[string]any{{"credit_msat": 50_000_000, "primary_tag": "htlc_timeout", "payment_hash": pre.Hash()}}
		})
		pass(time.Minute)
		if v := l.h.view(l.h.find(pre.Hash())); v.Proof != 0 {
			t.Fatalf("something else came in: %+v", v)
		}
		l.set(func(n *fakeNode) {
			n.chain = []map[string]any{{"credit_msat": 50_000_000, "primary_tag": "htlc_fulfill", "payment_hash": pre.Hash()}}
		})
		pass(time.Minute)
		if v := l.h.view(l.h.find(pre.Hash())); v.Proof != proofOnChain || !v.Confirmed {
			t.Fatalf("claimed: %+v", v)
		}
	})
}

func TestOldNodeWithoutBooksProvesLevelOne(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.n.noMoves = true
		pre := Preimage{8}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		l.give(l.n.pay(pre, 50_000_000, 50_000_000, 60))
		if err := l.h.settle(t.Context(), l.h.find(pre.Hash()), nil); err != nil {
			t.Fatal(err)
		}
		l.n.finish()
		pass(time.Minute)
		if v := l.h.view(l.h.find(pre.Hash())); v.State != Settled || v.Proof != proofTaken || v.Confirmed {
			t.Fatalf("%+v", v)
		}
		asked := l.n.calls["listpeerchannels"]
		pass(time.Hour)
		if more := l.n.calls["listpeerchannels"] - asked; more > 0 {
			t.Errorf("asked %d more times for a proof that does not exist", more)
		}
	})
}

func TestSettleIsRefusedWhileTheNodeIsBehind(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{9}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		h := l.n.pay(pre, 50_000_000, 50_000_000, 60)
		l.give(h)
		l.end()
		l.n.behind = true
		l.start(true)
		l.give(h)
		begun := time.Now()
		var refused *clnio.Error
		if err := l.h.settle(t.Context(), l.h.find(pre.Hash()), nil); !errors.As(err, &refused) || refused.Code != codeNotYet {
			t.Fatalf("got %v", err)
		}
		if d := time.Since(begun); d != 10*time.Second || h.Result != "" {
			t.Fatalf("after %v: %q", d, h.Result)
		}
	})
}

func TestCancelIsNotOverWhileTheNodeHoldsAPart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{9}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		a, b := l.n.pay(pre, 20_000_000, 50_000_000, 60), l.n.pay(pre, 30_000_000, 50_000_000, 60)
		l.give(a)
		l.give(b)
		l.end()
		l.start(true)
		l.give(a)
		if err := l.h.cancel(l.h.find(pre.Hash()), "x"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if l.state(pre) != Canceling || a.Result[:4] != "400f" {
			t.Fatalf("%s %q", l.state(pre), a.Result)
		}
		l.give(b)
		pass(time.Minute)
		if l.state(pre) != Canceled || b.Result[:4] != "400f" {
			t.Fatalf("%s %q", l.state(pre), b.Result)
		}
	})
}

func TestIncompletePaymentGetsItsTimeAgainAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		pre := Preimage{9}
		if err := l.make(pre, "a"); err != nil {
			t.Fatal(err)
		}
		a := l.n.pay(pre, 20_000_000, 50_000_000, 60)
		l.give(a)
		l.end()
		time.Sleep(5 * time.Minute)
		l.start(true)
		l.give(a)
		pass(50 * time.Second)
		if a.Result != "" {
			t.Fatalf("given back too early: %q", a.Result)
		}
		l.give(l.n.pay(pre, 30_000_000, 50_000_000, 60))
		if l.state(pre) != Accepted {
			t.Fatal(l.state(pre))
		}
	})
}

func TestInvoiceIsNotHandedOutWhileTheNodeKeepsItsRow(t *testing.T) {
	l := newLab(t)
	l.start(false)
	defer func() { l.end() }()
	l.n.sticky = true
	pre := Preimage{1}
	if err := l.make(pre, "a"); err == nil {
		t.Fatal("handed out")
	}
	if l.state(pre) == Open {
		t.Fatal("open")
	}
	l.n.sticky = false
	if err := l.make(pre, "a"); err != nil || len(l.n.rows) != 0 {
		t.Fatalf("asked again: %v, rows %v", err, l.n.rows)
	}
	if got := l.n.store[datastoreRoot+"/"+pre.Hash().String()]; got != string(Open) {
		t.Errorf("guard does not know of it: %q", got)
	}
}

func TestForeignInvoiceOfTheSamePreimageIsLeftAlone(t *testing.T) {
	l := newLab(t)
	l.start(false)
	defer l.end()
	pre := Preimage{1}
	l.n.rows["somebody's"] = &fakeRow{pre.Hash(), pre.Hex(), "unpaid"}
	var refused *clnio.Error
	if err := l.make(pre, "a"); !errors.As(err, &refused) || refused.Code != codePreimageExists {
		t.Fatalf("got %v", err)
	}
	if l.n.rows["somebody's"] == nil || l.h.find(pre.Hash()) != nil {
		t.Error("the other invoice was touched, or ours stayed")
	}
	if err := l.make(Preimage{2}, "a"); err != nil {
		t.Errorf("label is not free again: %v", err)
	}
}

func TestHalfMadeInvoiceMakesRoomForAnother(t *testing.T) {
	l := newLab(t)
	l.start(false)
	defer l.end()
	l.n.broken["delinvoice"] = errors.New("connection lost")
	if err := l.make(Preimage{1}, "a"); err == nil {
		t.Fatal("made")
	}
	var refused *clnio.Error
	if _, _, err := l.h.known(args{"payment_hash": Preimage{1}.Hash()}); !errors.As(err, &refused) || refused.Code != codeNotFound {
		t.Errorf("what was never handed out is shown: %v", err)
	}
	delete(l.n.broken, "delinvoice")
	if err := l.make(Preimage{2}, "a"); err != nil {
		t.Fatal(err)
	}
	if l.h.find(Preimage{1}.Hash()) != nil || len(l.n.rows) != 0 || l.state(Preimage{2}) != Open {
		t.Errorf("rows %v, state %s", l.n.rows, l.state(Preimage{2}))
	}
}

// slowNode keeps one method waiting.
type slowNode struct {
	*fakeNode
	method string
	came   chan struct{}
	goOn   chan struct{}
}

func (n *slowNode) Call(ctx context.Context, method string, params, result any) error {
	if method == n.method {
		n.came <- struct{}{}
		<-n.goOn
	}
	return n.fakeNode.Call(ctx, method, params, result)
}

func TestSameInvoiceIsMadeByOneCallAtATime(t *testing.T) {
	l := newLab(t)
	slow := &slowNode{l.n, "invoice", make(chan struct{}), make(chan struct{})}
	l.node = slow
	l.start(false)
	defer l.end()
	first := make(chan error)
	go func() { first <- l.make(Preimage{1}, "a") }()
	<-slow.came
	var refused *clnio.Error
	if err := l.make(Preimage{1}, "a"); !errors.As(err, &refused) || refused.Code != codeNotYet {
		t.Errorf("the same again: %v", err)
	}
	if err := l.make(Preimage{2}, "a"); !errors.As(err, &refused) || refused.Code != codeLabelExists {
		t.Errorf("another under its label: %v", err)
	}
	close(slow.goOn)
	if err := <-first; err != nil || l.state(Preimage{1}) != Open {
		t.Errorf("the first: %v", err)
	}
	if err := l.make(Preimage{1}, "a"); err != nil {
		t.Errorf("asked again: %v", err)
	}
}

func TestInvoiceThatTheStoreLostIsToldToTheGuard(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.end()
		hash := Hash{5}
		l.n.store[datastoreRoot+"/"+hash.String()] = string(Accepted)
		l.start(true)
		pass(time.Second)
		if len(l.n.store) != 0 || len(l.n.notes) != 1 || l.n.notes[0].Hash != hash || l.n.notes[0].State != Lost {
			t.Errorf("datastore %v, notes %+v", l.n.store, l.n.notes)
		}
	})
}

func TestPreimageIsNeverWrittenInTheClear(t *testing.T) {
	l := newLab(t)
	l.start(false)
	defer l.end()
	pre := newPreimage()
	if err := l.make(pre, "a"); err != nil {
		t.Fatal(err)
	}
	c := l.h.find(pre.Hash())
	for what, b := range map[string]any{"record": c.inv, "view": l.h.view(c)} {
		if containsPreimage(marshaled(b), pre) {
			t.Errorf("%s holds the preimage", what)
		}
	}
	for _, line := range l.n.logs {
		if containsPreimage([]byte(line), pre) {
			t.Errorf("log: %s", line)
		}
	}
	if _, err := l.h.seal.Open(t.Context(), Hash{1}, c.inv.Sealed); err == nil {
		t.Error("opened under another hash")
	}
	slog.New(slog.DiscardHandler).Info("x", "p", pre) // compiles as a LogValuer
}
