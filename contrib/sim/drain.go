package sim

import (
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// rounds is how many times everybody gets his turn after the storm. The longest limit that an order can have is its life
// on the book, then the waiting times, then the blocks of its escrow, then the payment that hangs at a payee.
const rounds = 400

// drain ends the storm: nothing fails any more, the chain runs on, buyers give good invoices. Everything must come to an
// end by itself.
func (w *world) drain() {
	w.say("the storm is over after %d trades", w.trades)
	w.calm = true
	w.recover()
	if w.plugin.guardHolds() && !w.node.dying {
		w.node.fall("node: restarted, so that the holder takes over from its guard")
	}
	for round := range rounds {
		w.steps++
		w.turn(round)
		if w.wrongs != nil || w.drained() {
			return
		}
		w.passes([]int64{20, 61, 700, 4000, 20_000}[min(round/3, 4)])
	}
	w.sayWhatIsLeft()
}

// turn lets everybody do what he can.
func (w *world) turn(round int) {
	for range 3 {
		w.world()
	}
	for w.relays.deliver() {
	}
	w.house.stepper.Hurry()
	w.house.carryAll()
	w.house.look()
	for len(w.late) > 0 {
		w.house.tellLate()
	}
	w.house.tick()
	if round%5 == 4 {
		w.house.reconcile()
	}
	w.patience()
	w.house.carryAll()
}

// patience brings on what waits for people.
func (w *world) patience() {
	_, open := w.live()
	for i := range open {
		o := &open[i]
		switch o.Status {
		case orders.Active, orders.FiatSent:
			w.afterAnOperator(o)
		case orders.InDispute, orders.Frozen:
			w.decide(o)
		case orders.SettledHoldInvoice:
			if k := w.keys[o.Party(orders.Buyer).Trade]; k != nil && !o.Payout.InFlight && (o.Payout.NextAt == 0 || o.Payout.Attempts > 2) {
				w.write(k, o.ID, nostrio.ActAddInvoice, nostrio.PaymentRequest{Invoice: w.node.newBill(k.who, o.PaidOut().Msats()).text})
			}
		}
	}
	for w.relays.deliver() {
	}
}

// afterAnOperator: whose hold was settled by hand can only agree.
func (w *world) afterAnOperator(o *orders.Order) {
	if !w.factOf(o.ID).rogue {
		return
	}
	for _, p := range []*orders.Party{&o.Maker, &o.Taker} {
		if k := w.keys[p.Trade]; k != nil && (o.CancelBy == "" || o.CancelBy != o.SideOf(p == &o.Maker)) {
			w.write(k, o.ID, nostrio.ActCancel, nil)
		}
	}
}

// drained says that nothing is left to be done.
func (w *world) drained() bool {
	if w.house.dead() {
		return false
	}
	open, _ := w.live()
	n, err := w.house.engine.Count()
	w.must("count", err)
	held := 0
	for _, h := range w.node.htlcs {
		if h.ch.state == normal {
			held++
		}
	}
	return open == 0 && n.Owed == 0 && n.Holds == 0 && held == 0 && len(w.node.arriving) == 0 && len(w.relays.queue) == 0
}

func (w *world) sayWhatIsLeft() {
	open, list := w.live()
	for _, o := range list {
		w.say("left: %s", asText(o))
	}
	if !w.house.up {
		w.wrong("ends", "the exchange does not come up")
		return
	}
	for _, r := range w.house.stepper.Owed() {
		w.say("owed: %d %s", r.Number, asText(r))
	}
	n, err := w.house.engine.Count()
	w.must("count", err)
	switch {
	case open > 0:
		w.wrong("ends", "%d orders have not ended, such as %s, %s", open, list[0].ID, list[0].Status)
	case n.Owed > 0:
		w.wrong("outbox-drains", "%d rows are owed", n.Owed)
	default:
		for _, h := range w.node.htlcs {
			w.say("left at the node: %+v of %s", *h, h.ch.state)
		}
		w.wrong("hold-ends", "%d holds are live in the store, %d HTLCs at the node, %d messages on their way", n.Holds, len(w.node.htlcs), len(w.relays.queue))
	}
}
