package orders

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/mostro-cln/mostro/orders/planted"
)

// cond chooses between rows of the life cycle.
type cond func(*step) bool

func (c cond) holds(s *step) bool { return c(s) }

func always(*step) bool       { return true }
func orderSells(s *step) bool { return s.o.Kind == Sell }

// nothingHeld: the seller has not locked anything yet.
func nothingHeld(s *step) bool { return s.o.HeldAt == 0 }

// invoiceGiven: the taker of a sell order brought the payout invoice along.
func invoiceGiven(s *step) bool {
	a, ok := s.in.Act.(TakeSell)
	return ok && a.Invoice != nil
}

// payoutKnown: we have an invoice to pay the buyer that lives long enough. Its window was judged when it came; since
// then the seller may have taken his whole time.
func payoutKnown(s *step) bool {
	return s.o.Payout.Destination != "" || s.o.Payout.Invoice != "" && s.o.Payout.Expires >= s.in.At+s.rules.InvoiceWindow-s.rules.WaitingSeconds
}

// freedBySolver: a solver has given the escrow to the buyer, not the seller.
func freedBySolver(s *step) bool { return s.o.FreedBy == FreedBySolver }

// freed: somebody with the right to has given the escrow to the buyer.
func freed(s *step) bool { return s.o.FreedBy != "" }

// unusedInvoice: what the buyer's destination gave was never given to another order, and is no hold of ours.
func unusedInvoice(s *step) bool {
	return !s.facts.invoiceIsHold && (s.facts.invoiceUsedBy.IsZero() || s.facts.invoiceUsedBy == s.o.ID)
}

// confirmsCancel: the other side has asked for the cancel before.
func confirmsCancel(s *step) bool {
	side, ok := s.senderSide()
	return ok && s.o.CancelBy == side.Other()
}

// guard returns why the sender is refused, a Reason perhaps wrapped with detail, or nil.
type guard func(*step) error

// doors lists what a client's message must pass before the life cycle is asked, in the order in which the reference
// server checks (Mostro protocol and server, "cant-do"): a client hears the first reason that applies.
var doors = map[On][]guard{
	OnNewOrder: {
		notBanned, freshIndex, open, fewOrders, termsWhole, termsCurrency, termsAmounts, termsLimits, makerInvoicePayable,
		termsExpiry,
	},
	OnTakeSell: {
		notBanned, freshIndex, orderKnown, open, notBusy, kindIs(Sell), inStatus(InvalidOrderStatus), notExpired, notOwn,
		fairDeal, takerInvoicePayable,
	},
	OnTakeBuy: {
		notBanned, freshIndex, orderKnown, open, notBusy, kindIs(Buy), inStatus(InvalidOrderStatus), notExpired, notOwn,
		fairDeal,
	},
	OnAddInvoice: {
		orderKnown, from(Buyer, InvalidPeer), inStatus(NotAllowedByStatus), noPayoutInFlight, addedInvoicePayable,
	},
	OnFiatSent:  {orderKnown, inStatus(InvalidOrderStatus), from(Buyer, InvalidPubkey)},
	OnRelease:   {orderKnown, from(Seller, InvalidPeer), inStatus(NotAllowedByStatus)},
	OnCancel:    {orderKnown, notCanceledYet, inStatus(NotAllowedByStatus), mayCancel},
	OnRateUser:  {orderKnown, fromParty(InvalidPubkey), points, inStatus(InvalidOrderStatus), notRatedYet},
	OnTradeKey:  {orderKnown, inStatus(InvalidOrderStatus), makerIdentity(InvalidPubkey)},
	OnDispute:   {orderKnown, noDisputeYet, inStatus(NotAllowedByStatus), fromParty(InvalidPubkey)},
	OnOrders:    {someAsked, fewAsked, someFound},
	OnRestore:   {},
	OnLastIndex: {userKnown},
	OnOther:     {refuseOther},

	OnAdminTake:   {disputeKnown, mayTake, inStatus(InvalidPubkey)},
	OnAdminSettle: {orderKnown, assigned, mayJudge, inStatus(InvalidOrderStatus), noBonds},
	OnAdminCancel: {orderKnown, assigned, mayJudge, inStatus(NotAllowedByStatus), noBonds},
	OnAddSolver:   {adminOnly, solverNamed},
}

