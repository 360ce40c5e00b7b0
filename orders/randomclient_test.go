package orders

// client is a message of somebody, more often than not what he should say next.
func (s *storm) client() {
	s.quote = nil
	if s.rng.IntN(10) > 0 {
		s.quote = &Quote{PerBTC: 30_000_000_000 + s.rng.Int64N(40_000_000_000), AsOf: s.now}
	}
	if len(s.ids) == 0 || s.rng.IntN(12) == 0 {
		s.offers()
		return
	}
	o := s.someOrder()
	id := o.ID
	if f := s.sea.holds[o.Hold]; o.Status == WaitingPayment && f != nil && f.state == HoldOpen && s.rng.IntN(4) > 0 {
		f.state = HoldAccepted
		s.say("the seller of %s pays", short(id))
		s.tells(s.rng.IntN(3) == 0)
		return
	}
	if o.Status == Pending && s.rng.IntN(3) > 0 {
		s.takes(&o)
		return
	}
	by := s.keyOf(s.party(&o))
	if by == nil {
		return
	}
	act := s.anything(&o)
	if s.rng.IntN(7) > 0 {
		act = s.nextAct(&o, by)
	}
	s.write(by, id, act)
}

// someOrder is one of the newest, rather one that goes on.
func (s *storm) someOrder() (o Order) {
	for range 4 {
		o = s.order(s.ids[max(0, len(s.ids)-1-s.rng.IntN(min(len(s.ids), 8)))])
		if !o.Status.Final() {
			break
		}
	}
	return o
}

func (s *storm) write(by *trader, id OrderID, act Act) Outcome {
	in := by.message(id, act)
	in.Closed = s.rng.IntN(40) == 0
	return s.send(in, by.name)
}

// party picks the maker or the taker, rarely anybody.
func (s *storm) party(o *Order) PubKey {
	switch n := s.rng.IntN(10); {
	case n == 0 && len(s.keys) > 0:
		return s.keys[s.rng.IntN(len(s.keys))].trade
	case n < 6 || !o.Taker.Here():
		return o.Maker.Trade
	}
	return o.Taker.Trade
}

func (s *storm) keyOf(k PubKey) *trader {
	for _, t := range s.keys {
		if t.trade == k {
			return t
		}
	}
	return nil
}

// newKey is a person under a trade key of its own, now and then with an index that was used.
func (s *storm) newKey() *trader {
	p := s.people[s.rng.IntN(len(s.people))]
	if s.rng.IntN(15) > 0 {
		p.index++
	}
	t := &trader{w: s.world, name: "p" + p.identity.String()[:4], identity: p.identity, trade: s.freshKey(), index: p.index, private: p.private, way: Direct}
	s.keys = append(s.keys, t)
	return t
}

func (s *storm) offers() {
	kind := []Kind{Buy, Sell}[s.rng.IntN(2)]
	t := Terms{Kind: kind, FiatCode: "EUR", FiatAmount: 5 + s.rng.Int64N(40), PaymentMethod: "SEPA"}
	switch s.rng.IntN(4) {
	case 0:
		t.Amount = Sats(1000 + s.rng.Int64N(50_000))
	case 1:
		t.Premium = s.rng.Int64N(30) - 15
	case 2:
		low, high := 5+s.rng.Int64N(20), 20+s.rng.Int64N(60)
		t.FiatAmount, t.Min, t.Max = 0, &low, &high
	case 3:
		t.Amount = Sats(s.rng.Int64N(3_000_000) - 1_000_000)
	}
	if s.rng.IntN(6) == 0 {
		t.ExpiresAt = s.now + s.rng.Int64N(8000) - 500
	}
	s.write(s.newKey(), OrderID{}, NewOrder{Terms: t, Invoice: s.invoiceFor(t.Amount.Msats())})
}

func (s *storm) takes(o *Order) {
	var slice *int64
	if o.Range() {
		n := *o.Fiat.Min + s.rng.Int64N(*o.Fiat.Max-*o.Fiat.Min+2)
		slice = &n
	}
	var act Act = TakeBuy{Fiat: slice}
	if (o.Kind == Sell) == (s.rng.IntN(12) > 0) {
		a := TakeSell{Fiat: slice}
		if s.rng.IntN(2) == 0 {
			a.Invoice = s.invoiceFor(o.PaidOut().Msats())
		}
		act = a
	}
	s.write(s.newKey(), o.ID, act)
}

