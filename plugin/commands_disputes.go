package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/mostro-cln/mostro/orders"
)

// disputeList is the result of mostro-listdisputes.
type disputeList struct {
	Disputes []disputeRow `json:"disputes" about:"the page"`
	Next     string       `json:"next_before,omitempty" about:"for the next page; absent on the last one"`
}

// disputeView is a dispute without its order.
type disputeView struct {
	ID        string   `json:"dispute_id" about:"the dispute's id"`
	State     string   `json:"state" about:"initiated, in-progress, settled or seller-refunded"`
	By        string   `json:"opened_by" about:"buyer or seller; the buyer where the end of the escrow opened it"`
	OpenedAt  int64    `json:"opened_at" about:"unix seconds"`
	Solver    string   `json:"solver,omitempty" about:"key of who has taken it; the exchange's own for an operator"`
	TakenAt   int64    `json:"taken_at,omitempty" about:"when he did"`
	EndedAt   int64    `json:"ended_at,omitempty" about:"when it ended"`
	Verdict   *verdict `json:"verdict,omitempty" about:"what was decided, if somebody had to"`
	BlocksEnd uint32   `json:"expiry_block,omitempty" about:"block height at which the escrow ends"`
	Blocks    *int64   `json:"blocks_left,omitempty" about:"until then; 30 blocks before, the exchange acts by itself"`
}

type verdict struct {
	By  string `json:"by" about:"role, and key or way, of who decided"`
	For string `json:"for" about:"buyer or seller"`
	At  int64  `json:"at" about:"when"`
}

// disputeRow is a dispute as a list shows it.
type disputeRow struct {
	disputeView
	Order       string       `json:"order_id" about:"the order's id"`
	OrderStatus string       `json:"order_status" about:"of the order"`
	Amount      orders.Msats `json:"amount_msat" about:"of the order, without fee"`
	FiatCode    string       `json:"fiat_code" about:"currency"`
	FiatAmount  int64        `json:"fiat_amount" about:"in whole units of it"`
	BuyerKey    string       `json:"buyer_trade_key" about:"the buyer's key in this trade"`
	SellerKey   string       `json:"seller_trade_key" about:"the seller's"`
}

func newDisputeView(d *orders.Dispute) disputeView {
	v := disputeView{
		ID: d.ID.String(), State: string(d.State), By: string(d.By), OpenedAt: d.OpenedAt, TakenAt: d.TakenAt, EndedAt: d.EndedAt,
	}
	if !d.Solver.IsZero() {
		v.Solver = d.Solver.String()
	}
	if w := d.Verdict; w != nil {
		v.Verdict = &verdict{By: w.By.String(), For: string(orders.Seller), At: w.At}
		if w.Settle {
			v.Verdict.For = string(orders.Buyer)
		}
	}
	return v
}

// blocks says how long the escrow lasts, while it does.
func (v *disputeView) blocks(h *orders.Hold, height uint32) {
	if h == nil || h.State != orders.HoldAccepted || h.MinExpiry == 0 {
		return
	}
	v.BlocksEnd = h.MinExpiry
	if height != 0 {
		left := int64(h.MinExpiry) - int64(height)
		v.Blocks = &left
	}
}

func newDisputeRow(c *orders.Case, height uint32) disputeRow {
	o := &c.Order
	r := disputeRow{
		disputeView: newDisputeView(&c.Dispute), Order: o.ID.String(), OrderStatus: string(o.Status), Amount: o.Amount.Msats(),
		FiatCode: o.Fiat.Code, FiatAmount: o.Fiat.Amount,
		BuyerKey: o.Party(orders.Buyer).Trade.String(), SellerKey: o.Party(orders.Seller).Trade.String(),
	}
	r.disputeView.blocks(c.Hold, height)
	return r
}

func listDisputes(ctx context.Context, m market, r request) (disputeList, error) {
	q := orders.DisputeQuery{Solver: r.key("solver")}
	q.Limit, q.Before = r.page()
	switch state := r.text("state", statusOpen); state {
	case statusOpen:
		q.Open = true
	case "all":
	default:
		q.State = orders.DisputeState(state)
	}
	page, next, err := m.Exchange().Disputes(q)
	if err != nil {
		return disputeList{}, fmt.Errorf("list disputes: %w", err)
	}
	list := disputeList{Disputes: make([]disputeRow, len(page)), Next: hexCursor(next)}
	height := uint32(0)
	if len(page) > 0 {
		height = heightOf(ctx, m)
	}
	for i := range page {
		list.Disputes[i] = newDisputeRow(&page[i], height)
	}
	return list, nil
}

// taken is the result of mostro-takedispute.
type taken struct {
	Changed bool       `json:"changed" about:"false: it was taken so before"`
	Dispute disputeRow `json:"dispute" about:"as it is now"`
}