// lastly is the reason where every guard passed and no row fits: the status has rows for the input, but none for this
// sender now.
var lastly = map[On]Reason{
	OnRateUser:    InvalidOrderStatus,
	OnCancel:      NotAllowedByStatus,
	OnDispute:     NotAllowedByStatus,
	OnAdminTake:   InvalidPubkey,
	OnAdminSettle: InvalidOrderStatus,
	OnAdminCancel: NotAllowedByStatus,
}

func orderKnown(s *step) error {
	if s.o.ID.IsZero() {
		return NotFound
	}
	return nil
}

// open refuses new business while the server cannot make an escrow, or the operator has paused it. The protocol has no
// reason of its own for that.
func open(s *step) error {
	switch {
	case s.in.Closed:
		return fmt.Errorf("%w: no escrow can be made now", NotAllowedByStatus)
	case s.rules.Paused:
		return fmt.Errorf("%w: the exchange is paused", NotAllowedByStatus)
	}
	return nil
}

// freshIndex: outside full-privacy mode a trade key must have a higher index than all before it, so that a client
// restored from its mnemonic never uses one twice (Mostro protocol, "key management").
func freshIndex(s *step) error {
	if s.in.From.Private() {
		return nil
	}
	if s.in.Index == nil || *s.in.Index < 1 || *s.in.Index > maxTradeIndex {
		return fmt.Errorf("%w: an index of 1…%d is needed with an identity", InvalidTradeIndex, int64(maxTradeIndex))
	}
	if u := s.facts.sender; u != nil && *s.in.Index <= u.LastIndex {
		return fmt.Errorf("%w: %d was used already", InvalidTradeIndex, *s.in.Index)
	}
	return nil
}

// maxTradeIndex is the last non-hardened child key (BIP 32).
const maxTradeIndex = 1<<31 - 1

func kindIs(k Kind) guard {
	return func(s *step) error {
		if s.o.Kind != k {
			return InvalidOrderKind
		}
		return nil
	}
}

func inStatus(otherwise Reason) guard {
	return func(s *step) error {
		if !s.statusTakes() {
			return fmt.Errorf("%w: %s while %s", otherwise, s.in.Act.On(), s.o.Status)
		}
		return nil
	}
}

func from(side Side, otherwise Reason) guard {
	return func(s *step) error {
		if mine, known := s.senderSide(); !known || mine != side {
			return otherwise
		}
		return nil
	}
}

func fromParty(otherwise Reason) guard {
	return func(s *step) error {
		if s.sender() == nil {
			return otherwise
		}
		return nil
	}
}

// notExpired closes the book to the second, whenever the timer comes.
func notExpired(s *step) error {
	if s.in.At >= s.o.ExpiresAt {
		return fmt.Errorf("%w: the order has expired", InvalidOrderStatus)
	}
	return nil
}

// notOwn: nobody trades with himself, under another trade key either.
func notOwn(s *step) error {
	f, m := s.in.From, s.o.Maker
	if f.Trade == m.Trade || f.Identity == m.Identity || f.Trade == m.Identity || f.Identity == m.Trade {
		return InvalidPubkey
	}
	return nil
}

// notBusy: who took an order finishes his duty on it before he takes another.
func notBusy(s *step) error {
	if s.facts.busy {
		return PendingOrderExists
	}
	return nil
}

// Limits of the free text of an order. The whole event must fit relays.
const (
	maxFiatCode      = 10
	maxPaymentMethod = 600
	maxFiat          = 1_000_000_000_000_000
)

func termsWhole(s *step) error {
	t := s.in.Act.(NewOrder).Terms
	switch {
	case t.Kind != Buy && t.Kind != Sell:
		return InvalidOrderKind
	case t.PaymentMethod == "" || len(t.PaymentMethod) > maxPaymentMethod || !utf8.ValidString(t.PaymentMethod):
		return fmt.Errorf("%w: payment method of %d bytes, want 1…%d", InvalidParameters, len(t.PaymentMethod), maxPaymentMethod)
	}
	return nil
}

func termsCurrency(s *step) error {
	code := s.in.Act.(NewOrder).Terms.FiatCode
	if code == "" || len(code) > maxFiatCode || !utf8.ValidString(code) {
		return InvalidFiatCurrency
	}
	if len(s.rules.FiatCodes) > 0 && !slices.Contains(s.rules.FiatCodes, code) {
		return InvalidFiatCurrency
	}
	return nil
}

