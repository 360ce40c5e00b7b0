package orders

import (
	"context"
	"fmt"
)

// Affair is a hold invoice that still matters, with its order, and whether the outbox has what comes next. A hold or a
// payout that waits for a row which is not there would wait for ever.
type Affair struct {
	Hold       Hold
	Order      Order
	HoldOwed   bool // the row that creates, settles or cancels the hold, as its state wants it
	PayoutOwed bool // a row that pays the buyer or asks for his invoice
}

// Astray reports whether the order has moved on from the hold: nobody waits for it.
func (a *Affair) Astray() bool { return a.Order.Hold != a.Hold.Hash || a.Order.Status.Final() }

// Affairs returns the hold invoices that have not ended and those of the orders that have not, all as of one moment.
func (e *Engine) Affairs() (all []Affair, err error) {
	err = e.read(func(t *tx) {
		owing := t.owing()
		add := func(h *Hold) {
			if o, ok := t.order(h.Order); ok {
				all = append(all, owing.affair(h, o))
			}
		}
		t.each(liveBucket, nil, func(k, _ []byte) bool {
			if h, ok := t.hold(Hash(k)); ok {
				add(h)
			}
			return true
		})
		t.each(openBucket, nil, func(k, _ []byte) bool {
			if o, ok := t.order(OrderID(k)); ok && !o.Hold.IsZero() {
				if h, ok := t.hold(o.Hold); ok && h.State.Ended() {
					add(h)
				}
			}
			return true
		})
	})
	return all, err
}

// Affair returns one hold invoice in the same way, whether it has ended or not.
func (e *Engine) Affair(hash Hash) (a Affair, ok bool, err error) {
	err = e.read(func(t *tx) {
		h, known := t.hold(hash)
		if !known {
			return
		}
		var o *Order
		if o, ok = t.order(h.Order); ok {
			a = t.owing().affair(h, o)
		}
	})
	return a, ok, err
}

// owing is what the outbox owes to the node.
type owing struct {
	holds   map[Hash]map[HoldState]bool // the state in which a hold waits for the row
	payouts map[OrderID]bool
}

func (t *tx) owing() owing {
	w := owing{map[Hash]map[HoldState]bool{}, map[OrderID]bool{}}
	hold := func(h Hash, s HoldState) {
		if w.holds[h] == nil {
			w.holds[h] = map[HoldState]bool{}
		}
		w.holds[h][s] = true
	}
	for _, r := range t.rows() {
		switch e := r.Effect.(type) {
		case *CreateHold:
			hold(e.Hash, HoldCreating)
		case *SettleHold:
			hold(e.Hash, HoldSettling)
		case *CancelHold:
			hold(e.Hash, HoldCanceling)
		case *Pay, *ResolvePayout:
			w.payouts[r.Order] = true
		}
	}
	return w
}

func (w owing) affair(h *Hold, o *Order) Affair {
	return Affair{Hold: *h, Order: *o, HoldOwed: w.holds[h.Hash][h.State], PayoutOwed: w.payouts[o.ID]}
}

// onReowe is the input of Reowe in the log; no order's history has it.
const onReowe On = "reowe"

type reowing struct{}

func (reowing) On() On { return onReowe }

// Reowe puts the rows about a hold invoice and its order's payout back into the outbox that should be there and are
// not, in one transaction, and names their kinds; at is now, unix seconds. Where nothing is missing it does nothing.
//
//	hold creating, settling or canceling   its row
//	hold that the order has moved on from  it is canceled
//	payout in flight                       the same invoice, or the question for one, again
//	payout that waits for nothing          begun again
//
// The payment of an invoice that was in flight waits for patience seconds: the row that is lost may have begun a call
// that still runs. After that the node's own record decides, as it always does.
func (e *Engine) Reowe(ctx context.Context, hash Hash, at, patience int64) (added []string, err error) {
	err = e.submit(ctx, string(onReowe), func(t *tx) (after, error) {
		added = nil
		h, ok := t.hold(hash)
		if !ok {
			return after{}, fmt.Errorf("owe again: hold %s is not ours", hash)
		}
		o, ok := t.order(h.Order)
		if !ok {
			return after{}, fmt.Errorf("owe again: there is no order %s", h.Order)
		}
		s := &step{in: &Input{At: at, Act: reowing{}}, rules: e.rules.Load(), o: o, from: o.Status, hold: h}
		a := t.owing().affair(h, o)
		s.reoweHold(&a)
		s.reowePayout(&a, patience)
		for _, w := range s.effects {
			added = append(added, effectKind(w.effect))
		}
		return s.save(t), nil
	})
	return added, err
}

func (s *step) reoweHold(a *Affair) {
	h := s.hold
	if a.HoldOwed || h.State.Ended() {
		return
	}
	switch h.State {
	case HoldSettling:
		s.owe(&SettleHold{Hash: h.Hash})
	case HoldCanceling:
		s.owe(&CancelHold{Hash: h.Hash})
	default:
		if a.Astray() {
			s.abandon(h)
		} else if h.State == HoldCreating {
			s.owe(&CreateHold{Hash: h.Hash, Description: s.holdDescription(), Expiry: s.rules.WaitingSeconds})
		}
	}
}

func (s *step) reowePayout(a *Affair, patience int64) {
	if s.o.Status != SettledHoldInvoice || a.Astray() || a.PayoutOwed {
		return
	}
	switch p := &s.o.Payout; {
	case p.InFlight && p.Invoice != "": // never another one: this one may have been paid
		payInvoice(s)
		s.effects[len(s.effects)-1].notBefore = s.in.At + patience
	case p.InFlight:
		s.owe(&ResolvePayout{Destination: p.Destination, Amount: s.o.PaidOut().Msats()})
	case p.NextAt == 0 && p.Given():
		startPayout(s)
		s.moved = true
	}
}