func takeDispute(ctx context.Context, m market, r request) (t taken, err error) {
	before, err := caseOf(m, r.order("dispute"))
	if err != nil {
		return t, err
	}
	out, err := r.do(ctx, m, before.Order.ID, orders.AdminTake{Dispute: before.Dispute.ID, Operator: r.caller()})
	if err != nil {
		return t, fmt.Errorf("take a dispute: %w", err)
	}
	now, err := caseOf(m, orders.OrderID(before.Dispute.ID))
	if err != nil {
		return t, err
	}
	if out.Reason != "" {
		return t, wrongState(&now.Order, out.Reason, "dispute %s cannot be taken: it is %s, its order %s", now.Dispute.ID, now.Dispute.State, now.Order.Status)
	}
	t.Changed = now.Dispute.TakenAt != before.Dispute.TakenAt || now.Dispute.Solver != before.Dispute.Solver || now.Dispute.State != before.Dispute.State
	t.Dispute = newDisputeRow(&now, heightOf(ctx, m))
	return t, nil
}

// caseOf finds a dispute by its id or by its order's.
func caseOf(m market, id orders.OrderID) (c orders.Case, err error) {
	e := m.Exchange()
	c, ok, err := e.Dispute(orders.DisputeID(id))
	if err == nil && !ok {
		var o orders.Order
		if o, ok, err = e.Order(id); ok {
			if ok = o.Dispute != nil; ok {
				c, ok, err = e.Dispute(o.Dispute.ID)
			}
		}
	}
	switch {
	case err != nil:
		return c, fmt.Errorf("read a dispute: %w", err)
	case !ok:
		return c, refusal(codeNotFound, nil, "there is no dispute %s, and no dispute of an order with that id", id)
	}
	return c, nil
}

// do does an operator's act on an order.
func (r request) do(ctx context.Context, m market, id orders.OrderID, act orders.Act) (orders.Outcome, error) {
	in := orders.Input{At: r.now.Unix(), Seed: newSeed(), Order: id, Act: act}
	rand.Read(in.ID[:])
	return m.Exchange().Do(ctx, in)
}

// decided is the result of mostro-settleorder and mostro-cancelorder.
type decided struct {
	Order   string `json:"order_id" about:"the order's id"`
	Status  string `json:"status" about:"now"`
	Changed bool   `json:"changed" about:"false: it was decided so before"`
}

func settleOrder(ctx context.Context, m market, r request) (decided, error) {
	return decide(ctx, m, r, "give %s of order %s to the buyer", func(o *orders.Order) bool {
		return o.FreedBy == orders.FreedBySolver && (o.Status == orders.Settling || o.Status == orders.SettledHoldInvoice || o.Status == orders.Success)
	},
		orders.AdminSettle{Operator: r.caller(), Note: r.text("note", "")})
}

func cancelOrder(ctx context.Context, m market, r request) (decided, error) {
	return decide(ctx, m, r, "end order %[2]s and give what is locked of its %[1]s back to the seller",
		func(o *orders.Order) bool { return o.Status == orders.CanceledByAdmin },
		orders.AdminCancel{Operator: r.caller(), Note: r.text("note", "")})
}

// decide gives a verdict once. What was decided so before is no error, so that a call whose answer was lost can be made
// again.
func decide(ctx context.Context, m market, r request, would string, already func(*orders.Order) bool, act orders.Act) (decided, error) {
	id := r.order("order_id")
	e := m.Exchange()
	o, ok, err := e.Order(id)
	if err != nil {
		return decided{}, fmt.Errorf("read an order: %w", err)
	}
	if !ok {
		return decided{}, orderNotFound(id)
	}
	if c := r.text("confirm", ""); c == "" || !strings.HasPrefix(id.String(), c) {
		return decided{}, refusal(codeConfirm, map[string]any{"order_id": id.String(), "status": string(o.Status)},
			"this would "+would+", and cannot be undone; the order is %[3]s. To do it, add confirm=%[4]s", o.Amount, id, o.Status, id.String()[:4])
	}
	out, err := r.do(ctx, m, id, act)
	if err != nil {
		return decided{}, fmt.Errorf("decide an order: %w", err)
	}
	before := o.Status
	if o, _, err = e.Order(id); err != nil {
		return decided{}, fmt.Errorf("read an order: %w", err)
	}
	if out.Reason != "" && !already(&o) || out.Reason == "" && o.Status == orders.CoopCanceled {
		return decided{}, wrongState(&o, out.Reason, "order %s is %s: nothing was decided", id, o.Status)
	}
	return decided{Order: id.String(), Status: string(o.Status), Changed: out.Reason == "" && o.Status != before}, nil
}