// invoiceFor is where a buyer wants that many msat, nil where he does not say. 0 is as many as it will be.
func (s *storm) invoiceFor(amount Msats) *Invoice {
	switch s.rng.IntN(8) {
	case 0, 1:
		return &Invoice{Destination: "somebody@example.com"}
	case 2:
		return nil
	case 3:
		i := s.bill(0)
		i.Amount = 0
		return i
	case 4: // useless in one way or another
		i := s.bill(amount)
		switch s.rng.IntN(4) {
		case 0:
			i.Expires = s.now + 60
		case 1:
			i.Amount += 1
		case 2:
			i.Problem = "wrong network"
		case 3:
			if h := s.sea.anyBill(); s.sea.pays[h].amount == amount {
				i.Hash = h
			}
		}
		return i
	}
	return s.bill(amount)
}

// bill is a new invoice at somebody's wallet.
func (s *storm) bill(amount Msats) *Invoice {
	pre := Preimage(s.seed().Derive("bill"))
	s.sea.pays[pre.Hash()] = &stormPay{amount: amount, pre: pre, state: PayNever}
	s.sea.bills = append(s.sea.bills, pre.Hash())
	return &Invoice{
		Bolt11: "lnbill" + pre.Hash().String(), Hash: pre.Hash(), Amount: amount, Expires: s.now + 3600 + s.rng.Int64N(90_000), CLTV: 18,
	}
}

// secrets are what letters about an order must not tell.
func (s *storm) secrets(id OrderID) (identities []PubKey, seller PubKey, invoice string) {
	o, ok, err := s.e.Order(id)
	if err != nil || !ok {
		return nil, seller, ""
	}
	for _, p := range []*Party{&o.Maker, &o.Taker} {
		if p.Here() && !p.Private() {
			identities = append(identities, p.Identity)
		}
	}
	return identities, o.Party(Seller).Trade, o.Payout.Text()
}

// nextAct is what that party should do now.
func (s *storm) nextAct(o *Order, by *trader) Act {
	buys := o.Party(Buyer).Trade == by.trade
	switch {
	case o.Status == WaitingBuyerInvoice && buys, o.Status == SettledHoldInvoice && buys:
		return AddInvoice{s.invoiceFor(o.PaidOut().Msats())}
	case o.Status == WaitingPayment && s.rng.IntN(3) > 0:
		return AskRestore{}
	case o.Status == Active && buys:
		return SendFiat{s.nextKey()}
	case (o.Status == FiatSent || o.Status == Active) && s.rng.IntN(4) == 0:
		return OpenDispute{}
	case o.Status == FiatSent && !buys:
		return Release{s.nextKey()}
	case o.Status == Success, o.Status == SettledHoldInvoice:
		return RateUser{1 + s.rng.Int64N(5)}
	}
	return s.anything(o)
}

// nextKey announces a trade key for the rest of a range, or none.
func (s *storm) nextKey() *NextKey {
	if s.rng.IntN(3) == 0 {
		return nil
	}
	t := s.newKey()
	return &NextKey{Trade: t.trade, Index: t.index}
}

func (s *storm) anything(o *Order) Act {
	switch s.rng.IntN(14) {
	case 12:
		return OpenDispute{}
	case 13:
		return s.verdict(o)
	case 0, 1:
		return Cancel{}
	case 2:
		return AddInvoice{s.invoiceFor(o.PaidOut().Msats())}
	case 3:
		return SendFiat{s.nextKey()}
	case 4:
		return Release{s.nextKey()}
	case 5:
		return RateUser{s.rng.Int64N(8) - 1}
	case 6:
		return TradeKey{}
	case 7:
		return AskOrders{IDs: []OrderID{o.ID, {1}}}
	case 8:
		return AskRestore{}
	case 9:
		return AskLastIndex{}
	case 10:
		return Other{Action: "add-bond-invoice", Reason: InvalidAction}
	}
	return TakeSell{}
}
