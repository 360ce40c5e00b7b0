package lightning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mostro-cln/mostro/orders"
)

// replayTime is how long an accepted hold invoice may look open: after a start of the node its parts come back one by
// one.
const replayTime = time.Minute

// maxLookups bounds how many invoices are looked up at once.
const maxLookups = 8

// Book is what the exchange believes about its hold invoices, and where it hears that something has changed.
type Book interface {
	// LiveHolds returns the hold invoices that have not ended.
	LiveHolds() ([]orders.Hold, error)
	// Report tells what became of a hold invoice. The same may be told more than once.
	Report(ctx context.Context, act orders.Act) error
}

// Watch compares the node's hold invoices with the book until ctx ends, and reports each difference:
//
//	HoldIsAccepted  the whole amount is held, with its lowest expiry
//	HoldIsCanceled  nothing is held any more; Why tells a cancel from a loss
//	HoldIsSettled   settled without us: the Rust plugin does so near an expiry
//	EscrowNearing   an accepted one comes near to its lowest expiry; once a block
//	EscrowEnding    an accepted one comes within 30 blocks of its lowest expiry
//
// It looks at every invoice when it starts, at all of them every 30 seconds (2 with the Rust plugin, which does not
// notify), and at one as soon as Poke names it. Invoices that are being settled or canceled are the dispatcher's.
func (e *Escrow) Watch(ctx context.Context, book Book) error {
	for {
		kind, _ := e.Look(ctx, book)
		timer := time.NewTimer(e.plugin.poll(kind))
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil
			case hash := <-e.pokes:
				waiting = !hash.IsZero()
				if waiting {
					e.one(ctx, book, kind, hash)
				}
			case <-timer.C:
				waiting = false
			}
		}
		timer.Stop()
	}
}

// Poke asks for a look at one invoice soon, at all of them if the hash is zero. A full queue loses it: the next round
// looks at all.
func (e *Escrow) Poke(hash orders.Hash) {
	select {
	case e.pokes <- hash:
	default:
	}
}

// Looked is closed when every live hold invoice has been looked at once.
func (e *Escrow) Looked() <-chan struct{} { return e.looked }

// pass looks at every live invoice.
func (e *Escrow) pass(ctx context.Context, book Book, kind HoldKind, height uint32) {
	live, err := book.LiveHolds()
	if err != nil {
		e.log.Error("read the live hold invoices", "err", err)
		return
	}
	e.sweep(live)
	var g errgroup.Group
	g.SetLimit(cmp.Or(e.config.Lookups, maxLookups))
	for _, h := range live {
		if h.State != orders.HoldOpen && h.State != orders.HoldAccepted {
			continue
		}
		g.Go(func() error {
			e.look(ctx, book, kind, height, h)
			return nil
		})
	}
	_ = g.Wait() // no look returns an error
}

// one looks at a single invoice, if it is live.
func (e *Escrow) one(ctx context.Context, book Book, kind HoldKind, hash orders.Hash) {
	live, err := book.LiveHolds()
	if err != nil {
		e.log.Error("read the live hold invoices", "err", err)
		return
	}
	e.mu.Lock()
	height := e.height
	e.mu.Unlock()
	for _, h := range live {
		if h.Hash == hash && (h.State == orders.HoldOpen || h.State == orders.HoldAccepted) {
			e.look(ctx, book, kind, height, h)
		}
	}
}

// look asks about one invoice and reports what differs.
func (e *Escrow) look(ctx context.Context, book Book, kind HoldKind, height uint32, h orders.Hold) {
	s, err := e.plugin.lookup(ctx, h.Hash)
	if errors.Is(err, errHoldUnknown) {
		s, err = holdStatus{State: stateCanceled, Reason: "the hold plugin does not know it"}, nil
	}
	if err != nil {
		if ctx.Err() == nil {
			e.log.Warn("look at a hold invoice", "hash", h.Hash.String(), "err", err)
		}
		return
	}
	act, err := e.judge(ctx, kind, height, h, s)
	if err != nil {
		e.log.Warn("look at a hold invoice", "hash", h.Hash.String(), "err", err)
		return
	}
	if act == nil {
		return
	}
	if err := book.Report(ctx, act); err != nil && ctx.Err() == nil {
		e.log.Error("report a hold invoice", "hash", h.Hash.String(), "input", string(act.On()), "err", err)
	}
}