// termsAmounts takes fixed sats or the market price (0), and a fixed amount of fiat or a range of it at the market
// price.
func termsAmounts(s *step) error {
	t := s.in.Act.(NewOrder).Terms
	switch {
	case (t.Min == nil) != (t.Max == nil):
		return fmt.Errorf("%w: half a range", InvalidAmount)
	case t.Min != nil && (*t.Min <= 0 || *t.Min >= *t.Max || *t.Max > maxFiat || t.Amount != 0):
		return fmt.Errorf("%w: range of %d…%d with %d sat", InvalidAmount, *t.Min, *t.Max, int64(t.Amount))
	case t.Min == nil && (t.FiatAmount <= 0 || t.FiatAmount > maxFiat):
		return fmt.Errorf("%w: fiat amount %d", InvalidAmount, t.FiatAmount)
	case !t.Amount.Valid():
		return fmt.Errorf("%w: %d sat", InvalidAmount, int64(t.Amount))
	case t.Amount != 0 && t.Premium != 0:
		return fmt.Errorf("%w: a premium on a fixed amount", InvalidParameters)
	case t.Premium < -maxPremium || t.Premium > maxPremium:
		return fmt.Errorf("%w: a premium of %d %%", InvalidParameters, t.Premium)
	}
	return nil
}

// termsLimits looks at both ends of a range, at today's price.
func termsLimits(s *step) error {
	t := s.in.Act.(NewOrder).Terms
	if t.Amount != 0 {
		return s.withinLimits(t.Amount)
	}
	ends := []int64{t.FiatAmount}
	if t.Min != nil {
		ends = []int64{*t.Min, *t.Max}
	}
	for _, fiat := range ends {
		if s.in.Quote == nil {
			return PriceTooStale
		}
		if err := s.withinLimits(satsFor(fiat, s.in.Quote, t.Premium)); err != nil {
			return err
		}
	}
	return nil
}

func (s *step) withinLimits(a Sats) error {
	t := s.tariff()
	if a < t.Min || a > t.Max {
		return fmt.Errorf("%w: %d not in %d…%d", OutOfRangeSatsAmount, int64(a), int64(t.Min), int64(t.Max))
	}
	if NewFees(a, t.Rate, t.Payer).Buyer >= a {
		return fmt.Errorf("%w: nothing is left after the fee", InvalidAmount)
	}
	return nil
}

// fewOrders bounds what one identity can put on the book.
func fewOrders(s *step) error {
	if limit := s.rules.MaxOpenOrders; limit > 0 && s.facts.openOrders >= limit {
		return fmt.Errorf("%w: %d orders are open", TooManyRequests, s.facts.openOrders)
	}
	return nil
}

// deal is what a take comes to: the fiat, the sats and both fees.
type deal struct {
	fiat   int64
	amount Sats
	fees   Fees
}

// bargain computes the deal of a take. A range needs the taker's choice, the market price a fresh quote; both must
// keep the limits under which the order was made.
func (s *step) bargain() (deal, error) {
	d := deal{s.o.Fiat.Amount, s.o.Amount, s.o.Fees}
	if s.o.Range() {
		slice := sliceOf(s.in.Act)
		if slice == nil || *slice < *s.o.Fiat.Min || *slice > *s.o.Fiat.Max {
			return d, fmt.Errorf("%w: fiat not in %d…%d", OutOfRangeSatsAmount, *s.o.Fiat.Min, *s.o.Fiat.Max)
		}
		d.fiat = *slice
	}
	if !s.o.Market {
		return d, nil
	}
	if s.in.Quote == nil {
		return d, PriceTooStale
	}
	d.amount = satsFor(d.fiat, s.in.Quote, s.o.Premium)
	t := s.tariff()
	d.fees = NewFees(max(d.amount, 0), t.Rate, t.Payer)
	return d, s.withinLimits(d.amount)
}

func sliceOf(a Act) *int64 {
	switch a := a.(type) {
	case TakeSell:
		return a.Fiat
	case TakeBuy:
		return a.Fiat
	}
	return nil
}

func fairDeal(s *step) error {
	_, err := s.bargain()
	return err
}

func termsExpiry(s *step) error {
	if e := s.in.Act.(NewOrder).Terms.ExpiresAt; e > 0 && e <= s.in.At {
		return fmt.Errorf("%w: expires in the past", InvalidParameters)
	}
	return nil
}

