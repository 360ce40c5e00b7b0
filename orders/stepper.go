package orders

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Stepper carries rows out one by one, in the caller's goroutine and at the caller's time: the dispatcher for a driver
// that moves the clock itself. What it does with a row, and when it tries one again, is what Dispatch does. An engine
// has a Stepper or a Dispatch, never both.
type Stepper struct{ d *dispatcher }

// NewStepper begins with what an earlier run has left in the outbox.
func (e *Engine) NewStepper(p Ports) (*Stepper, error) {
	d, err := e.newDispatcher(p)
	if err != nil {
		return nil, err
	}
	return &Stepper{d}, nil
}

// Fresh takes over what was committed since the last call and returns it, in the order of the commits.
func (s *Stepper) Fresh() []*Row {
	select {
	case <-s.d.e.owing:
	default:
	}
	return s.d.addFresh()
}

// Ready returns the numbers of the rows that may go out now, the lowest first: of each lane the first, unless it waits.
func (s *Stepper) Ready() (numbers []uint64) {
	s.Fresh()
	now := s.d.p.Now()
	for _, l := range s.d.lanes {
		if l.wait(now) <= 0 {
			numbers = append(numbers, l.rows[0].Number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// Carry carries one row out that Ready has named. gone: it has left the outbox. Else it is tried again later, if there
// is an error because of that. A number that Ready would not name does nothing.
func (s *Stepper) Carry(ctx context.Context, number uint64) (gone bool, err error) {
	for k, l := range s.d.lanes {
		if l.rows[0].Number == number && l.wait(s.d.p.Now()) <= 0 {
			c := s.d.try(ctx, k, l.rows[0], len(l.rows) > 1, l.tries)
			s.d.settle(c)
			return c.gone, c.err
		}
	}
	return false, nil
}

// Hurry makes every row Ready that waits for its next try.
func (s *Stepper) Hurry() { s.d.hurryUp() }

// Owed returns the rows that Stepper knows of, in the order of their numbers. They belong to the Stepper.
func (s *Stepper) Owed() (rows []*Row) {
	s.Fresh()
	for _, l := range s.d.lanes {
		rows = append(rows, l.rows...)
	}
	slices.SortFunc(rows, func(a, b *Row) int { return cmp.Compare(a.Number, b.Number) })
	return rows
}

// Next is when a row will be Ready that is not yet; false without one.
func (s *Stepper) Next() (at time.Time, ok bool) {
	s.Fresh()
	now := s.d.p.Now()
	for _, l := range s.d.lanes {
		if w := l.wait(now); w > 0 && (!ok || now.Add(w).Before(at)) {
			at, ok = now.Add(w), true
		}
	}
	return at, ok
}
