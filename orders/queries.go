package orders

import (
	"encoding/json"
	"fmt"
)

// Order returns one order.
func (e *Engine) Order(id OrderID) (o Order, ok bool, err error) {
	err = e.read(func(t *tx) {
		var p *Order
		if p, ok = t.order(id); ok {
			o = *p
		}
	})
	return o, ok, err
}

// Open counts the orders that have not ended, by status.
func (e *Engine) Open() (n map[Status]int, err error) {
	n = make(map[Status]int)
	err = e.read(func(t *tx) {
		t.each(openBucket, nil, func(k, _ []byte) bool {
			if o, ok := t.order(OrderID(k)); ok {
				n[o.Status]++
			}
			return true
		})
	})
	return n, err
}

// Book returns the order events that relays should have now: of every order that is on the book or traded, as it was
// announced last. Whoever finds one missing at a relay sends it again.
func (e *Engine) Book(now int64) (all []Announcement, err error) {
	err = e.read(func(t *tx) {
		t.each(openBucket, nil, func(k, _ []byte) bool {
			if a := e.announced(t, OrderID(k)); a != nil && a.Expiration > now {
				all = append(all, *a)
			}
			return true
		})
	})
	return all, err
}

// Announced returns an order's event as it was announced last, whether the order has ended or not; false if it never
// was.
func (e *Engine) Announced(id OrderID) (a Announcement, ok bool, err error) {
	err = e.read(func(t *tx) {
		if p := e.announced(t, id); p != nil {
			a, ok = *p, true
		}
	})
	return a, ok, err
}

// announced makes the last announcement again, nil if there was none. It is the same event, unless the operator has
// changed the rules since or the maker was rated: then it has the same created_at and says what is true now.
func (e *Engine) announced(t *tx, id OrderID) *Announcement {
	o, ok := t.order(id)
	if !ok || o.Published == 0 {
		return nil
	}
	s := &step{in: &Input{At: o.Published}, rules: e.rules.Load(), o: o}
	if u, known := t.user(o.Maker.Identity); known && !o.Maker.Private() {
		s.facts.maker = u
	}
	return s.announcement()
}

// Query chooses orders for Orders. Zero values choose all.
type Query struct {
	Status Status
	Open   bool // only those that have not ended
	Kind   Kind
	Fiat   string // currency code
	// Party is an identity key. It finds its orders by an index.
	Party PubKey
	Trade PubKey // a trade key, of either party
	// Period is that of the order's making.
	Period
	// Before is the cursor of the last order of the page before; nil starts at the newest.
	Before []byte
	Limit  int // at least 1
}

// Orders returns orders from the newest to the oldest, and the cursor for the next page, nil at the end. A page may be
// short, or empty, before the end: of a filter that takes few, it looks at so many orders and no more.
func (e *Engine) Orders(q Query) (page []Order, next []byte, err error) {
	bucket, prefix := timelineBucket, []byte(nil)
	if !q.Party.IsZero() {
		bucket, prefix = partiesBucket, q.Party[:]
	}
	err = e.read(func(t *tx) {
		looked, more := 0, false
		t.back(bucket, prefix, q.Period, q.Before, func(k []byte) bool {
			if more = len(page) == max(q.Limit, 1) || looked == maxScan; more {
				return false
			}
			next = append(next[:0], k...)
			id := OrderID(k[len(k)-len(OrderID{}):])
			if q.Open && t.b.Bucket(openBucket).Get(id[:]) == nil {
				return true // without reading it
			}
			looked++
			if o, ok := t.order(id); ok && q.takes(o) {
				page = append(page, *o)
			}
			return true
		})
		if !more {
			next = nil
		}
	})
	return page, next, err
}

func (q *Query) takes(o *Order) bool {
	return (q.Status == "" || o.Status == q.Status) && (q.Kind == "" || o.Kind == q.Kind) &&
		(q.Fiat == "" || o.Fiat.Code == q.Fiat) &&
		(q.Trade.IsZero() || o.Maker.Trade == q.Trade || o.Taker.Trade == q.Trade)
}

// Story is all that the store knows about one order.
type Story struct {
	Order   Order
	History []Transition
	Ledger  []Entry
	Hold    *Hold
	Owed    []Row
}

// Story returns everything about one order.
func (e *Engine) Story(id OrderID) (st Story, ok bool, err error) {
	err = e.read(func(t *tx) {
		var o *Order
		if o, ok = t.order(id); !ok {
			return
		}
		st.Order = *o
		st.History = list[Transition](t, historyBucket, id[:])
		st.Ledger = list[Entry](t, ledgerBucket, id[:])
		if h, has := t.hold(o.Hold); has {
			st.Hold = h
		}
		for _, r := range t.rows() {
			if r.Order == id {
				st.Owed = append(st.Owed, *r)
			}
		}
	})
	return st, ok, err
}

func list[T any](t *tx, bucket, prefix []byte) (all []T) {
	t.each(bucket, prefix, func(k, v []byte) bool {
		var x T
		if err := json.Unmarshal(v, &x); err != nil {
			panic(fault{fmt.Errorf("read %s %x: %w", bucket, k, err)})
		}
		all = append(all, x)
		return true
	})
	return all
}

// rows returns the whole outbox in send order.
func (t *tx) rows() (rows []*Row) {
	t.each(outboxBucket, nil, func(k, v []byte) bool {
		r := &Row{Number: uint64(timeOf(k))}
		if err := json.Unmarshal(v, r); err != nil {
			panic(fault{fmt.Errorf("read outbox row %d: %w", r.Number, err)})
		}
		rows = append(rows, r)
		return true
	})
	return rows
}

// LiveHolds returns the hold invoices that have not ended. Whoever watches the node reports what becomes of them.
func (e *Engine) LiveHolds() (holds []Hold, err error) {
	err = e.read(func(t *tx) {
		t.each(liveBucket, nil, func(k, _ []byte) bool {
			if h, ok := t.hold(Hash(k)); ok {
				holds = append(holds, *h)
			}
			return true
		})
	})
	return holds, err
}

// Hold returns one hold invoice.
func (e *Engine) Hold(hash Hash) (h Hold, ok bool, err error) {
	err = e.read(func(t *tx) {
		var p *Hold
		if p, ok = t.hold(hash); ok {
			h = *p
		}
	})
	return h, ok, err
}

// Seen reports whether the input was done already.
func (e *Engine) Seen(id [32]byte) (ok bool, err error) {
	err = e.read(func(t *tx) { _, ok = t.seen(id) })
	return ok, err
}

// Count is how much the store holds.
type Count struct {
	Open   int // orders that have not ended
	Orders int // all orders
	Holds  int // hold invoices that have not ended
	Owed   int // outbox rows
}

// Count counts. It looks at no page of an order that has ended.
func (e *Engine) Count() (n Count, err error) {
	err = e.read(func(t *tx) {
		n.Open = t.b.Bucket(openBucket).Stats().KeyN
		n.Holds = t.b.Bucket(liveBucket).Stats().KeyN
		n.Owed = t.b.Bucket(outboxBucket).Stats().KeyN
		n.Orders = int(t.b.Bucket(timelineBucket).Sequence())
	})
	return n, err
}

// read runs fn in a read transaction; a damaged record is an error, not a panic.
func (e *Engine) read(fn func(*tx)) (err error) {
	return e.store.view(func(t *tx) (err error) {
		defer func() {
			if f, ok := recover().(fault); ok {
				err = f.err
			}
		}()
		fn(t)
		return nil
	})
}
