package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// market is the running exchange, as far as the RPC methods read it. Orders and Story are those of orders.Engine.
type market interface {
	// Overview says how the exchange is doing.
	Overview(ctx context.Context) (overview, error)
	// Orders returns a page of orders from the newest on, and the cursor of the next page.
	Orders(q orders.Query) (page []orders.Order, next []byte, err error)
	// Story returns everything that is known of one order.
	Story(id orders.OrderID) (s orders.Story, ok bool, err error)
	// Reconcile compares the store with the node and, if repair is set, mends what differs.
	Reconcile(ctx context.Context, repair bool) (reconciled, error)
	// Backup writes the store to a new file, of our own naming if path is empty; os.ErrExist if it is there already.
	Backup(ctx context.Context, path string) (backup, error)
	// CheckStore looks at the whole store.
	CheckStore(ctx context.Context) (storeCheck, error)
}

// relayState is one relay as we see it now.
type relayState struct {
	URL       string `json:"url"`
	Connected bool   `json:"connected"`
}

// priceState is one source of prices as we see it now.
type priceState struct {
	Source  string `json:"source"`
	Working bool   `json:"working"`
	Error   string `json:"error,omitempty"`
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
	Prices        []priceState   `json:"prices"`
	Currencies    int            `json:"currencies"` // that have a fresh price
	StartedAt     int64          `json:"started_at"`
	WarningEscrow string         `json:"warning_escrow,omitempty"`
	WarningRelays string         `json:"warning_relays,omitempty"`
	WarningPrices string         `json:"warning_prices,omitempty"`
	WarningSync   string         `json:"warning_sync,omitempty"`
	WarningDisk   string         `json:"warning_disk,omitempty"`
	pageState
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
		about: "List orders, newest first; {status} picks one status or `open`, {before} is the next_before of the page before",
		params: []param{
			{name: "status", optional: true, kind: statusParam},
			{name: "limit", optional: true, kind: countParam},
			{name: "before", optional: true, kind: cursorParam},
		},
		call: listOrders,
	},
	{
		name:   "mostro-showorder",
		about:  "Show one order with its escrow, history and ledger",
		params: []param{{name: "order_id", kind: orderParam}},
		call:   showOrder,
	},
	{
		name:   "mostro-reconcile",
		about:  "Compare the trades with the node's hold invoices and payments, as every ten minutes; {repair} true mends what differs",
		params: []param{{name: "repair", optional: true, kind: boolParam}},
		call:   reconcileNow,
	},
	{
		name:   "mostro-backup",
		about:  "Write a consistent copy of the database while trades go on, to {path} or to the directory `backups` beside it",
		params: []param{{name: "path", optional: true, kind: pathParam}},
		call:   backupNow,
	},
	{
		name:  "mostro-check",
		about: "Look at every page and record of the database while trades go on, and say whether it is sound",
		call:  checkStore,
	},
}

// statusOpen picks every order that has not ended.
const statusOpen = "open"

var statusParam = paramKind{"open, or a status such as pending, active or success", func(token string, _ bool) (string, bool) {
	return token, token == statusOpen || slices.Contains(orders.Statuses, orders.Status(token))
}}

var cursorParam = paramKind{"the next_before of another page", func(token string, _ bool) (string, bool) {
	raw, err := hex.DecodeString(token)
	return token, err == nil && len(raw) > 0 && len(raw) <= 64
}}

func listOrders(_ context.Context, m market, a args) (any, error) {
	limit := a.count("limit", defaultListed)
	if limit < 1 || limit > maxListed {
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "limit: should be from 1 to %d: invalid token '%d'", maxListed, limit)
	}
	q := orders.Query{Limit: int(limit)}
	switch status := a.text("status", ""); status {
	case statusOpen:
		q.Open = true
	default:
		q.Status = orders.Status(status)
	}
	if cursor, err := hex.DecodeString(a.text("before", "")); err == nil && len(cursor) > 0 {
		q.Before = cursor
	}
	page, next, err := m.Orders(q)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	list := orderList{Orders: make([]orderRow, len(page)), Next: hex.EncodeToString(next)}
	for i := range page {
		list.Orders[i] = newOrderRow(&page[i])
	}
	return list, nil
}

// orderList is the result of mostro-listorders.
type orderList struct {
	Orders []orderRow `json:"orders"`
	Next   string     `json:"next_before,omitempty"` // absent on the last page
}

func showOrder(_ context.Context, m market, a args) (any, error) {
	id := a.order("order_id")
	s, ok, err := m.Story(id)
	if err != nil {
		return nil, fmt.Errorf("show order: %w", err)
	}
	if !ok {
		return nil, &clnio.Error{Code: codeOrderNotFound, Message: "order " + id.String() + " not found", Data: fmt.Appendf(nil, `{"order_id":%q}`, id)}
	}
	return newOrderDetail(&s), nil
}

// orderRow is an order as the operator sees it in a list. Identity keys stay out: next to trade keys they would tell
// who trades with whom.
type orderRow struct {
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
	Hold      *holdRow            `json:"hold,omitempty"`
	Payout    *payoutRow          `json:"payout,omitempty"`
	History   []orders.Transition `json:"history"`
	Ledger    []orders.Entry      `json:"ledger"`
	Owed      []owedRow           `json:"owed"`
}

// holdRow is the order's present hold invoice, without its preimage.
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

// owedRow is something that still has to leave.
type owedRow struct {
	Number      uint64 `json:"number"`
	Lane        string `json:"lane"`
	NotBeforeAt int64  `json:"not_before_at,omitempty"`
}

func newOrderDetail(s *orders.Story) orderDetail {
	o := &s.Order
	d := orderDetail{orderRow: newOrderRow(o), History: s.History, Ledger: s.Ledger, Owed: []owedRow{}}
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
	for _, r := range s.Owed {
		d.Owed = append(d.Owed, owedRow{r.Number, string(r.Effect.Lane()), r.NotBefore})
	}
	if d.History == nil {
		d.History = []orders.Transition{}
	}
	if d.Ledger == nil {
		d.Ledger = []orders.Entry{}
	}
	return d
}
