package hold

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// relay passes the holder's notifications on to the guard, as the node does, in the shape of
// a recent node or of an older one.
func relay(n *fakeNode, guard *process, wrapped bool) {
	n.mu.Lock()
	notes := append([]StateNote{}, n.notes...)
	n.mu.Unlock()
	for _, note := range notes {
		params := marshaled(map[string]any{Topic: note})
		if wrapped {
			params = marshaled(map[string]any{"origin": "holdinvoice", "payload": map[string]any{Topic: note}})
		}
		guard.in.Write(clnio.Message{Method: Topic, Params: params})
	}
}

func TestGuardTakesOverFromADeadHolder(t *testing.T) {
	for _, tt := range []struct {
		name    string
		late    bool // the guard starts after the invoice was made: it knows from the datastore
		wrapped bool
		command string
		result  string
		state   State
	}{
		{"told by notification, settles", false, false, "holdguard-settle", "resolve", Settled},
		{"told by an older node, cancels", false, true, "holdguard-cancel", "400f", Canceled},
		{"told by the datastore, settles", true, false, "holdguard-settle", "resolve", Settled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, n := t.TempDir(), newFakeNode(t)
			n.serve(dir)
			holder := boot(t, n, dir, "holdinvoice")
			var guard *process
			if !tt.late {
				guard = boot(t, n, dir, "holdinvoice-guard")
			}
			pre := Preimage{1}
			holder.invoice(pre, "order-1")
			a, b := n.pay(pre, 20_000_000, 50_000_000, 41), n.pay(pre, 30_000_000, 50_000_000, 47)
			holder.hook(a)
			holder.hook(b)
			holder.untilState(pre.Hash(), Accepted)
			if tt.late {
				guard = boot(t, n, dir, "holdinvoice-guard")
			} else {
				relay(n, guard, tt.wrapped)
			}
			if m := guard.request("holdguard-settle", fmt.Sprintf(`["%s"]`, pre.Hash())); m.Error == nil || m.Error.Code != codeWrongState {
				t.Fatalf("on watch: %+v", m)
			}
			stranger := n.pay(Preimage{99}, 1000, 1000, 41)
			guard.hook(stranger)
			n.until("a stranger's payment to pass", func() bool { return stranger.Result == "continue" })

			holder.kill()
			guard.hook(a)
			guard.hook(b)
			n.until("the guard to take over", func() bool { return n.logged("guard took over") })
			if !n.logged("error", "holder is dead") {
				t.Error("no alarm in the log")
			}
			n.mu.Lock()
			if a.Result != "" || b.Result != "" {
				t.Fatalf("not held: %q %q", a.Result, b.Result)
			}
			n.mu.Unlock()
			var v struct {
				Standby bool
				Role    string
			}
			guard.call("holdguard-version", `[]`, &v)
			if !v.Standby || v.Role != "guard" {
				t.Fatalf("%+v", v)
			}
			another := n.pay(Preimage{98}, 1000, 1000, 41)
			guard.hook(another)
			n.until("a stranger's payment to pass", func() bool { return another.Result == "continue" })

			var out view
			guard.call(tt.command, fmt.Sprintf(`["%s"]`, pre.Hash()), &out)
			n.until("both answers", func() bool {
				return strings.HasPrefix(a.Result, tt.result) && strings.HasPrefix(b.Result, tt.result)
			})
			n.until("the end", func() bool { return n.logged("to=" + string(tt.state)) })
			guard.stop()

			// The next start of the node: the holder finds what the guard did.
			next := boot(t, n, dir, "holdinvoice")
			if got := next.lookup(pre.Hash()); got.State != tt.state {
				t.Errorf("afterwards the holder says %s", got.State)
			}
			next.stop()
		})
	}
}

// The store can be out of reach for longer than the lock of a dead process lasts.
func TestGuardHoldsWithoutTheStore(t *testing.T) {
	dir, n := t.TempDir(), newFakeNode(t)
	n.serve(dir)
	pre := Preimage{1}
	n.store[datastoreRoot+"/"+pre.Hash().String()] = string(Accepted)
	if err := os.Mkdir(filepath.Join(dir, databaseName), 0o700); err != nil { // not a file
		t.Fatal(err)
	}
	guard := boot(t, n, dir, "holdinvoice-guard")
	guard.block(1000)
	h := n.pay(pre, 50_000_000, 50_000_000, 41)
	guard.hook(h)
	n.until("the alarm", func() bool { return n.logged("guard holds payments without the store") })
	guard.block(1020) // 21 left
	var v struct{ Waiting int }
	guard.call("holdguard-version", `{}`, &v)
	if v.Waiting != 1 || h.Result != "" {
		t.Fatalf("%+v, %q", v, h.Result)
	}
	guard.block(1021)
	n.until("the payment to go back in time", func() bool { return strings.HasPrefix(h.Result, "400f") })
	guard.stop()
}

