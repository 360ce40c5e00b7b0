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
	Repair   bool       `json:"repair" about:"as asked for"`
	Looked   int        `json:"looked_at" about:"hold invoices that were compared"`
	Findings []foundRow `json:"findings" about:"what differs"`
}

type foundRow struct {
	OrderID string `json:"order_id,omitempty" about:"absent: the store knows nothing of it"`
	Hash    string `json:"payment_hash" about:"of the hold invoice"`
	What    string `json:"what" about:"the difference"`
	Action  string `json:"action" about:"what is done about it"`
	Alarm   bool   `json:"alarm" about:"a person should look"`
	Waits   bool   `json:"waits,omitempty" about:"it may end by itself; nothing is done yet"`
	Done    bool   `json:"done" about:"the action was carried out"`
	Error   string `json:"error,omitempty" about:"why it was not"`
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

func reconcileNow(ctx context.Context, m market, r request) (reconciled, error) {
	r.tell("asking the node about every trade under way")
	found, err := m.Reconcile(ctx, r.yes("repair"))
	if err != nil {
		return found, fmt.Errorf("reconcile: %w", err)
	}
	if !found.Repair {
		return found, nil
	}
	mended := 0
	for _, f := range found.Findings {
		if f.Done {
			mended++
		}
	}
	return found, r.record(ctx, m, "reconcile", fmt.Sprintf("%d of %d findings mended", mended, len(found.Findings)))
}
