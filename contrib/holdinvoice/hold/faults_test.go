package hold

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

func containsPreimage(b []byte, p Preimage) bool {
	return bytes.Contains(b, p[:]) || bytes.Contains(b, []byte(p.Hex())) || bytes.Contains(b, []byte(hex.EncodeToString(p[:16])))
}

// fullDisk fails every write while err is set.
type fullDisk struct {
	Vault
	mu  sync.Mutex
	err error
}

func (d *fullDisk) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *fullDisk) Put(inv Invoice) (Invoice, error) {
	d.mu.Lock()
	err := d.err
	d.mu.Unlock()
	if err != nil {
		return Invoice{}, err
	}
	return d.Vault.Put(inv)
}

// fault breaks one step of a run: the disk's, the node's or an answer's. After a crash
// nothing more gets out of the process.
type fault struct {
	at    int
	done  bool // the step is done all the same
	crash bool
	step  int
	dead  bool
}

var errBroken = errors.New("broken by the test")

// next says whether the coming step is to be done, and whether it is to look failed.
func (f *fault) next() (do bool, err error) {
	if f.dead {
		return false, errBroken
	}
	f.step++
	if f.step != f.at {
		return true, nil
	}
	f.dead = f.crash
	return f.done, errBroken
}

type faultyVault struct {
	Vault
	f *fault
}

func (v *faultyVault) Put(inv Invoice) (Invoice, error) {
	do, broken := v.f.next()
	var out Invoice
	var err error
	if do {
		out, err = v.Vault.Put(inv)
	}
	if broken != nil {
		return Invoice{}, broken
	}
	return out, err
}

func (v *faultyVault) Drop(h Hash) error {
	do, broken := v.f.next()
	if do {
		if err := v.Vault.Drop(h); err != nil {
			return err
		}
	}
	return broken
}

type faultyNode struct {
	n *fakeNode
	f *fault
}

func (n *faultyNode) Call(ctx context.Context, method string, params, result any) error {
	switch method {
	case "invoice", "delinvoice", "listinvoices", "datastore":
	default:
		if n.f.dead {
			return errBroken
		}
		return n.n.Call(ctx, method, params, result)
	}
	do, broken := n.f.next()
	var err error
	if do {
		err = n.n.Call(ctx, method, params, result)
	}
	if broken != nil && do {
		return fmt.Errorf("%w: %w", clnio.ErrUnknownOutcome, broken)
	}
	if broken != nil {
		return fmt.Errorf("%w: %w", clnio.ErrNotSent, broken)
	}
	return err
}

// faultyOutlet checks what leaves the process against what is on disk at that moment.
type faultyOutlet struct {
	l *lab
	f *fault
}

func (o *faultyOutlet) Write(v any) error {
	m, ok := v.(clnio.Message)
	if !ok || len(m.Result) == 0 {
		if o.f.dead {
			return errBroken
		}
		return o.l.n.Write(v)
	}
	do, broken := o.f.next()
	if broken != nil {
		o.f.dead = true // the node that does not read any more takes us for dead
	}
	if do {
		o.check(m)
		if err := o.l.n.Write(v); err != nil {
			return err
		}
	}
	return broken
}

// check: the preimage leaves only after SETTLING is on disk, and a part of a payment is
// refused only after its end is.
func (o *faultyOutlet) check(m clnio.Message) {
	o.l.n.mu.Lock()
	i := slices.IndexFunc(o.l.n.htlcs, func(h *fakeHTLC) bool { return h.Call == string(m.ID) })
	if i < 0 {
		o.l.n.mu.Unlock()
		o.l.t.Errorf("answer to nobody: %s %s", m.ID, m.Result)
		return
	}
	h := *o.l.n.htlcs[i]
	o.l.n.mu.Unlock()
	inv, err := o.l.s.Get(h.Hash)
	if err != nil || inv == nil {
		o.l.t.Errorf("answered without a record: %v", err)
		return
	}
	resolves := bytes.Contains(m.Result, []byte("resolve"))
	if resolves && !inv.Settle {
		o.l.t.Errorf("preimage left in state %s", inv.State)
	}
	if !resolves && (inv.Settle || inv.State == Accepted || inv.State == Open && inv.find(Key{h.Scid, h.ID}) >= 0) {
		o.l.t.Errorf("part refused in state %s, settle %v", inv.State, inv.Settle)
	}
}

// story is one trade's worth of escrow; each step may be repeated until it succeeds.
type story struct {
	name  string
	steps []func(l *lab) error
	end   State
	parts string // what became of each
}

var storyPreimage = Preimage{42}

func storyInvoice(l *lab) error { return l.make(storyPreimage, "story") }

