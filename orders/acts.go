package orders

import (
	"fmt"

	"github.com/mostro-cln/mostro/orders/planted"
)

// act is what a row does: it changes the order's working copy and says what we owe. It decides nothing.
type act func(*step)

// newOrder makes the order of a new-order message. Its guards have passed.
func (s *step) newOrder() *Order {
	a := s.in.Act.(NewOrder)
	t := a.Terms
	expires := s.in.At + s.rules.PendingSeconds
	if t.ExpiresAt > 0 {
		expires = min(t.ExpiresAt, s.in.At+s.rules.MaxPendingSeconds)
	}
	o := &Order{
		ID: newOrderID(s.in.Seed), Kind: t.Kind, Amount: t.Amount, Market: t.Amount == 0,
		Fees: NewFees(t.Amount, s.rules.FeeRate, s.rules.FeePayer), Tariff: s.rules.tariff(),
		Fiat: Fiat{Code: t.FiatCode, Amount: t.FiatAmount}, PaymentMethod: t.PaymentMethod, Premium: t.Premium,
		Maker: s.newParty(), CreatedAt: s.in.At, ExpiresAt: expires,
	}
	if t.Min != nil {
		o.Fiat = Fiat{Code: t.FiatCode, Min: t.Min, Max: t.Max}
	}
	if a.Invoice != nil && t.Kind == Buy {
		o.MakerPayout = payoutOf(a.Invoice)
	}
	return o
}

func (s *step) newParty() Party {
	f := s.in.From
	return Party{Trade: f.Trade, Identity: f.Identity, Way: f.Way, Index: s.in.Index, Request: s.in.Request}
}

func payoutOf(inv *Invoice) Payout {
	return Payout{Destination: inv.Destination, Invoice: inv.Bolt11, Hash: inv.Hash, Expires: inv.Expires}
}

// assignTaker freezes the deal.
func assignTaker(s *step) {
	if d, err := s.bargain(); err == nil { // the guard has passed
		s.o.Fiat.Amount, s.o.Amount, s.o.Fees = d.fiat, d.amount, d.fees
	}
	s.o.Taker = s.newParty()
	s.o.TakenAt = s.in.At
	s.facts.taker = s.facts.sender
}

// storePayout keeps the invoice that came with the message.
func storePayout(s *step) {
	switch a := s.in.Act.(type) {
	case TakeSell:
		s.o.Payout = payoutOf(a.Invoice)
	case AddInvoice:
		s.o.Payout = payoutOf(a.Invoice)
	}
}

// useMakerPayout takes the invoice that the maker gave with his order, if it still lives long enough.
func useMakerPayout(s *step) {
	if s.o.MakerPayout.Destination != "" || s.o.MakerPayout.Expires >= s.in.At+s.rules.InvoiceWindow {
		s.o.Payout = s.o.MakerPayout
	}
}

// makeHold fixes the preimage before anything is asked of the node, so that asking twice gives one invoice.
func makeHold(s *step) {
	pre := Preimage(s.in.Seed.Derive("preimage", s.o.ID[:]))
	h := &Hold{
		Hash: pre.Hash(), Order: s.o.ID, Preimage: pre, Amount: s.o.Escrow().Msats(), State: HoldCreating,
		CreatedAt: s.in.At, UpdatedAt: s.in.At,
	}
	s.o.Hold, s.o.TakenAt, s.o.HeldAt, s.hold = h.Hash, s.in.At, 0, h
	s.saveHold = append(s.saveHold, h)
	s.owe(&CreateHold{Hash: h.Hash, Description: s.holdDescription(), Expiry: s.rules.WaitingSeconds})
}

// holdDescription is what the seller's wallet shows.
func (s *step) holdDescription() string {
	return fmt.Sprintf("Mostro escrow of order %s: %d %s. Stays pending until you release it, and comes back to you if the trade ends otherwise.",
		s.o.ID, s.o.Fiat.Amount, s.o.Fiat.Code)
}

func cancelHold(s *step) {
	if s.hold == nil || s.hold.State.Ended() || s.hold.State == HoldCanceling {
		return
	}
	s.setHold(s.hold, HoldCanceling)
	s.owe(&CancelHold{Hash: s.hold.Hash})
}

