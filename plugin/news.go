package main

import (
	"context"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// news tells other plugins what becomes of orders and disputes, until ctx ends. It is the reader of the engine's moves;
// the outlet drops what lightningd does not read, so that nothing waits for anybody.
func (h *house) news(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-h.Moves():
			if n := h.MissedMoves(); n > 0 {
				h.log.Warn("notifications about orders were dropped", "count", n)
			}
			h.tell(&m)
		}
	}
}

func (h *house) tell(m *orders.Move) {
	if m.Changed() {
		h.shell.Notify(topicOrder, newOrderNews(m))
	}
	if m.DisputeChanged() && m.Order.Dispute != nil {
		h.shell.Notify(topicDispute, newDisputeNews(m))
	}
}

func newOrderNews(m *orders.Move) orderNews {
	o := &m.Order
	return orderNews{
		Order: o.ID.String(), Kind: string(o.Kind), Status: string(o.Status), Before: string(m.From), On: string(m.On),
		Amount: o.Amount.Msats(), Fee: o.Fees.Total().Msats(), FiatCode: o.Fiat.Code, FiatAmount: o.Fiat.Amount, At: o.UpdatedAt,
	}
}

func newDisputeNews(m *orders.Move) disputeNews {
	o, d := &m.Order, m.Order.Dispute
	n := disputeNews{
		Dispute: d.ID.String(), Order: o.ID.String(), State: string(d.State), Before: string(m.Dispute), By: string(d.By),
		Status: string(o.Status), Amount: o.Amount.Msats(), At: max(d.OpenedAt, d.TakenAt, d.EndedAt),
	}
	if !d.Solver.IsZero() {
		n.Solver = d.Solver.String()
	}
	return n
}

// ring tells other plugins of an alert.
func (h *house) ring(b orders.Bell) {
	n := alertNews{Number: b.Number, Text: b.Text, At: time.Now().Unix()}
	if !b.Order.IsZero() {
		n.Order = b.Order.String()
	}
	h.shell.Notify(topicAlert, n)
}

// alarm owes the operator an alert that is about no order.
func (h *house) alarm(ctx context.Context, text string) {
	if err := h.Alert(ctx, orders.OrderID{}, text, time.Now().Unix(), newSeed()); err != nil && ctx.Err() == nil {
		h.log.Error("owe an alert", "text", text, "err", err)
	}
}
