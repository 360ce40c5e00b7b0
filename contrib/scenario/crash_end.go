package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// End is everything that a trade has left behind, without what differs from one run to the next (keys, times, hashes).
type End struct {
	text   string // a line for each fact
	failed bool   // somebody heard of an attempt to pay that failed
}

// Differs is nil where both ends are the same; else the error shows both. One letter more is right: whoever is killed
// after he has noted that a payment begins, and before he begins it, has made an attempt that failed, and says so.
func (e End) Differs(undisturbed End) error {
	if e.text == undisturbed.text && (e.failed || !undisturbed.failed) {
		return nil
	}
	return fmt.Errorf("the end is not that of the undisturbed run\n-- undisturbed:\n%s-- now:\n%s", undisturbed, e)
}

// String is one line for each fact.
func (e End) String() string { return fmt.Sprintf("%spayment   failed: %v\n", e.text, e.failed) }

// detail is an order as mostro-showorder has it.
type detail struct {
	Status orders.Status `json:"status"`
	Hold   *struct {
		Hash  orders.Hash  `json:"payment_hash"`
		State string       `json:"state"`
		Held  orders.Msats `json:"held_msat"`
	} `json:"hold"`
	History []orders.Transition `json:"history"`
	Ledger  []orders.Entry      `json:"ledger"`
	Owed    []struct {
		Lane string `json:"lane"`
	} `json:"owed"`
}

func (d *Deal) detail(ctx context.Context) (o detail, err error) {
	err = d.w.Node.Call(ctx, "mostro-showorder", map[string]any{"order_id": d.ID().String()}, &o)
	return o, err
}

// settle waits until nothing is under way any more: the order has ended, nothing is owed to anybody, no sats hang.
func (d *Deal) settle(ctx context.Context) error {
	return until(ctx, "all is quiet", func() (bool, error) {
		o, err := d.detail(ctx)
		if err != nil {
			return false, err
		}
		var info Info
		if err := d.w.Node.Call(ctx, "mostro-info", nil, &info); err != nil {
			return false, err
		}
		if !o.Status.Final() || len(o.Owed) > 0 || info.Outbox > 0 {
			return false, fmt.Errorf("the order is %s, %d rows are owed, %d in all", o.Status, len(o.Owed), info.Outbox)
		}
		for _, p := range []*Person{d.Seller, d.Buyer} {
			_, locked, err := p.Wallet.Balance(ctx)
			if err != nil || locked != 0 {
				return false, fmt.Errorf("%s has %s locked: %w", p.Name, locked, err)
			}
		}
		return true, nil
	})
}

// end reads what the trade has left behind. Paid is how many payouts the node had made before.
func (d *Deal) end(ctx context.Context, paid int) (End, error) {
	var b strings.Builder
	failed := false
	o, err := d.detail(ctx)
	if err != nil {
		return End{}, err
	}
	fmt.Fprintf(&b, "order     %s, by %s\n", o.Status, path(o.History))
	for _, e := range ledger(o.Ledger) {
		fmt.Fprintf(&b, "ledger    %s\n", e)
	}
	if o.Hold != nil {
		var held struct {
			State string       `json:"state"`
			Held  orders.Msats `json:"held_msat"`
		}
		if err := d.w.Node.Call(ctx, "holdinvoicelookup", map[string]any{"payment_hash": o.Hold.Hash}, &held); err != nil {
			return End{}, err
		}
		fmt.Fprintf(&b, "hold      %s, at the holder %s with %d msat\n", o.Hold.State, held.State, int64(held.Held))
	}
	now, err := d.w.payouts(ctx)
	if err != nil {
		return End{}, err
	}
	fmt.Fprintf(&b, "payouts   %d\n", now-paid)
	for _, p := range []*Person{d.Seller, d.Buyer} {
		free, locked, err := p.Wallet.Balance(ctx)
		if err != nil {
			return End{}, err
		}
		fmt.Fprintf(&b, "%-9s %+d msat, %d locked\n", p.Name, int64(free-p.start), int64(locked))
		list, bad := heard(d.trade(p))
		failed = failed || bad
		fmt.Fprintf(&b, "%-9s heard %s\n", p.Name, strings.Join(list, ", "))
	}
	return End{b.String(), failed}, d.sound(ctx)
}

// path is the statuses of an order in their order. An attempt to pay that a crash has cut off is counted as failed and
// made again; that leaves rows in the history, and no status.
func path(history []orders.Transition) string {
	var list []string
	for _, t := range history {
		if n := len(list); n == 0 || list[n-1] != string(t.To) {
			list = append(list, string(t.To))
		}
	}
	return strings.Join(list, " → ")
}

func ledger(rows []orders.Entry) (list []string) {
	for _, e := range rows {
		list = append(list, fmt.Sprintf("%s %d", e.What, int64(e.Msats)))
	}
	slices.Sort(list)
	return list
}

// asks are the letters that may come more than once where an attempt to pay was cut off: of these only that they came.
var asks = map[nostrio.Action]bool{nostrio.ActAddInvoice: true, nostrio.ActInvoiceUpdated: true}

// heard is what a client was told, sorted: each letter counts once, however often its event came.
func heard(t *trader.Trade) (list []string, failed bool) {
	seen := map[orders.EventID]bool{}
	for _, m := range t.Messages() {
		word := string(m.Action)
		if m.Reason != "" {
			word += "(" + string(m.Reason) + ")"
		}
		switch {
		case seen[m.EventID] || asks[m.Action] && slices.Contains(list, word):
		case m.Action == nostrio.ActPaymentFailed:
			failed = true
		default:
			list = append(list, word)
		}
		seen[m.EventID] = true
	}
	slices.Sort(list)
	return list, failed
}

// payouts counts the invoices that the node has paid.
func (w *World) payouts(ctx context.Context) (n int, err error) {
	var r struct {
		Payments []struct {
			Hash   orders.Hash `json:"payment_hash"`
			Status string      `json:"status"`
		} `json:"payments"`
	}
	if err := w.Node.Call(ctx, "listsendpays", map[string]any{}, &r); err != nil {
		return 0, err
	}
	paid := map[orders.Hash]bool{}
	for _, p := range r.Payments {
		if p.Status == string(PaymentComplete) {
			paid[p.Hash] = true
		}
	}
	return len(paid), nil
}

// sound has everybody look at his own books.
func (d *Deal) sound(ctx context.Context) error {
	var check struct {
		Problems []string `json:"problems"`
	}
	if err := d.w.Node.Call(ctx, "mostro-check", nil, &check); err != nil {
		return err
	}
	if len(check.Problems) > 0 {
		return fmt.Errorf("the store is not sound: %q", check.Problems)
	}
	var found struct {
		Findings []struct {
			What string `json:"what"`
		} `json:"findings"`
	}
	if err := d.w.Node.Call(ctx, "mostro-reconcile", nil, &found); err != nil {
		return err
	}
	if len(found.Findings) > 0 {
		return fmt.Errorf("store and node differ: %+v", found.Findings)
	}
	if a, ok := d.w.Node.(interface{ Audit(context.Context) error }); ok {
		return a.Audit(ctx)
	}
	return nil
}

// settled waits for the quiet, and for whatever is still on its way to the clients: an answer that was asked for last
// comes last.
func (d *Deal) settled(ctx context.Context) error {
	if err := d.settle(ctx); err != nil {
		return err
	}
	return errors.Join(d.Seller.SyncIndex(ctx), d.Buyer.SyncIndex(ctx))
}