// cancelAgain cancels a hold that the node has called gone: only a cancel proves where the money is.
func cancelAgain(s *step) {
	if s.hold == nil || s.hold.State == HoldSettled || s.hold.State == HoldCanceling {
		return
	}
	s.setHold(s.hold, HoldCanceling)
	s.owe(&CancelHold{Hash: s.hold.Hash})
}

// freeEscrow is the seller's word.
func freeEscrow(s *step) { s.o.FreedBy = FreedBySeller }

func settleHold(s *step) {
	s.setHold(s.hold, HoldSettling)
	s.owe(&SettleHold{Hash: s.hold.Hash})
}

func (s *step) setHold(h *Hold, st HoldState) {
	h.State, h.UpdatedAt = st, s.in.At
	s.saveHold = append(s.saveHold, h)
}

func lockEscrow(s *step) {
	s.o.HeldAt, s.o.TakenAt = s.in.At, s.in.At
}

// reopen puts the order back on the book as if it had never been taken.
func reopen(s *step) {
	s.sayCanceled(s.o.SideOf(false))
	s.o.Taker, s.o.Payout, s.o.Hold, s.o.CancelBy, s.o.Next = Party{}, Payout{}, Hash{}, "", nil
	if s.o.Market {
		s.o.Amount, s.o.Fees = 0, Fees{}
	}
	if s.o.Range() {
		s.o.Fiat.Amount = 0
	}
	s.o.TakenAt, s.o.HeldAt = 0, 0
	s.hold = nil
	v := s.view(s.o.Amount)
	key := s.o.Maker.Trade
	if s.o.Kind == Buy {
		v.BuyerTrade = &key
	} else {
		v.SellerTrade = &key
	}
	s.say(s.o.SideOf(true), SayNewOrder, withView(v), withIndex)
}

// Messages. Who hears what, with which amount, is the Mostro protocol's.

func tellMakerOpened(s *step) {
	v := s.view(s.o.Amount)
	v.BuyerInvoice = s.o.MakerPayout.Text()
	s.say(s.o.SideOf(true), SayNewOrder, withView(v), withRequest, withIndex)
}

func askPayoutInvoice(s *step) {
	v := s.view(s.o.PaidOut())
	if s.in.Act.On() == OnTakeSell {
		v.ExpiresAt = nil
		s.say(Buyer, SayAddInvoice, withView(v), withRequest, withIndex)
		return
	}
	s.say(Buyer, SayAddInvoice, withView(v))
}

func tellSellerToWait(s *step) { s.say(Seller, SayWaitingBuyerInvoice, withIndex) }

// tellMakerOfTaker shows the maker with whom he deals: the reputation and nothing else.
func tellMakerOfTaker(s *step) {
	a := SayAddInvoice
	if s.o.Kind == Sell {
		a = SayPayInvoice
	}
	s.say(s.o.SideOf(true), a, withPeer(PeerView{Standing: s.standing(s.facts.taker)}))
}

// showHold hands the invoice to the seller, whose time begins now, and tells the buyer to wait. Only the taker is
// waiting for an answer.
func showHold(s *step) {
	s.o.TakenAt = s.in.At
	if s.o.Kind == Sell {
		tellMakerOfTaker(s)
	}
	request := func(l *Letter, p *Party) {
		if p == &s.o.Taker {
			l.Request = p.Request
		}
	}
	s.say(Seller, SayPayInvoice, withView(s.view(s.o.Escrow())), withInvoice(s.hold.Bolt11), request, withIndex)
	s.say(Buyer, SayWaitingSellerToPay, request, withIndex)
}

// introduce tells both that the sats are locked, and each the other's trade key.
func introduce(s *step) {
	s.say(Seller, SayBuyerTookOrder, withView(s.viewOfTrade(s.o.Escrow())))
	parts := []func(*Letter, *Party){withView(s.viewOfTrade(s.o.PaidOut()))}
	if s.in.Act.On() == OnAddInvoice {
		parts = append(parts, withRequest)
	}
	s.say(Buyer, SayHoldAccepted, parts...)
}

func tellFiatSent(s *step) {
	s.say(Seller, SayFiatSentOk, withPeer(PeerView{Trade: s.o.Party(Buyer).Trade}))
	s.say(Buyer, SayFiatSentOk, withPeer(PeerView{Trade: s.o.Party(Seller).Trade}), withRequest)
}