// What was decided to be settled must not be refused as long as there is hope for the store.
func TestGuardHoldsADecidedSettleToTheLastBlock(t *testing.T) {
	n := newFakeNode(t)
	g := newGuard(GuardConfig{Log: newLog(n), Out: n})
	pre := Preimage{1}
	g.note(Topic, marshaled(map[string]any{Topic: StateNote{Hash: pre.Hash(), State: Settling}}))
	h := n.pay(pre, 50_000_000, 50_000_000, 41)
	m := n.ask(h)
	k, err := readCall(m.ID, m.Params)
	for _, step := range []struct {
		left Height
		due  bool
	}{{30, false}, {20, false}, {1, false}, {0, true}} {
		g.height = h.Expiry - step.left
		if got := g.refuseDue(orphan{h.Hash, k, err}); got != step.due || (h.Result != "") != step.due {
			t.Errorf("%d blocks left: %v %q", step.left, got, h.Result)
		}
	}
}

func TestGuardForgetsWhatIsOver(t *testing.T) {
	n := newFakeNode(t)
	g := newGuard(GuardConfig{Log: newLog(n), Out: n})
	g.listed = true
	pre := Preimage{1}
	for _, s := range []State{Open, Accepted, Canceling, Canceled} {
		g.note(Topic, marshaled(map[string]any{Topic: StateNote{Hash: pre.Hash(), State: s}}))
	}
	h := n.pay(pre, 50_000_000, 50_000_000, 41)
	m := n.ask(h)
	g.hook(m.ID, m.Params)
	if h.Result != "continue" {
		t.Errorf("got %q", h.Result)
	}
}

func TestReadNoteTakesEveryShape(t *testing.T) {
	note := StateNote{Hash: Hash{1}, State: Accepted, From: Open, Updated: 7}
	inner := string(marshaled(note))
	for _, in := range []string{
		inner,
		`{"holdinvoice_state":` + inner + `}`,
		`{"origin":"holdinvoice","payload":` + inner + `}`,
		`{"origin":"holdinvoice","payload":{"holdinvoice_state":` + inner + `}}`,
	} {
		if got, ok := readNote(json.RawMessage(in)); !ok || got != note {
			t.Errorf("%s: got %+v, %v", in, got, ok)
		}
	}
	for _, in := range []string{``, `[]`, `{}`, `{"holdinvoice_state":7}`, `{"state":"OPENED"}`} {
		if got, ok := readNote(json.RawMessage(in)); ok {
			t.Errorf("%s: got %+v", in, got)
		}
	}
}

// A guard that could not ask yet does not know whose payment it is asked for; the holder may
// have died at this very moment.
func TestGuardHoldsEverythingUntilItKnowsWhatIsAlive(t *testing.T) {
	ctx, n := t.Context(), newFakeNode(t)
	ours, stranger := Preimage{1}, Preimage{2}
	n.store[datastoreRoot+"/"+ours.Hash().String()] = string(Accepted)
	n.broken["listdatastore"] = clnio.Errorf(-5, "not yet")
	clock := &handClock{}
	g := NewGuard(ctx, GuardConfig{Log: silent, Node: n, Out: n, Clock: clock, Open: func() (*Store, error) {
		return nil, os.ErrPermission
	}})
	a, b := n.pay(ours, 1000, 1000, 60), n.pay(stranger, 1000, 1000, 60)
	for _, h := range []*fakeHTLC{a, b} {
		m := n.ask(h)
		g.HTLC(m.ID, m.Params)
	}
	g.Step(ctx)
	if a.Result != "" || b.Result != "" {
		t.Fatalf("before it knows: ours %q, the stranger's %q", a.Result, b.Result)
	}
	delete(n.broken, "listdatastore")
	clock.pass(tickTime)
	g.Step(ctx)
	if a.Result != "" || b.Result != "continue" {
		t.Errorf("when it knows: ours %q, the stranger's %q", a.Result, b.Result)
	}
}
