package sim

import (
	"context"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// appoint brings those who settle disputes to this world: an admin, solvers, and one who would like to be one.
func (w *world) appoint() {
	for i := range 4 {
		k := &tradeKey{
			key: w.nextKeyPair(), who: &person{number: 100 + i, private: true, gave: map[string]bool{}}, way: orders.Way(1 + i%2),
			heard: map[hearing]int{},
		}
		k.pub = k.key.PubKey()
		w.keys[k.pub] = k
		w.officials = append(w.officials, k)
	}
}

// name makes somebody a solver, on the operator's word.
func (w *world) name() {
	if w.house.dead() {
		return
	}
	who := w.officials[1+w.rng.IntN(2)]
	level := []orders.Level{orders.LevelReadWrite, orders.LevelReadWrite, orders.LevelRead}[w.rng.IntN(3)]
	w.operator(orders.OrderID{}, orders.AddSolver{Key: who.pub, Level: level, Operator: "sim"})
}

// operator does something over the node's RPC.
func (w *world) operator(id orders.OrderID, act orders.Act) {
	if w.house.dead() {
		return
	}
	if _, ok := act.(orders.AdminSettle); ok {
		w.factOf(id).judged = true
	}
	seed := w.newSeed()
	out, err := w.house.engine.Do(w.ctx, orders.Input{ID: seed.Derive("rpc"), At: w.now, Seed: seed, Order: id, Act: act})
	w.say("%s by the operator on %s: %q, %v", act.On(), short(id), out.Reason, err)
	w.fresh()
}

// officially is something that an admin, a solver or the operator does, more often than not what he may.
func (w *world) officially() {
	if w.house.dead() {
		return
	}
	switch w.rng.IntN(14) {
	case 0:
		w.name()
		return
	case 1, 2:
		w.anyOrder()
		return
	}
	o, ok := w.disputed()
	if !ok || o.Status == orders.Pending && w.rng.IntN(4) > 0 {
		return
	}
	k := w.officials[w.rng.IntN(len(w.officials))]
	if d := o.Dispute; d != nil && w.keys[d.Solver] != nil && w.rng.IntN(3) > 0 {
		k = w.keys[d.Solver]
	}
	switch n := w.rng.IntN(10); {
	case n < 4 && o.Dispute != nil:
		w.write(k, orders.OrderID(o.Dispute.ID), nostrio.ActAdminTakeDispute, nil)
	case n < 6:
		w.write(k, o.ID, nostrio.ActAdminSettle, nil)
	case n < 8:
		w.write(k, o.ID, nostrio.ActAdminCancel, nil)
	case n == 8:
		w.operator(o.ID, orders.AdminSettle{Operator: "sim"})
	default:
		w.operator(o.ID, orders.AdminCancel{Operator: "sim"})
	}
}

// anyOrder has an official look at one that is not in dispute: on the book, or canceled by its parties.
func (w *world) anyOrder() {
	if len(w.orders) == 0 {
		return
	}
	id := w.orders[max(0, len(w.orders)-1-w.rng.IntN(min(len(w.orders), 9)))]
	switch w.facts[id].last {
	case orders.Pending:
		if w.rng.IntN(3) == 0 {
			w.operator(id, orders.AdminCancel{Operator: "sim"})
		}
	case orders.CoopCanceled:
		w.write(w.officials[w.rng.IntN(2)], id, []nostrio.Action{nostrio.ActAdminSettle, nostrio.ActAdminCancel}[w.rng.IntN(2)], nil)
	}
}

// disputed is an order, rather one in dispute.
func (w *world) disputed() (orders.Order, bool) {
	for i := len(w.orders) - 1; i >= max(0, len(w.orders)-20); i-- {
		if f := w.facts[w.orders[i]]; f != nil && (f.last == orders.InDispute || f.last == orders.Frozen) && w.rng.IntN(3) > 0 {
			return w.order(w.orders[i])
		}
	}
	if w.rng.IntN(4) > 0 {
		return orders.Order{}, false
	}
	return w.someOrder()
}

// decide ends what only a person can end.
func (w *world) decide(o *orders.Order) {
	state, _ := w.plugin.at(o.Hold)
	if o.Status == orders.Frozen && state != "ACCEPTED" && state != "SETTLED" || w.rng.IntN(2) == 0 {
		w.operator(o.ID, orders.AdminCancel{Operator: "sim"})
		return
	}
	if o.Dispute != nil && w.rng.IntN(2) == 0 {
		admin := w.officials[0]
		w.write(admin, orders.OrderID(o.Dispute.ID), nostrio.ActAdminTakeDispute, nil)
		w.write(admin, o.ID, nostrio.ActAdminSettle, nil)
		return
	}
	w.operator(o.ID, orders.AdminSettle{Operator: "sim"})
}

// Dispute implements orders.Courier.
func (c *courier) Dispute(_ context.Context, n orders.DisputeNote) error {
	taken, err := c.fares()
	if taken {
		old, ok := c.w.relays.cases[n.Dispute]
		if ok && (n.Stamp < old.Stamp || n.Stamp == old.Stamp && asText(n) != asText(old)) {
			c.w.wrong("stamp-rises", "dispute event\n%s\nafter\n%s", asText(n), asText(old))
		}
		c.w.relays.cases[n.Dispute] = n
	}
	return err
}
