package sim

import (
	"encoding/json"

	"github.com/mostro-cln/mostro/contrib/holdinvoice/hold"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// fact is what the world knows of an order by itself, whatever the exchange believes.
type fact struct {
	last          orders.Status
	taken         bool // somebody has taken it at some time
	rogue         bool // the operator laid hands on its hold
	judged        bool // somebody who may decide disputes has asked for the settle
	seller, buyer orders.PubKey
	words         map[orders.PubKey]bool // who has asked for its release
	bills         []*bill                // that were paid for it, or tried
}

func (w *world) factOf(id orders.OrderID) *fact {
	f := w.facts[id]
	if f == nil {
		f = &fact{words: map[orders.PubKey]bool{}}
		w.facts[id] = f
	}
	return f
}

// said notes who says what, before anybody hears it.
func (w *world) said(k *tradeKey, id orders.OrderID, action nostrio.Action) {
	if action == nostrio.ActRelease {
		w.factOf(id).words[k.pub] = true
	}
	if action == nostrio.ActAdminSettle {
		w.factOf(id).judged = true
	}
}

// another notes that the buyer may have named another place: then another invoice may be asked for.
func (w *world) another(id orders.OrderID) {
	if f := w.facts[id]; f != nil {
		for _, b := range f.bills {
			b.done = true
		}
	}
}

// input is one message that reaches the exchange.
func (w *world) input(in orders.Input, text string) error {
	if in.Act.On() == orders.OnAddInvoice {
		w.another(in.Order)
	}
	out, err := w.house.engine.Do(w.ctx, in)
	w.say("%s: %q repeat %v, %v", text, out.Reason, out.Repeat, err)
	if w.house.dead() {
		return err // nobody has heard the answer
	}
	if err == nil && !out.Repeat {
		w.past = append(w.past, in)
		if len(w.past) > 60 {
			w.past = w.past[1:]
		}
	}
	w.fresh()
	if err == nil && !out.Order.IsZero() {
		w.observe(out.Order)
	}
	return err
}

// again does an old input once more, as a relay or a retry does. It must be answered from the record, and change nothing.
func (w *world) again() {
	if len(w.past) == 0 || w.house.dead() {
		return
	}
	in := w.past[w.rng.IntN(len(w.past))]
	if w.now-in.At > w.rules().SeenSeconds/2 {
		return
	}
	before, err := w.house.store.Digest()
	w.must("read the store", err)
	in.Seed, in.At = w.newSeed(), w.now
	out, err := w.house.engine.Do(w.ctx, in)
	w.say("again, %s: %q repeat %v, %v", in.Act.On(), out.Reason, out.Repeat, err)
	if err != nil || w.house.dead() {
		return
	}
	after, err := w.house.store.Digest()
	w.must("read the store", err)
	if !out.Repeat || before != after {
		w.wrong("same-input-once", "%s was done again: repeat %v", in.Act.On(), out.Repeat)
	}
}

// fresh looks at what the exchange owes since the last look.
func (w *world) fresh() {
	if w.house.dead() {
		return // what it has seen last may not be on the disk
	}
	for _, r := range w.house.stepper.Fresh() {
		if r.Order.IsZero() {
			continue
		}
		if _, known := w.facts[r.Order]; !known || w.facts[r.Order].last == "" {
			if a, ok := r.Effect.(*orders.Announcement); ok {
				w.born(a.Order)
			}
		}
		if l, ok := r.Effect.(*orders.Letter); ok {
			w.checkPromise(l)
		}
		if a, ok := r.Effect.(*orders.Announcement); ok {
			w.observe(a.Order)
		}
	}
}

// learn finds orders that were made in the last moments of a process.
func (w *world) learn() {
	page, _, err := w.house.engine.Orders(orders.Query{Limit: 12})
	w.must("read the newest orders", err)
	for i := len(page) - 1; i >= 0; i-- {
		if f := w.facts[page[i].ID]; f == nil || f.last == "" {
			w.born(page[i].ID)
			w.observe(page[i].ID)
		}
	}
}

// born notes a new order, which may be what is left of a range.
func (w *world) born(id orders.OrderID) {
	o, ok := w.order(id)
	if !ok {
		return
	}
	w.factOf(id)
	w.orders = append(w.orders, id)
	if o.Parent.IsZero() {
		return
	}
	if first, has := w.rests[o.Parent]; has && first != id {
		w.wrong("one-rest", "order %s has two rests, %s and %s", o.Parent, first, id)
	}
	w.rests[o.Parent] = id
	p, ok := w.order(o.Parent)
	if most := *p.Fiat.Max - p.Fiat.Amount; ok && (o.Fiat.Amount > most || o.Fiat.Max != nil && *o.Fiat.Max > most) {
		w.wrong("one-rest", "order %s is the rest of %d fiat of %s, and offers %+v", id, most, o.Parent, o.Fiat)
	}
}

// observe looks at an order after something has happened to it.
func (w *world) observe(id orders.OrderID) {
	o, ok := w.order(id)
	if !ok {
		return
	}
	f := w.factOf(id)
	if f.last.Final() && f.last != o.Status {
		w.wrong("final-stays", "order %s went from %s to %s", id, f.last, o.Status)
	}
	if o.Status == orders.Frozen && f.last != o.Status && !f.rogue && w.provedSettle(f) {
		w.wrong("frozen-means-lost", "order %s is frozen, and its settle is proved", id)
	}
	if o.Status == orders.Settling && f.last != o.Status {
		w.released = &o.ID
	}
	f.last = o.Status
	f.seller, f.buyer = o.Party(orders.Seller).Trade, o.Party(orders.Buyer).Trade
	if o.Taker.Here() {
		if !f.taken {
			f.taken = true
			w.trades++
		}
		w.checkFees(&o)
	}
}

// hears notes what the holder says of its invoices.
func (n *node) hears(note json.RawMessage) {
	var m map[string]hold.StateNote
	if json.Unmarshal(note, &m) != nil {
		return
	}
	if s := m[hold.Topic]; s.State == hold.Settled {
		if h := n.made[orders.Hash(s.Hash)]; h != nil {
			h.proved = true
		}
	}
}
