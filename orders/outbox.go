package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Ports is the world as the dispatcher needs it. Now reads the clock, NewSeed the random source.
type Ports struct {
	Escrow   Escrow
	Payer    Payer
	Resolver Resolver
	Courier  Courier
	// Bell hears every alert, perhaps twice, after the log has it. It must not wait. Nil: nobody listens.
	Bell func(Bell)
	Now  func() time.Time
	// Elapsed is the time since any fixed moment, on a clock that is never set; nil: Now never jumps.
	Elapsed func() time.Duration
	NewSeed func() Seed
}

func (p *Ports) elapsed() time.Duration {
	if p.Elapsed != nil {
		return p.Elapsed()
	}
	return p.Now().Sub(time.Unix(0, 0))
}

// laneKey is one queue. Rows of a lane go out in the order of their numbers, one at a time.
type laneKey struct {
	order OrderID
	lane  Lane
}

// lane is a queue and what holds it up.
type lane struct {
	rows  []*Row
	busy  bool
	after time.Time // the first row is not tried before
	tries int
}

// dispatcher carries committed rows out. Its loop owns the lanes; carriers report to it by channel.
type dispatcher struct {
	e     *Engine
	p     Ports
	lanes map[laneKey]*lane
	known map[uint64]bool
	done  chan carried
	slots map[craft]chan struct{}
	wg    sync.WaitGroup
}

// craft is what a carrier does. Each has carriers of its own, so that payments that hang, or relays that are
// down, never keep a hold invoice waiting.
type craft string

const (
	holdCraft   craft = "holds"
	payoutCraft craft = "payouts"
	nostrCraft  craft = "nostr"
)

func craftOf(e Effect) craft {
	switch e.(type) {
	case *CreateHold, *SettleHold, *CancelHold, *Alert:
		return holdCraft
	case *Pay, *ResolvePayout:
		return payoutCraft
	}
	return nostrCraft
}

// carriers bounds how many rows of a craft are under way at once.
var carriers = map[craft]int{holdCraft: 64, payoutCraft: 256, nostrCraft: 128}

// carried is what became of a lane's first row.
type carried struct {
	key  laneKey
	gone bool // the row has left the outbox
	wait time.Duration
	err  error
}

// Dispatch carries out what the exchange owes until ctx ends, beginning with what an earlier run has left. Each row is
// deleted when it is done, in the same commit as the input that reports it. It returns nil after the last carrier has.
func (e *Engine) Dispatch(ctx context.Context, p Ports) error {
	d, err := e.newDispatcher(p)
	if err != nil {
		return err
	}
	defer d.wg.Wait()
	d.loop(ctx)
	return nil
}

// newDispatcher knows what an earlier run has left.
func (e *Engine) newDispatcher(p Ports) (*dispatcher, error) {
	d := &dispatcher{
		e: e, p: marked(p), lanes: make(map[laneKey]*lane), known: make(map[uint64]bool), done: make(chan carried, 64),
		slots: make(map[craft]chan struct{}),
	}
	for t, n := range carriers {
		d.slots[t] = make(chan struct{}, n)
	}
	var rows []*Row
	if err := e.read(func(t *tx) { rows = t.rows() }); err != nil && !errors.Is(err, errShut) { // reload will bring them
		return nil, err
	}
	d.add(rows)
	return d, nil
}

// Hurry makes the dispatcher try waiting rows at once: something that it waits for may have happened.
func (e *Engine) Hurry() {
	select {
	case e.hurry <- struct{}{}:
	default:
	}
}

func (d *dispatcher) loop(ctx context.Context) {
	for {
		timer := time.NewTimer(d.start(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-d.e.owing:
			d.addFresh()
		case <-d.e.hurry:
			d.hurryUp()
		case c := <-d.done:
			d.settle(c)
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (d *dispatcher) addFresh() []*Row {
	rows := slices.DeleteFunc(d.e.takeFresh(), func(r *Row) bool { return d.known[r.Number] })
	d.add(rows)
	return rows
}

func (d *dispatcher) hurryUp() {
	for _, l := range d.lanes {
		l.after = time.Time{}
	}
}

func (e *Engine) takeFresh() []*Row {
	e.mu.Lock()
	defer e.mu.Unlock()
	rows := e.fresh
	e.fresh = nil
	return rows
}

func (d *dispatcher) add(rows []*Row) {
	for _, r := range rows {
		if d.known[r.Number] {
			continue
		}
		d.known[r.Number] = true
		k := laneKey{r.Order, r.Effect.Lane()}
		l := d.lanes[k]
		if l == nil {
			l = &lane{}
			d.lanes[k] = l
		}
		l.rows = append(l.rows, r)
		if craftOf(r.Effect) != nostrCraft {
			l.after = time.Time{} // a cancel need not wait for the retry of a create
		}
	}
}

// start sends carriers off for every lane that is ready, and returns how long until another one will be.
func (d *dispatcher) start(ctx context.Context) time.Duration {
	next := time.Hour
	now := d.p.Now()
	for k, l := range d.lanes {
		if l.busy {
			continue
		}
		if wait := l.wait(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		slots := d.slots[craftOf(l.rows[0].Effect)]
		select {
		case slots <- struct{}{}:
		default:
			continue // a carrier that ends wakes the loop
		}
		l.busy = true
		row, more, tries := l.rows[0], len(l.rows) > 1, l.tries
		d.wg.Go(func() {
			defer func() { <-slots }()
			d.carry(ctx, k, row, more, tries)
		})
	}
	return next
}

// wait is how long the lane's first row must not go out yet.
func (l *lane) wait(now time.Time) time.Duration {
	return max(l.after.Sub(now), time.Unix(l.rows[0].NotBefore, 0).Sub(now))
}

func (d *dispatcher) settle(c carried) {
	l := d.lanes[c.key]
	l.busy = false
	if !c.gone {
		l.tries++
		l.after = d.p.Now().Add(c.wait)
		return
	}
	delete(d.known, l.rows[0].Number)
	l.rows = l.rows[1:]
	l.tries, l.after = 0, time.Time{}
	if len(l.rows) == 0 {
		delete(d.lanes, c.key)
	}
}

func (d *dispatcher) carry(ctx context.Context, k laneKey, r *Row, more bool, tries int) {
	select {
	case d.done <- d.try(ctx, k, r, more, tries):
	case <-ctx.Done():
	}
}

// try does one row once.
func (d *dispatcher) try(ctx context.Context, k laneKey, r *Row, more bool, tries int) carried {
	gone, wait, err := d.guarded(ctx, r, more)
	if err != nil && ctx.Err() == nil {
		wait = max(wait, backoff(tries))
		level := slog.LevelWarn
		if Unwritten(err) { // one word on that is enough, and not ours
			level = slog.LevelDebug
		}
		d.e.log.Log(ctx, level, "owed, will try again", "order", r.Order.String(), "effect", effectKind(r.Effect), "in", wait.String(), "tries", tries+1, "err", err)
	}
	return carried{k, gone, wait, err}
}

// guarded turns a panic into an error of this row: it stays, and the others go on.
func (d *dispatcher) guarded(ctx context.Context, r *Row, more bool) (gone bool, wait time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			gone, err = false, fmt.Errorf("bug: %v\n%s", p, debug.Stack())
		}
	}()
	return d.carryOut(ctx, r, more)
}

// backoff grows from half a second to a minute.
func backoff(tries int) time.Duration {
	return min(500*time.Millisecond<<min(tries, 10), time.Minute)
}
