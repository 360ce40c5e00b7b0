package orders

import "github.com/mostro-cln/mostro/orders/planted"

// keepNextKey remembers the key for the rest of a range order: the maker's, sent with fiat-sent if he buys and with
// release if he sells.
func keepNextKey(s *step) {
	var next *NextKey
	switch a := s.in.Act.(type) {
	case SendFiat:
		next = a.Next
	case Release:
		next = a.Next
	}
	if next == nil || next.Index < 0 || next.Index > maxTradeIndex || !s.o.Range() || s.sender() != &s.o.Maker || next.Trade.IsZero() ||
		next.Trade == s.o.Maker.Trade || next.Trade == s.o.Taker.Trade {
		return
	}
	s.o.Next = next
}

// openRest puts what is left of a range order on the book, as an order of its own under the key that the maker
// announced. Nothing of the trade goes over to it. Less than the minimum, or no key: the range ends here.
func openRest(s *step) {
	o := s.o
	if !o.Range() || o.Next == nil {
		return
	}
	rest := *o.Fiat.Max - o.Fiat.Amount
	if rest < *o.Fiat.Min {
		return
	}
	c := &step{in: s.in, rules: s.rules, facts: facts{maker: s.facts.maker}, o: &Order{
		ID: newOrderID(s.in.Seed), Parent: o.ID, Kind: o.Kind, Market: true, PaymentMethod: o.PaymentMethod, Premium: o.Premium, Tariff: o.Tariff,
		Maker: o.nextMaker(), CreatedAt: s.in.At, ExpiresAt: s.in.At + o.ExpiresAt - o.CreatedAt,
		Fiat: Fiat{Code: o.Fiat.Code, Amount: rest},
	}}
	if rest > *o.Fiat.Min {
		low := *o.Fiat.Min
		c.o.Fiat = Fiat{Code: o.Fiat.Code, Min: &low, Max: &rest}
	}
	if o.MakerPayout.Destination != "" { // a destination serves again, an invoice does not
		c.o.MakerPayout = Payout{Destination: o.MakerPayout.Destination}
	}
	if u := s.facts.maker; u != nil && o.Next.Index > u.LastIndex {
		u.LastIndex = o.Next.Index
		s.saveUser = append(s.saveUser, u)
	}
	s.children = append(s.children, c)
	if planted.On("rest-twice") {
		o, again := *c.o, *c
		o.ID = newOrderID(Seed(s.in.Seed.Derive("again")))
		again.o = &o
		s.children = append(s.children, &again)
	}
}

// nextMaker is the maker under his next key.
func (o *Order) nextMaker() Party {
	index := o.Next.Index
	p := Party{Trade: o.Next.Trade, Identity: o.Maker.Identity, Index: &index, Way: o.Maker.Way}
	if o.Maker.Private() {
		p.Identity = p.Trade
	}
	if o.Kind == Sell {
		p.Request = o.Maker.Request // that of the release
	}
	return p
}

// adopt takes over what the child says, and puts it in front of what its maker hears of this order: a client reads the
// new key's messages once, when it hears that the escrow is settled, and must find the rest there.
func (s *step) adopt(c *step) {
	var letters, others []owed
	for _, w := range c.effects {
		if l, ok := w.effect.(*Letter); ok {
			l.Queue = s.o.Maker.Trade
			letters = append(letters, w)
		} else {
			others = append(others, w)
		}
	}
	c.effects = others
	s.effects = append(letters, s.effects...)
}
