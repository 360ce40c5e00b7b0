package orders

import (
	"fmt"
	"maps"
)

// drain ends the storm: nothing fails any more, the chain runs on, buyers give good invoices. Everything must come to
// an end by itself.
func (s *storm) drain() {
	s.sea.calm = true
	s.say("the storm is over")
	for round := range 60 {
		s.carryAll()
		s.tells(false)
		for len(s.late) > 0 {
			s.tellLate()
		}
		open := 0
		for i := 0; i < len(s.ids); i++ {
			o := s.order(s.ids[i])
			if !o.Status.Final() {
				open++
				s.finish(&o)
			}
		}
		s.carryAll()
		if n, err := s.e.Count(); err != nil {
			s.wrong("count: %v", err)
		} else if open == 0 && n.Owed == 0 {
			if n.Holds != 0 {
				s.wrong("%d holds are live and no order is", n.Holds)
			}
			return
		}
		s.now += 1000 + int64(round)*500
		s.sea.pass(8000)
		s.tick()
	}
	for _, id := range s.ids {
		if o := s.order(id); !o.Status.Final() {
			s.say("left: %+v", o)
		}
	}
	heads, _ := s.heads()
	for _, r := range heads {
		s.say("owed: %d %s %+v", r.Number, effectKind(r.Effect), r.Effect)
	}
	s.wrong("it does not drain")
}

func (s *storm) carryAll() {
	for idle := 0; idle < 3; {
		idle++
		heads, more := s.heads()
		for _, r := range heads {
			if s.carryRow(r, more[r.Number]) {
				idle = 0
			}
		}
	}
}

// finish brings an order on that waits for people or for the chain.
func (s *storm) finish(o *Order) {
	switch o.Status {
	case Active, FiatSent:
		if f := s.sea.holds[o.Hold]; f.state == HoldAccepted {
			s.send(Input{ID: NodeID(OnEscrowDeadline, o.Hold[:]), At: s.now, Seed: s.seed(), Act: EscrowEnding{o.Hold, 970}}, "chain")
		} else if by := s.keyOf(o.Party(Seller).Trade); f.state == HoldSettled && o.Status == FiatSent && by != nil {
			s.send(by.message(o.ID, Release{}), by.name)
		} else if f.state == HoldSettled { // by itself: the two agree
			for _, p := range []*Party{&o.Maker, &o.Taker} {
				by := s.keyOf(p.Trade)
				s.send(by.message(o.ID, Cancel{}), by.name)
			}
		}
	case InDispute, Frozen:
		s.decide(o)
	case SettledHoldInvoice:
		if by := s.keyOf(o.Party(Buyer).Trade); !o.Payout.InFlight && by != nil {
			s.send(by.message(o.ID, AddInvoice{s.bill(o.PaidOut().Msats())}), by.name)
		}
	}
}

// checkSums holds the exchange's books against the node's.
func (s *storm) checkSums() {
	settled, done := map[OrderID]Msats{}, map[OrderID]int{}
	for hash, h := range s.sea.holds {
		switch h.state {
		case HoldSettled:
			settled[h.order] += h.amount
		case HoldOpen, HoldAccepted:
			s.wrong("hold %s of order %s stays %s at the node", hash, h.order, h.state)
		}
	}
	for _, p := range s.sea.pays {
		if p.state == PayDone {
			done[p.order] += p.completed
		}
	}
	s.checkFigures()
	for _, id := range s.ids {
		st, ok, err := s.e.Story(id)
		if err != nil || !ok {
			s.wrong("story of %s: %v", id, err)
		}
		sum := map[EntryKind]Msats{}
		for _, e := range st.Ledger {
			sum[e.What] += e.Msats
		}
		for _, err := range []error{
			same("locked, and settled or refunded", sum[Locked], sum[Settled]+sum[Refunded]),
			same("settled, and paid, kept or owed", sum[Settled], sum[Paid]+sum[Kept]+sum[Owed]),
			same("payouts in the books and at the node", min(sum[Paid], 1), Msats(done[id])),
			atLeast("settled in the books, and at the node", sum[Settled], settled[id]),
		} {
			if err != nil {
				s.wrong("order %s, %s: %v\n%+v", id, st.Order.Status, err, st.Ledger)
			}
		}
		if (settled[id] > 0) != (sum[Settled] > 0) {
			s.wrong("order %s, %s: the node settled %d msat, the books say %d", id, st.Order.Status, settled[id], sum[Settled])
		}
	}
}

// checkFigures compares the figures over all time with the books of each order.
func (s *storm) checkFigures() {
	f, err := s.e.Stats(Period{})
	if err != nil {
		s.wrong("figures: %v", err)
	}
	all, _, err := s.e.Orders(Query{Limit: maxScan})
	if err != nil {
		s.wrong("all orders: %v", err)
	}
	money, ended := map[EntryKind]Msats{}, map[Status]int{}
	for _, o := range all {
		st, ok, err := s.e.Story(o.ID)
		if err != nil || !ok {
			s.wrong("story of %s: %v", o.ID, err)
		}
		if o.Status.Final() {
			ended[o.Status]++
		}
		for _, e := range st.Ledger {
			money[e.What] += e.Msats
		}
	}
	if !maps.Equal(money, f.Money) || !maps.Equal(ended, f.Ended) || f.Made != len(all) {
		s.wrong("figures %+v, the books of %d orders have %v, %v", f, len(all), money, ended)
	}
}

func same(what string, a, b Msats) error {
	if a != b {
		return fmt.Errorf("%s: %d and %d msat", what, a, b)
	}
	return nil
}

// atLeast: payers may lock a little more than they were asked for.
func atLeast(what string, a, b Msats) error {
	if a < b {
		return fmt.Errorf("%s: %d and %d msat", what, a, b)
	}
	return nil
}
