package orders

import (
	"context"
	"sync"
	"time"
)

// Ports is the world as the dispatcher needs it. Now reads the clock, NewSeed the random source.
type Ports struct {
	Escrow   Escrow
	Payer    Payer
	Resolver Resolver
	Courier  Courier
	Now      func() time.Time
	NewSeed  func() Seed
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
	slots chan struct{}
	wg    sync.WaitGroup
}

// carried is what became of a lane's first row.
type carried struct {
	key  laneKey
	gone bool // the row has left the outbox
	wait time.Duration
}

// maxCarriers bounds how many rows are under way at once. A payment may take minutes, so there are many.
const maxCarriers = 256

// Dispatch carries out what the exchange owes until ctx ends, beginning with what an earlier run has left. Each row is
// deleted when it is done, in the same commit as the input that reports it. It returns nil after the last carrier has.
func (e *Engine) Dispatch(ctx context.Context, p Ports) error {
	d := &dispatcher{
		e: e, p: p, lanes: make(map[laneKey]*lane), known: make(map[uint64]bool), done: make(chan carried, maxCarriers),
		slots: make(chan struct{}, maxCarriers),
	}
	defer d.wg.Wait()
	var rows []*Row
	if err := e.read(func(t *tx) { rows = t.rows() }); err != nil {
		return err
	}
	d.add(rows)
	d.loop(ctx)
	return nil
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
			d.add(d.e.takeFresh())
		case <-d.e.hurry:
			for _, l := range d.lanes {
				l.after = time.Time{}
			}
		case c := <-d.done:
			d.settle(c)
		case <-timer.C:
		}
		timer.Stop()
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
		if k.lane != MessageLane && k.lane != BookLane && k.lane != RatingLane {
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
		wait := max(l.after.Sub(now), time.Unix(l.rows[0].NotBefore, 0).Sub(now))
		if wait > 0 {
			next = min(next, wait)
			continue
		}
		select {
		case d.slots <- struct{}{}:
		default:
			return next // a carrier that ends wakes the loop
		}
		l.busy = true
		d.wg.Add(1)
		go d.carry(ctx, k, l.rows[0], len(l.rows) > 1, l.tries)
	}
	return next
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
	defer d.wg.Done()
	defer func() { <-d.slots }()
	gone, wait, err := d.carryOut(ctx, r, more)
	if err != nil && ctx.Err() == nil {
		wait = max(wait, backoff(tries))
		d.e.log.Warn("owed, will try again", "order", r.Order.String(), "effect", effectKind(r.Effect), "in", wait.String(), "tries", tries+1, "err", err)
	}
	select {
	case d.done <- carried{k, gone, wait}:
	case <-ctx.Done():
	}
}

// backoff grows from half a second to a minute.
func backoff(tries int) time.Duration {
	return min(500*time.Millisecond<<min(tries, 10), time.Minute)
}