// makerInvoicePayable looks at the payout invoice of a buy order; on a sell order the field means nothing.
func makerInvoicePayable(s *step) error {
	a := s.in.Act.(NewOrder)
	switch {
	case a.Invoice == nil || a.Terms.Kind != Buy:
		return nil
	case a.Terms.Amount == 0 && a.Invoice.Amount != 0:
		return fmt.Errorf("%w: its amount is fixed and the order's is not", InvalidInvoice)
	}
	fees := NewFees(a.Terms.Amount, s.rules.FeeRate, s.rules.FeePayer)
	return s.payable(a.Invoice, a.Terms.Amount-fees.Buyer)
}

func takerInvoicePayable(s *step) error {
	inv := s.in.Act.(TakeSell).Invoice
	if inv == nil {
		return nil
	}
	d, err := s.bargain()
	if err != nil {
		return err
	}
	return s.payable(inv, d.amount-d.fees.Buyer)
}

func addedInvoicePayable(s *step) error {
	return s.payable(s.in.Act.(AddInvoice).Invoice, s.o.PaidOut())
}

// payable says whether we may promise to pay this invoice: what the node could read, for exactly the amount or for
// any, alive long enough, and never seen before on another order. A hash of a hold invoice of ours is refused, since
// nodes on the seller's route learn its preimage.
func (s *step) payable(inv *Invoice, amount Sats) error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{InvalidInvoice}, args...)...)
	}
	switch {
	case inv == nil || inv.Bolt11 == "" && inv.Destination == "":
		return no("none given")
	case inv.Problem != "":
		return no("%s", inv.Problem)
	case inv.Destination != "":
		return nil // the invoice is asked for, and judged, when it is time to pay
	case inv.Amount != 0 && inv.Amount != amount.Msats():
		return no("for %d msat, want %d", inv.Amount, amount.Msats())
	case inv.Expires < s.in.At+s.rules.InvoiceWindow:
		return no("expires in %d s, want %d", inv.Expires-s.in.At, s.rules.InvoiceWindow)
	case inv.CLTV > s.rules.MaxFinalCLTV:
		return no("final CLTV %d, want at most %d", inv.CLTV, s.rules.MaxFinalCLTV)
	case s.facts.invoiceIsHold:
		return no("its hash is that of a hold invoice")
	case !s.facts.invoiceUsedBy.IsZero() && s.facts.invoiceUsedBy != s.o.ID:
		return no("it belongs to another order")
	}
	return nil
}

// noPayoutInFlight: while a payment may still arrive, another invoice would be paid a second time.
func noPayoutInFlight(s *step) error {
	if s.o.Payout.InFlight && !planted.On("invoice-swapped") {
		return fmt.Errorf("%w: a payout is under way", NotAllowedByStatus)
	}
	return nil
}

func notCanceledYet(s *step) error {
	if s.o.Status == Canceled || s.o.Status == CanceledByAdmin || s.o.Status == CoopCanceled {
		return OrderAlreadyCanceled
	}
	return nil
}

func mayCancel(s *step) error {
	side, known := s.senderSide()
	switch {
	case s.o.Status == Pending && (!known || s.sender() != &s.o.Maker):
		return IsNotYourOrder
	case !known:
		return InvalidPubkey
	case s.o.CancelBy == side && s.o.Status != Pending:
		return fmt.Errorf("%w: asked already", InvalidPubkey)
	}
	return nil
}

func points(s *step) error {
	if p := s.in.Act.(RateUser).Points; p < 1 || p > 5 {
		return InvalidRating
	}
	return nil
}

func notRatedYet(s *step) error {
	if s.sender().Rated {
		return fmt.Errorf("%w: rated already", InvalidOrderStatus)
	}
	return nil
}

// makerIdentity: only who made the order may move it to another trade key.
func makerIdentity(otherwise Reason) guard {
	return func(s *step) error {
		if s.in.From.Identity != s.o.Maker.Identity {
			return otherwise
		}
		return nil
	}
}

func someAsked(s *step) error {
	if len(s.in.Act.(AskOrders).IDs) == 0 {
		return InvalidParameters
	}
	return nil
}

func fewAsked(s *step) error {
	if n := len(s.in.Act.(AskOrders).IDs); n > s.rules.MaxOrdersAsked {
		return fmt.Errorf("%w: %d orders in one request, at most %d", TooManyRequests, n, s.rules.MaxOrdersAsked)
	}
	return nil
}

func someFound(s *step) error {
	if len(s.facts.mine) == 0 {
		return NotFound
	}
	return nil
}

func userKnown(s *step) error {
	if s.facts.sender == nil {
		return NotFound
	}
	return nil
}

func refuseOther(s *step) error { return s.in.Act.(Other).Reason }
