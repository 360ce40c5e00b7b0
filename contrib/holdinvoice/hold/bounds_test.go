package hold

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// A payer may try again and again for as long as the invoice is open.
func TestPartsThatWentLeaveNothingInMemory(t *testing.T) {
	l, clock := driven(t)
	pre := Preimage{1}
	if err := l.make(pre, "a"); err != nil {
		t.Fatal(err)
	}
	c := l.h.find(pre.Hash())
	for range 20 {
		for range 10 {
			l.give(l.n.pay(pre, 1000, 50_000_000, 1000))
		}
		l.passAll(clock, 2*time.Minute)
		if n := len(c.live) + len(c.paid) + len(c.calls) + len(c.inv.HTLCs); n != 0 {
			t.Fatalf("%d entries are left of parts that were given back", n)
		}
	}
}

func TestPartsBeyondTheBoundAreRefused(t *testing.T) {
	l, _ := driven(t)
	pre := Preimage{1}
	if err := l.make(pre, "a"); err != nil {
		t.Fatal(err)
	}
	for range maxParts {
		if h := l.n.pay(pre, 1000, 50_000_000, 1000); true {
			l.give(h)
			if h.Result != "" {
				t.Fatalf("refused with %q", h.Result)
			}
		}
	}
	h := l.n.pay(pre, 1000, 50_000_000, 1000)
	l.give(h)
	if !strings.HasPrefix(h.Result, "400f") {
		t.Errorf("part %d: %q", maxParts+1, h.Result)
	}
}

// While the disk takes nothing, what was stored before is held however much comes; new parts
// wait up to a bound.
func TestPartsThatWaitForTheDiskAreBounded(t *testing.T) {
	l, clock := driven(t)
	held, open := Preimage{1}, Preimage{2}
	stored := l.mustMake(held, "a", 1000)
	if err := l.make(open, "b"); err != nil {
		t.Fatal(err)
	}
	l.h.vault = &fullDisk{Vault: l.s, err: errors.New("no space left on device")}
	refused := 0
	for range maxParts + 50 {
		h := l.n.pay(open, 1000, 50_000_000, 1000)
		l.give(h)
		if h.Result == "2002" {
			refused++
		}
	}
	if c := l.h.find(open.Hash()); len(c.undecided) != maxParts || refused != 50 {
		t.Errorf("%d wait, %d refused", len(c.undecided), refused)
	}
	l.give(stored)
	l.passAll(clock, time.Minute)
	if stored.Result != "" {
		t.Errorf("what was accepted before: %q", stored.Result)
	}
	l.h.vault = l.s
	l.passAll(clock, time.Second)
	if c := l.h.find(open.Hash()); len(c.undecided) != 0 || len(c.inv.HTLCs) != maxParts {
		t.Errorf("afterwards %d wait, %d are stored", len(c.undecided), len(c.inv.HTLCs))
	}
}

func TestInvoicesInMemoryAreBounded(t *testing.T) {
	l, _ := driven(t)
	for i := range maxLive {
		l.h.add(newContract(Invoice{Hash: Hash{1, byte(i), byte(i >> 8)}, Label: string(rune(i)), State: Open}))
	}
	if err := l.make(Preimage{1}, "one too many"); code(err) != codeBusy {
		t.Errorf("got %v", err)
	}
}

// Callers that have gone away wait on; they must not keep others from their commands.
func TestWaitsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		done := make(chan error)
		for range maxWaiters {
			go func() {
				_, err := l.h.Call(t.Context(), "holdinvoicewait", json.RawMessage(`{"nextvalue":1000,"timeout":60}`))
				done <- err
			}()
		}
		pass(time.Second)
		if _, err := l.h.Call(t.Context(), "holdinvoicewait", json.RawMessage(`[1]`)); code(err) != codeBusy {
			t.Errorf("one too many: %v", err)
		}
		for range maxWaiters {
			if err := <-done; code(err) != codeTimeout {
				t.Errorf("got %v", err)
			}
		}
		if err := l.make(Preimage{1}, "a"); err != nil {
			t.Fatal(err)
		}
		raw, err := l.h.Call(t.Context(), "holdinvoicewait", json.RawMessage(`[1]`))
		if err != nil || !strings.Contains(string(raw), `"state":"OPEN"`) {
			t.Errorf("afterwards: %s %v", raw, err)
		}
	})
}

// The guard may have missed the end of an invoice; the live holder has the store.
func TestGuardLetsGoOfWhatIsOver(t *testing.T) {
	ctx, n := context.Background(), newFakeNode(t)
	clock := &handClock{wall: time.Now()}
	pre, other := Preimage{1}, Preimage{2}
	key := func(p Preimage) string { return datastoreRoot + "/" + p.Hash().String() }
	n.store[key(pre)], n.store[key(other)] = string(Accepted), string(Accepted)
	g := NewGuard(ctx, GuardConfig{Log: silent, Node: n, Out: n, Clock: clock, Open: func() (*Store, error) {
		return nil, errors.New("the holder has it")
	}})
	delete(n.store, key(pre))
	over, alive := n.pay(pre, 1000, 1000, 60), n.pay(other, 1000, 1000, 60)
	for _, h := range []*fakeHTLC{over, alive} {
		m := n.ask(h)
		g.HTLC(m.ID, m.Params)
	}
	g.Step(ctx)
	if !strings.HasPrefix(over.Result, "400f") || alive.Result != "" {
		t.Errorf("over %q, alive %q", over.Result, alive.Result)
	}
	again := n.pay(pre, 1000, 1000, 60)
	m := n.ask(again)
	g.HTLC(m.ID, m.Params)
	if again.Result != "continue" {
		t.Errorf("paid again: %q", again.Result)
	}
}
