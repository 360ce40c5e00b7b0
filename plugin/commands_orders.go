package main

import (
	"context"
	"fmt"

	"github.com/mostro-cln/mostro/orders"
)

// orderList is the result of mostro-listorders.
type orderList struct {
	Orders []orderRow `json:"orders" about:"the page"`
	Next   string     `json:"next_before,omitempty" about:"for the next page; absent on the last one"`
}

func listOrders(_ context.Context, m market, r request) (orderList, error) {
	q := orders.Query{Kind: orders.Kind(r.text("kind", "")), Fiat: r.text("currency", ""), Period: r.period(r.now)}
	q.Limit, q.Before = r.page()
	if status := r.text("status", ""); status == statusOpen {
		q.Open = true
	} else {
		q.Status = orders.Status(status)
	}
	page, next, err := ordersOf(m, q, r.key("party"))
	if err != nil {
		return orderList{}, fmt.Errorf("list orders: %w", err)
	}
	list := orderList{Orders: make([]orderRow, len(page)), Next: hexCursor(next)}
	for i := range page {
		list.Orders[i] = newOrderRow(&page[i])
	}
	return list, nil
}

// partyCursor is the length of a cursor in the index of a party's orders; that of all orders is shorter.
const partyCursor = 32 + 8 + 16

// ordersOf finds orders of a party by its identity or, if that has none, by a trade key, which takes a look at every
// order.
func ordersOf(m market, q orders.Query, party orders.PubKey) (page []orders.Order, next []byte, err error) {
	if party.IsZero() {
		return m.Orders(q)
	}
	if q.Before == nil || len(q.Before) == partyCursor {
		q.Party = party
		if page, next, err = m.Orders(q); err != nil || len(page) > 0 || next != nil || q.Before != nil {
			return page, next, err
		}
	}
	q.Party, q.Trade = orders.PubKey{}, party
	return m.Orders(q)
}

// orderRow is an order as the operator sees it in a list. Identity keys stay out: next to trade keys they would tell
// who trades with whom.
type orderRow struct {
	ID            string       `json:"order_id" about:"the order's id"`
	Kind          string       `json:"kind" about:"buy or sell: what the maker wants to do with sats"`
	Status        string       `json:"status" about:"where the trade stands; contrib/docs/lifecycle.md has all"`
	Amount        orders.Msats `json:"amount_msat" about:"without fee; 0: at the market price, not yet known"`
	Fee           orders.Msats `json:"fee_msat" about:"of both sides"`
	FiatCode      string       `json:"fiat_code" about:"currency"`
	FiatAmount    int64        `json:"fiat_amount" about:"in whole units of it"`
	FiatMin       *int64       `json:"fiat_min,omitempty" about:"of a range"`
	FiatMax       *int64       `json:"fiat_max,omitempty" about:"of a range"`
	Premium       int64        `json:"premium" about:"percent over the market price"`
	PaymentMethod string       `json:"payment_method" about:"how the fiat is paid, in the maker's words"`
	CreatedAt     int64        `json:"created_at" about:"unix seconds, as all times"`
	ExpiresAt     int64        `json:"expires_at" about:"end of its life on the book"`
	TakenAt       int64        `json:"taken_at,omitempty" about:"start of the present duty of a party"`
	HeldAt        int64        `json:"held_at,omitempty" about:"when the escrow was locked"`
	DeadlineAt    int64        `json:"deadline_at,omitempty" about:"when the present status ends by itself"`
}

func newOrderRow(o *orders.Order) orderRow {
	return orderRow{
		ID: o.ID.String(), Kind: string(o.Kind), Status: string(o.Status),
		Amount: o.Amount.Msats(), Fee: o.Fees.Total().Msats(),
		FiatCode: o.Fiat.Code, FiatAmount: o.Fiat.Amount, FiatMin: o.Fiat.Min, FiatMax: o.Fiat.Max,
		Premium: o.Premium, PaymentMethod: o.PaymentMethod,
		CreatedAt: o.CreatedAt, ExpiresAt: o.ExpiresAt, TakenAt: o.TakenAt, HeldAt: o.HeldAt, DeadlineAt: o.Deadline,
	}
}

// orderDetail is the result of mostro-showorder.
type orderDetail struct {
	orderRow
	BuyerKey  string       `json:"buyer_trade_key,omitempty" about:"the buyer's key in this trade"`
	SellerKey string       `json:"seller_trade_key,omitempty" about:"the seller's"`
	Hold      *holdRow     `json:"hold,omitempty" about:"the present hold invoice"`
	Payout    *payoutRow   `json:"payout,omitempty" about:"what the buyer gave to be paid by"`
	Dispute   *disputeView `json:"dispute,omitempty" about:"the order's only dispute"`
	History   []historyRow `json:"history" about:"each change of the status, oldest first"`
	Ledger    []entryRow   `json:"ledger" about:"each movement of money, oldest first"`
	Owed      []owedRow    `json:"owed" about:"what still has to leave: messages, events, calls to the node"`
}

