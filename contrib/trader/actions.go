package trader

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// OrderSpec is an order to be published.
type OrderSpec struct {
	Kind       orders.Kind
	Amount     orders.Sats // 0: at the market price of the day it is taken
	Fiat       string      // currency code, ISO 4217
	FiatAmount int64       // whole units; 0 on a range
	Min, Max   int64       // a range of fiat amounts, of which the taker chooses one; needs Amount 0
	Method     string      // one payment method or several, with commas between
	Premium    int64       // percent on the market price
	Invoice    string      // where a buyer wants the sats: BOLT 11 or Lightning address; can follow later
	ExpiresAt  int64       // unix seconds; 0: as the Mostro does by default
}

// NewOrder publishes an order and returns when the Mostro has accepted it. If the Mostro wants a bond first, that
// message waits for Expect, and new-order follows.
func (t *Trader) NewOrder(ctx context.Context, spec OrderSpec) (*Trade, error) {
	o := nostrio.SmallOrder{
		Kind: nostrio.Kind(spec.Kind), Status: nostrio.Status(orders.Pending), Amount: int64(spec.Amount),
		FiatCode: spec.Fiat, FiatAmount: spec.FiatAmount, PaymentMethod: spec.Method, Premium: spec.Premium,
		CreatedAt: new(int64), ExpiresAt: optional(spec.ExpiresAt),
	}
	if spec.Max != 0 || spec.Min != 0 {
		o.MinAmount, o.MaxAmount = &spec.Min, &spec.Max
	}
	if spec.Invoice != "" {
		o.BuyerInvoice = &spec.Invoice
	}
	side := orders.Buyer
	if spec.Kind == orders.Sell {
		side = orders.Seller
	}
	tr, err := t.begin(record{Side: side, Kind: spec.Kind, Maker: true, Range: o.MaxAmount != nil})
	if err != nil {
		return nil, err
	}
	m, err := tr.ask(ctx, nostrio.Body{Action: nostrio.ActNewOrder, TradeIndex: tr.tradeIndex(), Payload: o},
		nostrio.ActNewOrder, nostrio.ActPayBondInvoice)
	if err != nil {
		return nil, tr.failed(err)
	}
	if m.Action == nostrio.ActNewOrder {
		tr.consume(m)
	}
	return tr, nil
}

// TakeOpts says how an order is taken.
type TakeOpts struct {
	Kind       orders.Kind // of the order; "": as the book says
	FiatAmount int64       // for a range, whole units
	Invoice    string      // where a buyer wants the sats; can follow later
}

// Take takes an order and returns when the Mostro has accepted that. Its first message, which says what to do next,
// waits for Expect.
func (t *Trader) Take(ctx context.Context, id orders.OrderID, opts TakeOpts) (*Trade, error) {
	if opts.Kind == "" {
		book, err := t.Book(ctx)
		if err != nil {
			return nil, fmt.Errorf("take order %s: %w", id, err)
		}
		o, ok := book.Order(id)
		if !ok {
			return nil, fmt.Errorf("take order %s: it is not in the book", id)
		}
		opts.Kind = o.Kind
	}
	action, side := nostrio.ActTakeSell, orders.Buyer
	if opts.Kind == orders.Buy {
		action, side = nostrio.ActTakeBuy, orders.Seller
	}
	if side == orders.Seller && opts.Invoice != "" {
		return nil, fmt.Errorf("take order %s: who sells needs no invoice", id)
	}
	var payload nostrio.Payload
	switch {
	case opts.Invoice != "":
		payload = nostrio.PaymentRequest{Invoice: opts.Invoice, Amount: optional(opts.FiatAmount)}
	case opts.FiatAmount != 0:
		payload = nostrio.Amount(opts.FiatAmount)
	}
	tr, err := t.begin(record{Side: side, Kind: opts.Kind, Order: id})
	if err != nil {
		return nil, err
	}
	body := nostrio.Body{Action: action, ID: (*nostrio.UUID)(&id), TradeIndex: tr.tradeIndex(), Payload: payload}
	_, err = tr.ask(ctx, body, nostrio.ActAddInvoice, nostrio.ActPayInvoice, nostrio.ActPayBondInvoice,
		nostrio.ActWaitingSellerToPay)
	if err != nil {
		return nil, tr.failed(err)
	}
	return tr, nil
}

// AddInvoice says where the buyer wants the sats: a BOLT 11 invoice or a Lightning address. It also replaces an invoice
// that could not be paid.
func (tr *Trade) AddInvoice(ctx context.Context, invoice string) error {
	return tr.act(ctx, nostrio.ActAddInvoice, nostrio.PaymentRequest{Invoice: invoice}, nostrio.ActWaitingSellerToPay,
		nostrio.ActHoldInvoicePaymentAccepted, nostrio.ActInvoiceUpdated)
}