func tellBuyerReleased(s *step) { s.say(Buyer, SayReleased) }

func tellSellerReleased(s *step) {
	s.say(Seller, SayHoldSettled, withRequest)
	s.say(Seller, SayRate)
}

func tellCompleted(s *step) {
	s.say(Buyer, SayPurchaseCompleted)
	s.say(Buyer, SayRate)
}

func tellInvoiceUpdated(s *step) { s.say(Buyer, SayInvoiceUpdated, withRequest) }

func tellMakerCanceled(s *step) { s.sayCanceled(s.o.SideOf(true)) }

func tellBothCanceled(s *step) {
	s.sayCanceled(s.o.SideOf(true))
	s.sayCanceled(s.o.SideOf(false))
}

// sayCanceled tells one side, with the request_id if it is the one that asked.
func (s *step) sayCanceled(side Side) {
	s.say(side, SayCanceled, s.requestIfSender)
}

func (s *step) requestIfSender(l *Letter, p *Party) {
	if p == s.sender() {
		l.Request = p.Request
	}
}

func askCoopCancel(s *step) {
	side, _ := s.senderSide()
	s.o.CancelBy = side
	s.say(side, SayCoopByYou, withRequest)
	s.say(side.Other(), SayCoopByPeer)
}

func tellCoopCanceled(s *step) {
	s.say(Seller, SayCoopAccepted, s.requestIfSender)
	s.say(Buyer, SayCoopAccepted, s.requestIfSender)
}

func tellEscrowLost(s *step) {
	s.say(Buyer, SayHoldCanceled)
	s.say(Seller, SayHoldCanceled)
}

func alertEscrowLost(s *step) {
	why := ""
	if a, ok := s.in.Act.(HoldIsCanceled); ok {
		why = a.Why
	}
	s.owe(&Alert{Text: fmt.Sprintf("order %s: the escrow was lost while %s: %s", s.o.ID, s.from, why)})
}

func alertEscrowEnded(s *step) {
	s.owe(&Alert{Text: fmt.Sprintf("order %s: the escrow ran out of blocks after the buyer said that he had paid; the seller was refunded", s.o.ID)})
}

// Money.

func bookSettled(s *step) {
	s.setHold(s.hold, HoldSettled)
	s.unrefund(s.hold)
	s.book(Settled, s.hold.Held, s.hold.Hash)
}

// startPayout owes one attempt. From here until its end is known the invoice must not change. A destination is asked
// for an invoice first, unless it gave one that is still good: every invoice that it gives could be paid.
func startPayout(s *step) {
	p := &s.o.Payout
	p.InFlight, p.NextAt = true, 0
	if p.Destination != "" && (p.Expires < s.in.At+minInvoiceLife || planted.On("address-anew")) {
		p.Invoice, p.Hash, p.Expires = "", Hash{}, 0
		s.owe(&ResolvePayout{Destination: p.Destination, Amount: s.o.PaidOut().Msats()})
		return
	}
	payInvoice(s)
}

// minInvoiceLife is what an invoice must still live to be worth an attempt, seconds.
const minInvoiceLife = 180

func storeResolved(s *step) {
	a := s.in.Act.(PayoutResolved)
	s.o.Payout.Invoice, s.o.Payout.Hash, s.o.Payout.Expires = a.Invoice, a.Hash, a.Expires
}

func payInvoice(s *step) {
	p := &s.o.Payout
	amount := s.o.PaidOut()
	s.owe(&Pay{
		Invoice: p.Invoice, Hash: p.Hash, Amount: amount.Msats(),
		MaxFee: RoutingBudget(amount, s.rules.RoutingRate), Attempt: p.Attempts + 1,
	})
}

