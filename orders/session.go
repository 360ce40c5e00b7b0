package orders

import "slices"

// answers are the requests that change no order: what a client has forgotten, from the store, and the list of solvers.
var answers = map[On]func(*step){
	OnOrders:    answerOrders,
	OnRestore:   answerRestore,
	OnLastIndex: answerLastIndex,
	OnAddSolver: answerAddSolver,
}

// maxRestored bounds an answer so that it fits an event; the newest trades are in it.
const maxRestored = 25

// loadAsked reads what the sender's identity asks for. Nobody sees an order of somebody else.
func (s *step) loadAsked(t *tx) {
	me := s.in.From.Identity
	switch a := s.in.Act.(type) {
	case NewOrder:
		t.ordersOf(me, true, func(o *Order) bool {
			if o.Maker.Identity == me {
				s.facts.openOrders++
			}
			return true
		})
	case AskOrders:
		for _, id := range a.IDs[:min(len(a.IDs), s.rules.MaxOrdersAsked)] {
			if o, ok := t.order(id); ok && (o.Maker.Identity == me || o.Taker.Identity == me) {
				s.facts.mine = append(s.facts.mine, o)
			}
		}
	case AskLastIndex:
		if u, ok := t.user(me); ok { // a client may ask under its identity key itself, which looks like full privacy
			s.facts.sender = u
		}
	case AskRestore:
		t.ordersOf(me, true, func(o *Order) bool {
			s.facts.mine = append(s.facts.mine, o)
			return true
		})
	}
}

// answer begins a message to the sender about no order in particular.
func (s *step) answer(a Action) *Letter {
	l := s.letter(s.in.From, a)
	s.owe(l)
	return l
}

func answerOrders(s *step) {
	l := s.answer(SayOrders)
	l.Request = s.in.Request
	for _, o := range s.facts.mine {
		each := &step{o: o}
		v := each.view(o.Amount)
		if k := o.Party(Buyer).Trade; !k.IsZero() {
			v.BuyerTrade = &k
		}
		if k := o.Party(Seller).Trade; !k.IsZero() {
			v.SellerTrade = &k
		}
		l.Views = append(l.Views, *v)
	}
}

func answerRestore(s *step) {
	session := &Session{Trades: []Restored{}}
	for _, o := range slices.Backward(s.facts.mine) {
		if len(session.Trades)+len(session.Disputes) == maxRestored {
			break
		}
		p := &o.Maker
		if p.Identity != s.in.From.Identity {
			p = &o.Taker
		}
		r := Restored{Order: o.ID, Status: o.Status.Wire()}
		if p.Index != nil {
			r.Index = *p.Index
		}
		if d := o.Dispute; d != nil && r.Status == InDispute.Wire() {
			session.Disputes = append(session.Disputes, RestoredDispute{d.ID, o.ID, r.Index, d.State, d.By, d.Solver})
			continue
		}
		session.Trades = append(session.Trades, r)
	}
	s.answer(SayRestore).Restore = session
}

func answerLastIndex(s *step) {
	l := s.answer(SayLastIndex)
	index := s.facts.sender.LastIndex
	l.Request, l.Index = s.in.Request, &index
}