// AddBondInvoice says where to pay the share of a bond that the other side has lost.
func (tr *Trade) AddBondInvoice(ctx context.Context, invoice string) error {
	return tr.act(ctx, nostrio.ActAddBondInvoice, nostrio.PaymentRequest{Invoice: invoice}, nostrio.ActBondInvoiceAccepted)
}

// FiatSent is the buyer's word that the fiat is on its way.
func (tr *Trade) FiatSent(ctx context.Context) error {
	return tr.actWithRest(ctx, orders.Buyer, nostrio.ActFiatSent, nostrio.ActFiatSentOk)
}

// Release is the seller's word that the fiat has come: the escrow goes to the buyer.
func (tr *Trade) Release(ctx context.Context) error {
	return tr.actWithRest(ctx, orders.Seller, nostrio.ActRelease, nostrio.ActHoldInvoicePaymentSettled, nostrio.ActRate)
}

// Cancel takes back an order, a take, or asks the other side to end a running trade together.
func (tr *Trade) Cancel(ctx context.Context) error {
	return tr.act(ctx, nostrio.ActCancel, nil, nostrio.ActCanceled, nostrio.ActCooperativeCancelByYou,
		nostrio.ActCooperativeCancelAccepted)
}

// Dispute asks for a solver.
func (tr *Trade) Dispute(ctx context.Context) error {
	return tr.act(ctx, nostrio.ActDispute, nil, nostrio.ActDisputeByYou)
}

// Rate gives the other side 1 to 5 stars. A Mostro passes over it in silence (ErrNoReply) if the other side has no
// reputation, or was rated before.
func (tr *Trade) Rate(ctx context.Context, stars int) error {
	if stars < 1 || stars > 5 {
		return fmt.Errorf("rate %d: want 1 to 5", stars)
	}
	return tr.act(ctx, nostrio.ActRateUser, nostrio.RatingUser(stars), nostrio.ActRateReceived)
}

func (tr *Trade) act(ctx context.Context, a nostrio.Action, p nostrio.Payload, answers ...nostrio.Action) error {
	id := tr.ID()
	if id.IsZero() {
		return fmt.Errorf("%s: the order has no id yet", a)
	}
	_, err := tr.ask(ctx, nostrio.Body{Action: a, ID: (*nostrio.UUID)(&id), Payload: p}, answers...)
	return err
}

// actWithRest is act, and on an own range order it announces the key for the rest, if it is our side's word that makes
// the rest an order.
func (tr *Trade) actWithRest(ctx context.Context, side orders.Side, a nostrio.Action, answers ...nostrio.Action) error {
	tr.t.mu.Lock()
	r := tr.record
	tr.t.mu.Unlock()
	if !r.Maker || !r.Range || r.Side != side {
		return tr.act(ctx, a, nil, answers...)
	}
	rest, known := tr.Rest() // one that an earlier try announced is announced again
	if !known {
		var err error
		if rest, err = tr.t.begin(record{Side: side, Kind: r.Kind, Maker: true, Range: true}); err != nil {
			return err
		}
		if err := tr.setRest(rest.Index()); err != nil {
			return err
		}
	}
	return tr.act(ctx, a, nostrio.NextTrade{PubKey: rest.PubKey().String(), Index: rest.Index()}, answers...)
}

func (tr *Trade) setRest(index uint32) error {
	tr.t.mu.Lock()
	tr.record.Rest = index
	tr.t.mu.Unlock()
	return tr.t.states.update(func(st *state) {
		if r := st.find(tr.record.Index); r != nil {
			r.Rest = index
		}
	})
}

// failed tidies up after a first request: a trade that the Mostro has refused, or never heard of, is forgotten; one
// without an answer may have begun and stays.
func (tr *Trade) failed(err error) error {
	if !errors.Is(err, ErrNoReply) {
		tr.t.abandon(tr)
	}
	return err
}

// consume marks a message as returned.
func (tr *Trade) consume(m Message) {
	tr.t.mu.Lock()
	defer tr.t.mu.Unlock()
	for i := range tr.messages {
		if tr.messages[i].EventID == m.EventID {
			tr.taken[i] = true
		}
	}
}

// tradeIndex is told only with an identity, whose counter it is.
func (tr *Trade) tradeIndex() *int64 {
	if tr.t.cfg.FullPrivacy {
		return nil
	}
	i := int64(min(tr.record.Index, math.MaxInt32))
	return &i
}

func optional(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}
