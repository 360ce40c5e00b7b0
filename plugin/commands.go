package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// market is the running exchange, as far as the RPC methods read it.
type market interface {
	// Overview says how the exchange is doing.
	Overview(ctx context.Context) (overview, error)
	// Orders returns orders in the order of their making: those numbered from start on, at most limit of them. An empty
	// status means all.
	Orders(ctx context.Context, status orders.Status, start uint64, limit int) ([]numberedOrder, error)
	// Order returns everything that is known of one order, or errNoOrder.
	Order(ctx context.Context, id orders.OrderID) (orderRecord, error)
}

// errNoOrder is what market.Order returns for an id that it does not know.
var errNoOrder = errors.New("no such order")

// numberedOrder is an order and its place in the order of making, from 1.
type numberedOrder struct {
	Index uint64
	Order orders.Order
}

// orderRecord is an order with all that belongs to it.
type orderRecord struct {
	Order   orders.Order
	Holds   []orders.Hold
	History []orders.Transition
	Ledger  []orders.Entry
}

// relayState is one relay as we see it now.
type relayState struct {
	URL       string `json:"url"`
	Connected bool   `json:"connected"`
}

// overview is the result of mostro-info. Empty warnings are left out.
type overview struct {
	Version       string         `json:"version"`
	Pubkey        string         `json:"pubkey"` // the exchange's Nostr key, hex
	NodeID        string         `json:"node_id"`
	NodeVersion   string         `json:"node_version"`
	Network       string         `json:"network"`
	BlockHeight   uint32         `json:"blockheight"`
	Open          bool           `json:"accepts_orders"`
	HoldPlugin    string         `json:"hold_plugin"`
	Relays        []relayState   `json:"relays"`
	Fee           string         `json:"fee"` // fraction
	FeePayer      string         `json:"fee_payer"`
	MinOrder      orders.Msats   `json:"min_order_msat"`
	MaxOrder      orders.Msats   `json:"max_order_msat"`
	HoldCLTV      uint32         `json:"hold_cltv"`
	Orders        map[string]int `json:"orders"` // status → how many
	Held          orders.Msats   `json:"held_msat"`
	Outbox        int            `json:"outbox"` // effects that still have to leave
	StartedAt     int64          `json:"started_at"`
	WarningEscrow string         `json:"warning_escrow,omitempty"`
	WarningRelays string         `json:"warning_relays,omitempty"`
	WarningSync   string         `json:"warning_sync,omitempty"`
}

const (
	defaultListed = 100
	maxListed     = 1000
)

// methods is the table of RPC methods.
var methods = []*method{
	{
		name:  "mostro-info",
		about: "Show the exchange's key, state and settings",
		call: func(ctx context.Context, m market, _ args) (any, error) {
			return m.Overview(ctx)
		},
	},
	{
		name:  "mostro-listorders",
		about: "List orders, oldest first; {status} picks one status, {start} and {limit} page by created_index",
		params: []param{
			{name: "status", optional: true, kind: statusParam},
			{name: "start", optional: true, kind: countParam},
			{name: "limit", optional: true, kind: countParam},
		},
		call: listOrders,
	},
	{
		name:   "mostro-showorder",
		about:  "Show one order with its escrow, history and ledger",
		params: []param{{name: "order_id", kind: orderParam}},
		call:   showOrder,
	},
}

var statusParam = paramKind{"a status such as pending, active or success", func(token string, _ bool) (string, bool) {
	for _, s := range orders.Statuses {
		if token == string(s) {
			return token, true
		}
	}
	return token, false
}}

func listOrders(ctx context.Context, m market, a args) (any, error) {
	limit := a.count("limit", defaultListed)
	if limit < 1 || limit > maxListed {
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "limit: should be from 1 to %d: invalid token '%d'", maxListed, limit)
	}
	found, err := m.Orders(ctx, orders.Status(a.text("status", "")), a.count("start", 1), int(limit))
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	rows := make([]orderRow, len(found))
	for i, n := range found {
		rows[i] = newOrderRow(&n.Order)
		rows[i].CreatedIndex = n.Index
	}
	return map[string]any{"orders": rows}, nil
}

