package sim

import (
	"github.com/mostro-cln/mostro/orders"
)

// audit holds everything against everything when the world has come to rest.
func (w *world) audit() {
	w.house.die()
	w.bury()
	w.house.start() // what the store says is read from the disk
	if w.house.dead() {
		return
	}
	if err := w.house.store.Check(); err != nil {
		w.wrong("store-check", "%v", err)
	}
	var in, out, kept orders.Msats
	for _, id := range w.orders {
		st, ok, err := w.house.engine.Story(id)
		if err != nil || !ok {
			w.wrong("orders-stay", "story of %s: %v", id, err)
			return
		}
		sums := map[orders.EntryKind]orders.Msats{}
		for _, e := range st.Ledger {
			sums[e.What] += e.Msats
		}
		// What a hand settled before the exchange knew of its payment is booked as what was asked for. Payers may send more.
		if over := w.incomeOf(id) - sums[orders.Settled]; w.factOf(id).rogue && over > 0 && sums[orders.Settled] > 0 {
			end := orders.Kept
			if sums[orders.Owed] > 0 {
				end = orders.Owed
			}
			for _, k := range []orders.EntryKind{orders.Settled, orders.Locked, end} {
				sums[k] += over
			}
		}
		in, out = in+sums[orders.Settled], out+sums[orders.Paid]+sums[orders.Routed]
		kept += sums[orders.Kept] + sums[orders.Owed] - sums[orders.Routed]
		w.auditOrder(&st, sums)
		w.auditTold(&st.Order)
		w.auditBook(&st.Order)
	}
	if in != w.node.received || out != w.node.sent || in-out != kept {
		w.wrong("conserved", "the node received %d and sent %d msat; the ledger has %d in, %d out, %d kept", int64(w.node.received), int64(w.node.sent), int64(in), int64(out), int64(kept))
	}
	w.auditHolds()
}

// auditOrder holds an order's ledger against what the node did for it.
func (w *world) auditOrder(st *orders.Story, sums map[orders.EntryKind]orders.Msats) {
	o, f := &st.Order, w.factOf(st.Order.ID)
	ours, paid := w.incomeOf(o.ID), orders.Msats(0)
	arrived := 0
	for _, b := range f.bills {
		if b.paid > 0 {
			arrived += b.paid
			paid += b.last
		}
	}
	no := func(what string, book, node orders.Msats) {
		if book != node {
			w.wrong("books-match-node", "order %s, %s: %s %d msat in the ledger, %d at the node", o.ID, o.Status, what, int64(book), int64(node))
		}
	}
	no("settled,", sums[orders.Settled], ours)
	no("paid,", sums[orders.Paid], paid)
	no("locked, against settled and refunded,", sums[orders.Locked], sums[orders.Settled]+sums[orders.Refunded])
	no("settled, against paid, kept and owed,", sums[orders.Settled], sums[orders.Paid]+sums[orders.Kept]+sums[orders.Owed])
	if arrived > 1 || (arrived == 1) != (o.Status == orders.Success) {
		w.wrong("paid-once", "order %s, %s: %d payments arrived", o.ID, o.Status, arrived)
	}
}

// incomeOf is what came in for the holds of an order.
func (w *world) incomeOf(id orders.OrderID) (sum orders.Msats) {
	for _, h := range w.node.madeList {
		if h.order == id {
			sum += w.node.income(h.hash)
		}
	}
	return sum
}

// income is what came in for a hash.
func (n *node) income(hash orders.Hash) (sum orders.Msats) {
	for _, list := range [][]move{n.moves, n.onChain} {
		for _, m := range list {
			if m.hash == hash {
				sum += m.amount
			}
		}
	}
	return sum
}

// auditTold: who took part in an order that has ended has heard of its end.
func (w *world) auditTold(o *orders.Order) {
	heard := func(p *orders.Party, actions ...orders.Action) {
		k := w.keys[p.Trade]
		if k == nil {
			w.wrong("letters-to-people", "order %s has a party that nobody is", o.ID)
			return
		}
		for _, a := range actions {
			if k.heard[hearing{o.ID, a}] > 0 {
				return
			}
		}
		w.wrong("letters-are-told", "order %s is %s, and %s has not heard any of %v", o.ID, o.Status, k.name(), actions)
	}
	heard(&o.Maker, orders.SayNewOrder, orders.SayTradeKey) // the latter where he has moved to another key
	switch o.Status {
	case orders.Success:
		heard(o.Party(orders.Buyer), orders.SayPurchaseCompleted)
		heard(o.Party(orders.Buyer), orders.SayReleased, orders.SayAdminSettled)
		heard(o.Party(orders.Seller), orders.SayHoldSettled, orders.SayAdminSettled)
	case orders.CanceledByAdmin:
		heard(&o.Maker, orders.SayCanceled, orders.SayAdminCanceled)
		if o.Taker.Here() {
			heard(&o.Taker, orders.SayAdminCanceled)
		}
	case orders.Canceled, orders.CoopCanceled, orders.Expired:
		heard(&o.Maker, orders.SayCanceled, orders.SayCoopAccepted)
		if o.Taker.Here() {
			heard(&o.Taker, orders.SayCanceled, orders.SayCoopAccepted)
		}
	}
}

// auditBook: relays show what the store says.
func (w *world) auditBook(o *orders.Order) {
	want, ok, err := w.house.engine.Announced(o.ID)
	w.must("read an announcement", err)
	got := w.relays.book[o.ID]
	// A rating that the maker got since shows in what would be announced now.
	want.Standing, got.Standing = nil, nil
	if ok && want.Expiration > w.now && asText(want) != asText(got) {
		w.wrong("book-is-true", "order %s: relays have\n%s\nwant\n%s", o.ID, asText(got), asText(want))
	}
}

// auditHolds: every hold that the node ever made has an owner, and nothing of it is left.
func (w *world) auditHolds() {
	for _, h := range w.node.madeList {
		s, ok, err := w.house.engine.Hold(h.hash)
		w.must("read a hold", err)
		if !ok || s.Order != h.order {
			w.wrong("hold-has-owner", "hold %s of order %s is not in the store", h.hash, h.order)
			continue
		}
		switch state, _ := w.plugin.at(h.hash); state {
		case "", "SETTLED", "CANCELED", "LOST": // or never handed out
		default:
			w.wrong("hold-ends", "hold %s is %s at the holder, %s in the store", h.hash, state, s.State)
		}
		if !s.State.Ended() {
			w.wrong("hold-ends", "hold %s is %s in the store", h.hash, s.State)
		}
	}
}