// holdRow is the order's present hold invoice, without its preimage.
type holdRow struct {
	PaymentHash string       `json:"payment_hash" about:"of the invoice"`
	State       string       `json:"state" about:"creating, open, accepted, settling, settled, canceling or canceled"`
	Amount      orders.Msats `json:"amount_msat" about:"asked for"`
	Held        orders.Msats `json:"held_msat" about:"locked"`
	MinExpiry   uint32       `json:"min_expiry,omitempty" about:"block height at which the first part ends"`
	Bolt11      string       `json:"bolt11,omitempty" about:"the invoice"`
	CreatedAt   int64        `json:"created_at" about:"when it was decided on"`
}

type payoutRow struct {
	PaymentHash string       `json:"payment_hash" about:"of the invoice"`
	Amount      orders.Msats `json:"amount_msat" about:"what the buyer gets"`
	Bolt11      string       `json:"bolt11" about:"the invoice, BOLT 11 or 12"`
	Attempts    int          `json:"attempts" about:"that have failed"`
	InFlight    bool         `json:"in_flight" about:"an attempt is owed or under way"`
}

type historyRow struct {
	At    int64  `json:"at" about:"when"`
	From  string `json:"from,omitempty" about:"status before; absent for a new order"`
	To    string `json:"to" about:"status after"`
	On    string `json:"on" about:"what happened"`
	Input string `json:"input" about:"id of the message or report"`
}

type entryRow struct {
	At     int64        `json:"at" about:"when"`
	What   string       `json:"what" about:"locked, refunded, settled, paid, routed, kept or owed"`
	Amount orders.Msats `json:"amount_msat" about:"how much"`
	Hash   string       `json:"payment_hash" about:"of the payment"`
}

// owedRow is something that still has to leave.
type owedRow struct {
	Number      uint64 `json:"number" about:"in the order of sending"`
	Lane        string `json:"lane" about:"a queue: what stands in the same one goes out in order"`
	NotBeforeAt int64  `json:"not_before_at,omitempty" about:"not sooner"`
}

func showOrder(ctx context.Context, m market, r request) (orderDetail, error) {
	id := r.order("order_id")
	s, ok, err := m.Story(id)
	if err != nil {
		return orderDetail{}, fmt.Errorf("show order: %w", err)
	}
	if !ok {
		return orderDetail{}, orderNotFound(id)
	}
	d := newOrderDetail(&s)
	if d.Dispute != nil {
		d.Dispute.blocks(s.Hold, heightOf(ctx, m))
	}
	return d, nil
}

func newOrderDetail(s *orders.Story) orderDetail {
	o := &s.Order
	d := orderDetail{orderRow: newOrderRow(o), History: []historyRow{}, Ledger: []entryRow{}, Owed: []owedRow{}}
	if p := o.Party(orders.Buyer); p.Here() {
		d.BuyerKey = p.Trade.String()
	}
	if p := o.Party(orders.Seller); p.Here() {
		d.SellerKey = p.Trade.String()
	}
	if h := s.Hold; h != nil {
		d.Hold = &holdRow{h.Hash.String(), string(h.State), h.Amount, h.Held, h.MinExpiry, h.Bolt11, h.CreatedAt}
	}
	if o.Payout.Invoice != "" {
		d.Payout = &payoutRow{o.Payout.Hash.String(), o.PaidOut().Msats(), o.Payout.Invoice, o.Payout.Attempts, o.Payout.InFlight}
	}
	if o.Dispute != nil {
		v := newDisputeView(o.Dispute)
		d.Dispute = &v
	}
	for _, h := range s.History {
		d.History = append(d.History, historyRow{h.At, string(h.From), string(h.To), string(h.On), h.Input})
	}
	for _, e := range s.Ledger {
		d.Ledger = append(d.Ledger, entryRow{e.At, string(e.What), e.Msats, e.Hash.String()})
	}
	for _, r := range s.Owed {
		d.Owed = append(d.Owed, owedRow{r.Number, string(r.Effect.Lane()), r.NotBefore})
	}
	return d
}

// heightOf is the block height, 0 if the node does not say.
func heightOf(ctx context.Context, m market) uint32 {
	height, err := m.Height(ctx)
	if err != nil {
		return 0
	}
	return height
}