// judge says what the exchange has to hear, or nil.
func (e *Escrow) judge(ctx context.Context, kind HoldKind, height uint32, h orders.Hold, s holdStatus) (orders.Act, error) {
	switch s.State {
	case stateAccepted:
		e.back(h.Hash)
		if h.State == orders.HoldAccepted {
			return e.ending(h, s, height), nil
		}
		return e.accepted(ctx, kind, height, h, s)
	case stateSettled:
		if !s.Proved {
			return nil, nil // a word of the plugin, which may come before the node's
		}
		if h.State == orders.HoldOpen {
			// The store is older than the node, or we were away: before it was settled it was accepted, and the trade
			// goes on from there. The next look tells of the rest.
			return orders.HoldIsAccepted{Hash: h.Hash, Held: max(s.Held, h.Amount), MinExpiry: s.MinExpiry}, nil
		}
		e.log.Error("a hold invoice was settled without the exchange", "hash", h.Hash.String(), "order", h.Order.String())
		return orders.HoldIsSettled{Hash: h.Hash}, nil
	case stateCanceled:
		return orders.HoldIsCanceled{Hash: h.Hash, Why: orElse(s.Reason, "canceled at the node")}, nil
	case stateLost:
		return orders.HoldIsCanceled{Hash: h.Hash, Why: "the payment went away: " + orElse(s.Reason, "unknown")}, nil
	case stateOpen:
		if h.State == orders.HoldAccepted {
			return e.lapse(ctx, h)
		}
	}
	return nil, nil
}

// accepted believes our plugin, and looks behind the Rust one: less held than invoiced is not accepted, and parts that
// end too early are given back.
func (e *Escrow) accepted(ctx context.Context, kind HoldKind, height uint32, h orders.Hold, s holdStatus) (orders.Act, error) {
	if s.Held < h.Amount { // after a start of the node the parts come back one by one
		e.log.Warn("the hold plugin says accepted, and holds less", "hash", h.Hash.String(), "held_msat", int64(s.Held), "amount_msat", int64(h.Amount))
		return nil, nil
	}
	const slack = 12 // blocks that may have come since the payment
	if s.MinExpiry <= height+forceAt || kind == HoldRust && s.MinExpiry+slack < height+e.config.HoldCLTV {
		if err := e.Cancel(ctx, h.Hash); err != nil {
			return nil, fmt.Errorf("give a payment back that ends too early: %w", err)
		}
		return orders.HoldIsCanceled{Hash: h.Hash, Why: "the payment ends too early"}, nil
	}
	return orders.HoldIsAccepted{Hash: h.Hash, Held: s.Held, MinExpiry: s.MinExpiry}, nil
}

// ending says when the chain comes too near.
func (e *Escrow) ending(h orders.Hold, s holdStatus, height uint32) orders.Act {
	expiry := s.MinExpiry
	if expiry == 0 {
		expiry = h.MinExpiry
	}
	if expiry == 0 || height == 0 {
		return nil
	}
	switch left := int64(expiry) - int64(height); {
	case left <= forceAt:
		return orders.EscrowEnding{Hash: h.Hash, Height: height}
	case left <= e.config.warnFrom() && e.warnNow(h.Hash, height):
		e.log.Warn("an escrow comes near to its end", "hash", h.Hash.String(), "order", h.Order.String(), "blocks", left)
		return orders.EscrowNearing{Hash: h.Hash, Height: height, Left: uint32(left)}
	}
	return nil
}

// warnFrom is how many blocks before the expiry people are told. A short hold is near to its end for a third of its time
// at most.
func (c EscrowConfig) warnFrom() int64 {
	return min(warnAt, forceAt+(int64(c.HoldCLTV)-forceAt)/3)
}

// lapse deals with an escrow that was accepted and is open now. For a minute it may be coming back; afterwards it is
// canceled at the node, so that nothing can be paid to it any more, and reported as lost.
func (e *Escrow) lapse(ctx context.Context, h orders.Hold) (orders.Act, error) {
	e.mu.Lock()
	since, ok := e.lapsed[h.Hash]
	if !ok {
		since = e.now()
		e.lapsed[h.Hash] = since
	}
	e.mu.Unlock()
	if e.now().Sub(since) < replayTime {
		return nil, nil
	}
	if err := e.Cancel(ctx, h.Hash); err != nil {
		return nil, fmt.Errorf("cancel what is left of a lost escrow: %w", err)
	}
	return orders.HoldIsCanceled{Hash: h.Hash, Why: "the payment went away"}, nil
}

func (e *Escrow) back(hash orders.Hash) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.lapsed, hash)
}

// warnNow reports whether this block's warning was not given yet.
func (e *Escrow) warnNow(hash orders.Hash, height uint32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	last, told := e.warned[hash]
	e.warned[hash] = height
	return !told || last != height
}

// sweep forgets what was remembered of invoices that have ended.
func (e *Escrow) sweep(live []orders.Hold) {
	alive := map[orders.Hash]bool{}
	for _, h := range live {
		alive[h.Hash] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range []map[orders.Hash]time.Time{e.gone, e.lapsed} {
		for hash := range m {
			if !alive[hash] {
				delete(m, hash)
			}
		}
	}
	for hash := range e.warned {
		if !alive[hash] {
			delete(e.warned, hash)
		}
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
