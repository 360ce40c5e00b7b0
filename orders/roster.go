package orders

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrTooManySolvers is returned by AddSolver when there are MaxSolvers.
var ErrTooManySolvers = errors.New("there are as many solvers as there can be")

// AddSolver adds a solver, or changes the level of one, at a time in unix seconds.
func (e *Engine) AddSolver(ctx context.Context, key PubKey, level Level, by Actor, at int64) error {
	if key.IsZero() || level != LevelRead && level != LevelReadWrite {
		return fmt.Errorf("add solver %s: level %q: want %s or %s", key, level, LevelRead, LevelReadWrite)
	}
	return e.submit(ctx, "roster", func(t *tx) (after, error) {
		old, known := t.solver(key)
		if !known && len(t.solvers()) >= MaxSolvers {
			return after{}, ErrTooManySolvers
		}
		v := &Solver{Key: key, Level: level, AddedAt: at, AddedBy: by}
		if known {
			v.Way = old.Way
		}
		t.putSolver(v)
		t.addRecord(Record{At: at, By: by, What: string(OnAddSolver), Subject: key, Detail: string(level)})
		return after{solvers: t.solvers()}, nil
	})
}

// RemoveSolver takes a solver's rights away, and reports whether he was one. A dispute that he has taken stays his in
// name: anybody else who settles disputes can take it over.
func (e *Engine) RemoveSolver(ctx context.Context, key PubKey, by Actor, at int64) (was bool, err error) {
	err = e.submit(ctx, "roster", func(t *tx) (after, error) {
		if _, was = t.solver(key); !was {
			return after{}, nil
		}
		t.drop(solversBucket, key[:])
		t.addRecord(Record{At: at, By: by, What: "remove-solver", Subject: key})
		return after{solvers: append([]Solver{}, t.solvers()...)}, nil
	})
	return was, err
}

// Solvers returns all solvers, by key.
func (e *Engine) Solvers() (all []Solver, err error) {
	err = e.read(func(t *tx) { all = t.solvers() })
	return all, err
}

func (t *tx) solver(key PubKey) (*Solver, bool) {
	v := &Solver{}
	if !t.get(solversBucket, key[:], v) {
		return nil, false
	}
	return v, true
}

func (t *tx) putSolver(v *Solver) { t.put(solversBucket, v.Key[:], v) }
func (t *tx) solvers() []Solver   { return list[Solver](t, solversBucket, nil) }

// Ban shuts somebody out: no new orders and takes. Trades under way go on.
type Ban struct {
	Key    PubKey `json:"key"` // identity, or the trade key of somebody in full-privacy mode
	Reason string `json:"reason,omitempty"`
	At     int64  `json:"at"` // unix seconds
	Until  int64  `json:"until,omitempty"`
	By     Actor  `json:"by"`
}

// Holds reports whether the ban is in force at a time, unix seconds.
func (b *Ban) Holds(at int64) bool { return b.Until == 0 || at < b.Until }

// Ban shuts a key out until a time, unix seconds, 0 for ever. A second ban replaces the first.
func (e *Engine) Ban(ctx context.Context, b Ban) error {
	if b.Key.IsZero() {
		return errors.New("ban: no key given")
	}
	return e.submit(ctx, "roster", func(t *tx) (after, error) {
		t.put(bansBucket, b.Key[:], b)
		t.addRecord(Record{At: b.At, By: b.By, What: "ban-user", Subject: b.Key, Detail: b.Reason})
		return after{}, nil
	})
}

// Unban ends a ban, and reports whether there was one.
func (e *Engine) Unban(ctx context.Context, key PubKey, by Actor, at int64) (was bool, err error) {
	err = e.submit(ctx, "roster", func(t *tx) (after, error) {
		if was = t.get(bansBucket, key[:], &Ban{}); was {
			t.drop(bansBucket, key[:])
			t.addRecord(Record{At: at, By: by, What: "unban-user", Subject: key})
		}
		return after{}, nil
	})
	return was, err
}

// banned reports whether the sender is shut out, under his identity or the trade key itself.
func (t *tx) banned(f Sender, at int64) bool {
	for _, k := range []PubKey{f.Identity, f.Trade} {
		var b Ban
		if t.get(bansBucket, k[:], &b) && b.Holds(at) {
			return true
		}
	}
	return false
}

// UserRow is a user as an operator sees him. One who is banned and has never traded has nothing but a key and the ban.
type UserRow struct {
	User User
	Ban  *Ban
}

// UserQuery chooses users for Users.
type UserQuery struct {
	Banned bool   // only those with a ban, also one that is over
	After  PubKey // key of the last user of the page before; zero starts at the first
	Limit  int    // at least 1
}