func showOrder(ctx context.Context, m market, a args) (any, error) {
	id := a.order("order_id")
	r, err := m.Order(ctx, id)
	if errors.Is(err, errNoOrder) {
		return nil, &clnio.Error{Code: codeOrderNotFound, Message: "order " + id.String() + " not found", Data: fmt.Appendf(nil, `{"order_id":%q}`, id)}
	}
	if err != nil {
		return nil, fmt.Errorf("show order: %w", err)
	}
	return newOrderDetail(&r), nil
}

// orderRow is an order as the operator sees it in a list. Identity keys stay out: next to trade keys they would tell
// who trades with whom.
type orderRow struct {
	CreatedIndex  uint64       `json:"created_index,omitempty"`
	ID            string       `json:"order_id"`
	Kind          string       `json:"kind"`
	Status        string       `json:"status"`
	Amount        orders.Msats `json:"amount_msat"` // 0: at market price, not yet known
	Fee           orders.Msats `json:"fee_msat"`
	FiatCode      string       `json:"fiat_code"`
	FiatAmount    int64        `json:"fiat_amount"`
	FiatMin       *int64       `json:"fiat_min,omitempty"`
	FiatMax       *int64       `json:"fiat_max,omitempty"`
	Premium       int64        `json:"premium"`
	PaymentMethod string       `json:"payment_method"`
	CreatedAt     int64        `json:"created_at"`
	ExpiresAt     int64        `json:"expires_at"`
	TakenAt       int64        `json:"taken_at,omitempty"`
	HeldAt        int64        `json:"held_at,omitempty"`
	DeadlineAt    int64        `json:"deadline_at,omitempty"`
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

type orderDetail struct {
	orderRow
	BuyerKey  string              `json:"buyer_trade_key,omitempty"`
	SellerKey string              `json:"seller_trade_key,omitempty"`
	Holds     []holdRow           `json:"holds"`
	Payout    *payoutRow          `json:"payout,omitempty"`
	History   []orders.Transition `json:"history"`
	Ledger    []orders.Entry      `json:"ledger"`
}

// holdRow is a hold invoice without its preimage.
type holdRow struct {
	PaymentHash string       `json:"payment_hash"`
	State       string       `json:"state"`
	Amount      orders.Msats `json:"amount_msat"`
	Held        orders.Msats `json:"held_msat"`
	MinExpiry   uint32       `json:"min_expiry,omitempty"` // block height
	Bolt11      string       `json:"bolt11,omitempty"`
	CreatedAt   int64        `json:"created_at"`
}

type payoutRow struct {
	PaymentHash string       `json:"payment_hash"`
	Amount      orders.Msats `json:"amount_msat"`
	Bolt11      string       `json:"bolt11"`
	Attempts    int          `json:"attempts"`
	InFlight    bool         `json:"in_flight"`
}

func newOrderDetail(r *orderRecord) orderDetail {
	o := &r.Order
	d := orderDetail{orderRow: newOrderRow(o), Holds: []holdRow{}, History: r.History, Ledger: r.Ledger}
	if p := o.Party(orders.Buyer); p.Here() {
		d.BuyerKey = p.Trade.String()
	}
	if p := o.Party(orders.Seller); p.Here() {
		d.SellerKey = p.Trade.String()
	}
	for _, h := range r.Holds {
		d.Holds = append(d.Holds, holdRow{h.Hash.String(), string(h.State), h.Amount, h.Held, h.MinExpiry, h.Bolt11, h.CreatedAt})
	}
	if o.Payout.Invoice != "" {
		d.Payout = &payoutRow{o.Payout.Hash.String(), o.PaidOut().Msats(), o.Payout.Invoice, o.Payout.Attempts, o.Payout.InFlight}
	}
	if d.History == nil {
		d.History = []orders.Transition{}
	}
	if d.Ledger == nil {
		d.Ledger = []orders.Entry{}
	}
	return d
}