func storyPay(l *lab) error {
	if l.state(storyPreimage) == Open && len(l.n.htlcs) == 0 {
		l.n.pay(storyPreimage, 20_000_000, 50_000_000, 60)
		l.n.pay(storyPreimage, 30_000_000, 50_000_000, 60)
		l.replay()
	}
	l.h.tick()
	if s := l.state(storyPreimage); s != Accepted {
		return fmt.Errorf("paid, but %s", s)
	}
	return nil
}

func storySettle(l *lab) error {
	c := l.h.find(storyPreimage.Hash())
	if c == nil {
		return errBroken
	}
	err := l.h.settle(context.Background(), c, nil)
	return err
}

func storyCancel(l *lab) error {
	c := l.h.find(storyPreimage.Hash())
	if c == nil {
		return errBroken
	}
	err := l.h.cancel(c, "x")
	return err
}

func storyProof(l *lab) error {
	l.h.tick()
	if l.node.(*faultyNode).f.dead {
		return errBroken
	}
	l.h.confirmOnce(context.Background())
	l.n.finish()
	l.h.confirmOnce(context.Background())
	if s := l.state(storyPreimage); !s.Final() {
		return fmt.Errorf("still %s", s)
	}
	return nil
}

// storyTimeout pays a part alone and lets its minute pass.
func storyTimeout(l *lab) error {
	c := l.h.find(storyPreimage.Hash())
	if len(l.n.htlcs) == 0 {
		l.n.pay(storyPreimage, 20_000_000, 50_000_000, 60)
		l.replay()
	}
	c.mu.Lock()
	l.h.since, c.partsAt = l.h.since-time.Hour, c.partsAt-time.Hour
	c.mu.Unlock()
	l.h.tick()
	if got := l.n.htlcs[0].Result; got == "" {
		return errors.New("part is still held")
	}
	return nil
}

var stories = []story{
	{"incomplete", []func(*lab) error{storyInvoice, storyTimeout, storyCancel, storyProof}, Canceled, "0017"},
	{"settled", []func(*lab) error{storyInvoice, storyPay, storySettle, storyProof}, Settled, "resolve"},
	{"canceled", []func(*lab) error{storyInvoice, storyPay, storyCancel, storyProof}, Canceled, "400f"},
	{"canceled unpaid", []func(*lab) error{storyInvoice, storyCancel, storyProof}, Canceled, ""},
}

// Every disk write, node command and answer of a trade fails once, in four ways: not done or
// done all the same, and with the process going on or dying there. Then the caller does what
// callers do, it asks again; after a death the node replays what it holds. The trade must
// end as it was meant to, and nothing may leave the process before its reason is on disk.
func TestEveryStepMayFail(t *testing.T) {
	for _, st := range stories {
		for _, how := range []fault{{}, {done: true}, {crash: true}, {done: true, crash: true}} {
			for at := 1; ; at++ {
				f := how
				f.at = at
				name := fmt.Sprintf("%s, step %d, done %v, crash %v", st.name, at, f.done, f.crash)
				reached := false
				t.Run(name, func(t *testing.T) { reached = runStory(t, st, &f) })
				if !reached {
					if at < 8 {
						t.Fatalf("only %d steps in %s", at, st.name)
					}
					break
				}
			}
		}
	}
}

// runStory says whether the fault was reached at all.
func runStory(t *testing.T, st story, f *fault) bool {
	l := newLab(t)
	l.wrap = func(v Vault) Vault { return &faultyVault{v, f} }
	l.out, l.node = &faultyOutlet{l, f}, &faultyNode{l.n, f}
	boot := func() {
		f.dead = false
		l.start(false)
		l.h.chain.caughtUp(1000)
	}
	boot()
	defer func() { l.end() }()
	for i, step := range st.steps {
		var err error
		for range 4 {
			if err = step(l); err == nil && !f.dead {
				break
			}
			if f.dead {
				l.end()
				boot()
				l.h.begun = l.h.begun.Add(2e9) // the clock went on
				l.h.dropHalfMade(context.Background())
				l.replay()
			}
		}
		if err != nil {
			t.Fatalf("step %d does not succeed: %v", i, err)
		}
	}
	if got := l.state(storyPreimage); got != st.end {
		t.Errorf("ended %s, want %s", got, st.end)
	}
	for _, h := range l.n.htlcs {
		if h.Result[:min(len(st.parts), len(h.Result))] != st.parts {
			t.Errorf("part %d: %q, want %q", h.ID, h.Result, st.parts)
		}
	}
	if len(l.n.rows) > 0 {
		t.Errorf("node kept a row that it would settle by itself: %v", l.n.rows)
	}
	return f.step >= f.at
}