// countFailure decides when to try again, and when to ask the buyer for another invoice.
func countFailure(s *step) {
	a, _ := s.in.Act.(PayoutFailed) // or an invoice of the destination that cannot be used
	p := &s.o.Payout
	p.Attempts++
	p.InFlight = false
	asked := p.Attempts > s.rules.PayoutAttempts
	if a.Fatal && p.Destination != "" && !a.Hash.IsZero() {
		p.Invoice, p.Hash, p.Expires = "", Hash{}, 0 // the destination gives another one
		a.Fatal = false
	}
	switch {
	case a.Fatal:
		p.Attempts = max(p.Attempts, s.rules.PayoutAttempts)
	case p.Attempts < s.rules.PayoutAttempts:
		p.NextAt = s.in.At + s.rules.PayoutInterval
		if p.Attempts == 1 {
			s.say(Buyer, SayPaymentFailed, withFailure(s.rules))
		}
		return
	default:
		p.NextAt = s.in.At + s.rules.SlowInterval
	}
	if !asked {
		s.say(Buyer, SayAddInvoice, withView(s.viewOfPayout()))
	}
}

func withFailure(r *Rules) func(*Letter, *Party) {
	return func(l *Letter, _ *Party) {
		l.Failure = &PayoutFailure{Attempts: r.PayoutAttempts - 1, Interval: int(r.PayoutInterval)}
	}
}

func (s *step) viewOfPayout() *OrderView {
	v := s.viewOfTrade(s.o.PaidOut())
	v.BuyerInvoice = s.o.Payout.Text()
	return v
}

func bookPaid(s *step) {
	a := s.in.Act.(PayoutPaid)
	s.o.Payout.InFlight, s.o.Payout.NextAt = false, 0
	if a.Hash != s.o.Payout.Hash {
		s.owe(&Alert{Text: fmt.Sprintf("order %s: it had been paid by %s already, which this store did not know: was it put back from a backup?",
			s.o.ID, a.Hash)})
		s.o.Payout.Hash, s.o.Payout.Invoice = a.Hash, ""
	}
	s.book(Paid, s.o.PaidOut().Msats(), a.Hash)
	s.book(Routed, a.Fee, a.Hash)
	s.book(Kept, s.hold.Held-s.o.PaidOut().Msats(), s.o.Hold)
}

// publish owes the order event. created_at rises with every one, since relays keep the newest (NIP-01, ties go to the
// lowest id).
func publish(s *step) {
	s.o.Published = max(s.in.At, s.o.Published+1)
	if planted.On("stamp-not-rising") {
		s.o.Published = s.in.At
	}
	s.owe(s.announcement())
}

// announcement is the order event as of the order's last stamp. It follows from the order, so that the same one can be
// made again later.
func (s *step) announcement() *Announcement {
	o := s.o
	a := &Announcement{
		Order: o.ID, Kind: o.Kind, Status: o.Status.Public(), Amount: o.Amount, Fiat: o.Fiat,
		PaymentMethod: o.PaymentMethod, Premium: o.Premium, ExpiresAt: o.ExpiresAt,
		Expiration: o.Published + s.rules.OrderRetention, Stamp: o.Published,
	}
	if o.Status == Pending {
		a.Expiration = o.ExpiresAt
		a.Standing = s.standing(s.facts.maker)
	}
	return a
}

// rate gives the other party its points. Somebody in full-privacy mode has no reputation to add to.
func rate(s *step) {
	points := s.in.Act.(RateUser).Points
	me := s.sender()
	me.Rated = true
	side, _ := s.senderSide()
	s.say(side, SayRateReceived, withRequest, func(l *Letter, _ *Party) { l.Points = points })
	u := s.facts.rated
	if u == nil {
		return
	}
	u.Reviews++
	u.Sum += points
	u.Last = points
	u.Max = max(u.Max, points)
	if u.Min == 0 || points < u.Min {
		u.Min = points
	}
	s.saveUser = append(s.saveUser, u)
	s.owe(&RatingNote{
		Trade: s.o.Party(side.Other()).Trade, Reviews: u.Reviews, Sum: u.Sum, Last: u.Last, Min: u.Min, Max: u.Max,
		Days: s.standing(u).Days, Stamp: s.in.At,
	})
}

// moveTradeKey: the maker goes on under another key.
func moveTradeKey(s *step) {
	m := &s.o.Maker
	m.Trade, m.Way, m.Request = s.in.From.Trade, s.in.From.Way, s.in.Request
	if s.in.Index != nil {
		m.Index = s.in.Index
	}
	s.say(s.o.SideOf(true), SayTradeKey, withRequest)
}