// Users returns users by key, and the key for the next page, zero at the end.
func (e *Engine) Users(q UserQuery) (page []UserRow, next PubKey, err error) {
	bucket := usersBucket
	if q.Banned {
		bucket = bansBucket
	}
	err = e.read(func(t *tx) {
		c := t.b.Bucket(bucket).Cursor()
		k, _ := c.Seek(q.After[:])
		if bytes.Equal(k, q.After[:]) {
			k, _ = c.Next()
		}
		for ; k != nil && len(page) < max(q.Limit, 1); k, _ = c.Next() {
			page = append(page, t.userRow(PubKey(k)))
		}
		if k != nil {
			next = page[len(page)-1].User.Identity
		}
	})
	return page, next, err
}

// UserRow returns one user; false: never heard of.
func (e *Engine) UserRow(key PubKey) (r UserRow, ok bool, err error) {
	err = e.read(func(t *tx) {
		r = t.userRow(key)
		_, known := t.user(key)
		ok = known || r.Ban != nil
	})
	return r, ok, err
}

func (t *tx) userRow(key PubKey) UserRow {
	r := UserRow{User: User{Identity: key}}
	if u, ok := t.user(key); ok {
		r.User = *u
	}
	if b := (Ban{}); t.get(bansBucket, key[:], &b) {
		r.Ban = &b
	}
	return r
}

// Case is a dispute with its order and the hold invoice that it is about.
type Case struct {
	Dispute Dispute
	Order   Order
	Hold    *Hold // nil: there is none
}

// DisputeQuery chooses disputes for Disputes.
type DisputeQuery struct {
	State  DisputeState // empty: all
	Open   bool         // only those that have not ended
	Solver PubKey       // only those that he has taken; zero: all
	Before []byte       // cursor of the last dispute of the page before; nil starts at the newest
	Limit  int          // at least 1
}

func (q *DisputeQuery) takes(d *Dispute) bool {
	return (q.State == "" || q.State == d.State) && !(q.Open && d.State.Ended()) && (q.Solver.IsZero() || q.Solver == d.Solver)
}

// Disputes returns disputes from the newest to the oldest, and the cursor for the next page, nil at the end.
func (e *Engine) Disputes(q DisputeQuery) (page []Case, next []byte, err error) {
	err = e.read(func(t *tx) {
		c := t.b.Bucket(casesBucket).Cursor()
		k, _ := c.Last()
		if q.Before != nil {
			if k, _ = c.Seek(q.Before); k == nil {
				k, _ = c.Last()
			} else {
				k, _ = c.Prev()
			}
		}
		for ; k != nil && len(page) < max(q.Limit, 1); k, _ = c.Prev() {
			next = append(next[:0], k...)
			if id, ok := t.disputed(DisputeID(k[8:])); ok {
				if o, ok := t.order(id); ok && q.takes(o.Dispute) {
					page = append(page, t.caseOf(o))
				}
			}
		}
		if k == nil {
			next = nil
		}
	})
	return page, next, err
}

// Dispute returns one dispute.
func (e *Engine) Dispute(id DisputeID) (c Case, ok bool, err error) {
	err = e.read(func(t *tx) {
		if of, known := t.disputed(id); known {
			var o *Order
			if o, ok = t.order(of); ok {
				c = t.caseOf(o)
			}
		}
	})
	return c, ok, err
}

func (t *tx) caseOf(o *Order) Case {
	c := Case{Dispute: *o.Dispute, Order: *o}
	if h, ok := t.hold(o.Hold); ok {
		c.Hold = h
	}
	return c
}

// disputed returns the order of a dispute.
func (t *tx) disputed(id DisputeID) (OrderID, bool) {
	v := t.b.Bucket(disputesBucket).Get(id[:])
	if len(v) != len(OrderID{}) {
		return OrderID{}, false
	}
	return OrderID(v), true
}

// DisputeNotes returns the events that relays should have now of the disputes that have not ended, as they were
// published last.
func (e *Engine) DisputeNotes() (all []DisputeNote, err error) {
	err = e.read(func(t *tx) {
		t.each(openBucket, nil, func(k, v []byte) bool {
			var o struct{ Dispute *Dispute }
			raw := t.b.Bucket(ordersBucket).Get(k)
			if !bytes.Contains(raw, []byte(`"dispute":{`)) {
				return true // most have none, and need not be read
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				panic(fault{fmt.Errorf("read order %x: %w", k, err)})
			}
			if d := o.Dispute; d != nil && !d.State.Ended() {
				all = append(all, *d.note(e.rules.Load()))
			}
			return true
		})
	})
	return all, err
}

// DisputeNote returns a dispute's event as it was published last, whether it has ended or not.
func (e *Engine) DisputeNote(id DisputeID) (n DisputeNote, ok bool, err error) {
	c, ok, err := e.Dispute(id)
	if ok {
		n = *c.Dispute.note(e.rules.Load())
	}
	return n, ok, err
}
