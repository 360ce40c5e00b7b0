package main

import (
	"context"
	"fmt"

	"github.com/mostro-cln/mostro/plugin/lightning"
)

// Reconcile implements market.
func (h *house) Reconcile(ctx context.Context, repair bool) (reconciled, error) {
	all, looked, err := h.recon.Pass(ctx, repair)
	if err != nil {
		return reconciled{}, err
	}
	return newReconciled(all, looked, repair), nil
}

// reconciled is the result of mostro-reconcile.
type reconciled struct {
	Repair   bool       `json:"repair"`
	Looked   int        `json:"looked_at"` // hold invoices
	Findings []foundRow `json:"findings"`
}

type foundRow struct {
	OrderID string `json:"order_id,omitempty"` // absent: the store knows nothing of it
	Hash    string `json:"payment_hash"`       // of the hold
	What    string `json:"what"`
	Action  string `json:"action"`
	Alarm   bool   `json:"alarm"`           // a person should look
	Waits   bool   `json:"waits,omitempty"` // it may end by itself; nothing is done yet
	Done    bool   `json:"done"`            // the action was carried out
	Error   string `json:"error,omitempty"` // why it was not
}

func newReconciled(all []lightning.Found, looked int, repair bool) reconciled {
	r := reconciled{Repair: repair, Looked: looked, Findings: make([]foundRow, len(all))}
	for i, f := range all {
		row := foundRow{Hash: f.Hash.String(), What: f.What, Action: f.Action, Alarm: f.Alarm, Waits: f.Waits, Done: f.Done}
		if !f.Order.IsZero() {
			row.OrderID = f.Order.String()
		}
		if f.Err != nil {
			row.Error = f.Err.Error()
		}
		r.Findings[i] = row
	}
	return r
}

func reconcileNow(ctx context.Context, m market, a args) (any, error) {
	r, err := m.Reconcile(ctx, a.text("repair", "false") == "true")
	if err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	return r, nil
}
