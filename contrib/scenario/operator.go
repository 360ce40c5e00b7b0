package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Operator are stories of the operator's commands, for every kind of node.
var Operator = []Story{
	{"the operator pauses the exchange, drains it and resumes", operatorPauses},
	{"a banned user is refused, and his running trade goes on", userBanned},
	{"the operator changes fee and limits", feeChanged},
	{"the operator settles a dispute for the buyer", operatorSettles},
	{"the operator takes a dispute and refunds the seller", operatorRefunds},
	{"the operator names a solver and sends him away", solverByCommand},
	{"another plugin hears of trades and disputes", othersHear},
	{"an alarm reaches another plugin and the admin", alarmRaised},
}

// operate makes a call of the operator.
func (w *World) operate(ctx context.Context, method string, params map[string]any, result any) error {
	w.say("operator", "lightning-cli %s %v", method, params)
	if err := w.Node.Call(ctx, method, params, result); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// refusedWith wants a call to fail with a code.
func (w *World) refusedWith(ctx context.Context, code int, method string, params map[string]any) error {
	err := w.operate(ctx, method, params, nil)
	var told *clnio.Error
	if !errors.As(err, &told) || told.Code != code {
		return fmt.Errorf("%s %v: got %w, want code %d", method, params, err, code)
	}
	w.say("operator", "hears: %s", told.Message)
	return nil
}

// refused wants a person's new order to be refused.
func (w *World) refused(ctx context.Context, p *Person, amount orders.Sats, want orders.Reason) error {
	_, err := p.NewOrder(ctx, trader.OrderSpec{Kind: orders.Sell, Amount: amount, Fiat: "EUR", FiatAmount: 50, Method: "SEPA"})
	if !errors.Is(err, want) {
		return fmt.Errorf("a new order of %s: got %w, want %w", p.Name, err, want)
	}
	return nil
}

type draining struct {
	Safe bool         `json:"safe_to_stop"`
	Held orders.Msats `json:"held_msat"`
}

func operatorPauses(ctx context.Context, w *World) (err error) {
	running, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	if err := running.PlayUntil(ctx, "meet"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Node.Call(ctx, "mostro-resume", nil, nil)) }()
	if err := w.operate(ctx, "mostro-pause", map[string]any{"reason": "new disk"}, nil); err != nil {
		return err
	}
	if err := w.refused(ctx, running.Buyer, Amount, orders.NotAllowedByStatus); err != nil {
		return err
	}
	var d draining
	if err := w.operate(ctx, "mostro-drain", nil, &d); err != nil {
		return err
	}
	if d.Safe || d.Held == 0 {
		return fmt.Errorf("with sats locked it is safe to stop: %+v", d)
	}
	done := make(chan error, 1)
	go func() { done <- w.Node.Call(ctx, "mostro-drain", map[string]any{"wait": 60}, &d) }()
	if err := running.playAfter(ctx, "meet"); err != nil {
		return err
	}
	if err := <-done; err != nil || !d.Safe {
		return fmt.Errorf("after the last trade it is not safe to stop: %+v, %w", d, err)
	}
	w.say("operator", "hears that it is safe to stop")
	if err := w.operate(ctx, "mostro-resume", nil, nil); err != nil {
		return err
	}
	if err := happy(orders.Buy, orders.Direct)(ctx, w); err != nil {
		return fmt.Errorf("after the pause: %w", err)
	}
	return running.Settled(ctx)
}

func userBanned(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	if err := d.PlayUntil(ctx, "meet"); err != nil {
		return err
	}
	whom := map[string]any{"user": d.ID().String() + ":seller"}
	var ban struct {
		Key orders.PubKey `json:"key"`
	}
	if err := w.operate(ctx, "mostro-banuser", map[string]any{"user": whom["user"], "reason": "in a test", "by": "tester"}, &ban); err != nil {
		return err
	}
	if ban.Key != d.Seller.Identity() {
		return fmt.Errorf("the ban is on %s, the seller is %s", ban.Key, d.Seller.Identity())
	}
	if err := w.refused(ctx, d.Seller, Amount, orders.InvalidPubkey); err != nil {
		return err
	}
	if err := d.playAfter(ctx, "meet"); err != nil {
		return fmt.Errorf("his running trade: %w", err)
	}
	if err := w.operate(ctx, "mostro-unbanuser", whom, nil); err != nil {
		return err
	}
	if err := w.refusedWith(ctx, 3010, "mostro-unbanuser", whom); err != nil {
		return err
	}
	if _, err := d.Seller.NewOrder(ctx, trader.OrderSpec{Kind: orders.Sell, Amount: Amount, Fiat: "EUR", FiatAmount: 50, Method: "SEPA"}); err != nil {
		return fmt.Errorf("after the ban: %w", err)
	}
	return w.audited(ctx, "ban-user", "tester")
}

// audited wants the newest row of an act to name who did it.
func (w *World) audited(ctx context.Context, what, by string) error {
	var audit struct {
		Records []struct {
			Name string `json:"name"`
		} `json:"records"`
	}
	if err := w.Node.Call(ctx, "mostro-audit", map[string]any{"what": what, "limit": 1}, &audit); err != nil {
		return err
	}
	if len(audit.Records) != 1 || !strings.HasSuffix(audit.Records[0].Name, by) {
		return fmt.Errorf("the audit of %s has %+v, want it by %s", what, audit.Records, by)
	}
	w.say("operator", "reads in the audit: %s by %q", what, audit.Records[0].Name)
	return nil
}

func feeChanged(ctx context.Context, w *World) (err error) {
	old, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	if err := old.Publish(ctx); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, w.Node.Call(ctx, "mostro-setfee", map[string]any{"fee": "default"}, nil),
			w.Node.Call(ctx, "mostro-setlimits", map[string]any{"min_order": "default", "max_order": "default"}, nil))
	}()
	if err := w.operate(ctx, "mostro-setfee", map[string]any{"fee": "0.01"}, nil); err != nil {
		return err
	}
	if err := w.operate(ctx, "mostro-setlimits", map[string]any{"max_order": "40000sat"}, nil); err != nil {
		return err
	}
	if err := w.refusedWith(ctx, 3002, "mostro-setlimits", map[string]any{"min_order": "50000sat"}); err != nil {
		return err
	}
	if err := w.refused(ctx, old.Buyer, Amount, orders.OutOfRangeSatsAmount); err != nil {
		return err
	}
	err = until(ctx, "the info event has the new fee and limit", func() (bool, error) {
		info, err := old.Buyer.Info(ctx)
		return err == nil && info.Fee == 0.01 && info.MaxAmount == 40_000, err
	})
	if err != nil {
		return err
	}
	if err := old.playAfter(ctx, "publish"); err != nil { // it keeps the fee and the limit of its making
		return err
	}
	return old.Settled(ctx)
}

func operatorSettles(ctx context.Context, w *World) error {
	d, _, err := w.disputed(ctx, orders.Sell, orders.Direct, orders.Seller)
	if err != nil {
		return err
	}
	id := d.ID().String()
	if err := w.refusedWith(ctx, 3011, "mostro-settleorder", map[string]any{"order_id": id}); err != nil {
		return err
	}
	wrong := map[bool]string{true: "0000", false: "ffff"}[id[0] == 'f']
	if err := w.refusedWith(ctx, 3011, "mostro-settleorder", map[string]any{"order_id": id, "confirm": wrong}); err != nil {
		return err
	}
	verdict := map[string]any{"order_id": id, "confirm": id[:4], "note": "receipt seen", "by": "tester"}
	var r struct {
		Changed bool `json:"changed"`
	}
	for _, want := range []bool{true, false} { // the second time its answer had been lost
		if err := w.operate(ctx, "mostro-settleorder", verdict, &r); err != nil || r.Changed != want {
			return fmt.Errorf("changed %v, want %v: %w", r.Changed, want, err)
		}
	}
	if err := d.bothHear(ctx, nostrio.ActAdminSettled); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	if err := w.refusedWith(ctx, 3002, "mostro-cancelorder", verdict); err != nil {
		return err
	}
	if err := w.audited(ctx, "admin-settle", "tester"); err != nil {
		return err
	}
	return d.Settled(ctx)
}

func operatorRefunds(ctx context.Context, w *World) error {
	d, dispute, err := w.disputed(ctx, orders.Buy, orders.Direct, orders.Buyer)
	if err != nil {
		return err
	}
	var list struct {
		Disputes []struct {
			ID    orders.DisputeID `json:"dispute_id"`
			Order orders.OrderID   `json:"order_id"`
			Left  int              `json:"blocks_left"`
		} `json:"disputes"`
	}
	if err := w.operate(ctx, "mostro-listdisputes", nil, &list); err != nil {
		return err
	}
	if len(list.Disputes) == 0 || list.Disputes[0].ID != dispute || list.Disputes[0].Order != d.ID() || list.Disputes[0].Left == 0 {
		return fmt.Errorf("the list of disputes is %+v", list)
	}
	var r struct {
		Changed bool `json:"changed"`
	}
	for _, want := range []bool{true, false} {
		if err := w.operate(ctx, "mostro-takedispute", map[string]any{"dispute": dispute.String()}, &r); err != nil || r.Changed != want {
			return fmt.Errorf("taken: changed %v, want %v: %w", r.Changed, want, err)
		}
	}
	if err := d.bothHear(ctx, nostrio.ActAdminTookDispute); err != nil {
		return err
	}
	id := d.ID().String()
	for _, want := range []bool{true, false} {
		if err := w.operate(ctx, "mostro-cancelorder", map[string]any{"order_id": id, "confirm": id[:8]}, &r); err != nil || r.Changed != want {
			return fmt.Errorf("canceled: changed %v, want %v: %w", r.Changed, want, err)
		}
	}
	if err := d.bothHear(ctx, nostrio.ActAdminCanceled); err != nil {
		return err
	}
	return d.Untouched(ctx)
}

func solverByCommand(ctx context.Context, w *World) error {
	words, err := trader.NewMnemonic()
	if err != nil {
		return err
	}
	solver, err := w.official(ctx, "solver", words)
	if err != nil {
		return err
	}
	key := map[string]any{"key": nostrio.Npub(solver.t.Identity())}
	if err := w.operate(ctx, "mostro-addsolver", key, nil); err != nil {
		return err
	}
	d, id, err := w.disputed(ctx, orders.Sell, orders.Direct, orders.Buyer)
	if err != nil {
		return err
	}
	if err := solver.take(ctx, d, id); err != nil {
		return err
	}
	if err := w.operate(ctx, "mostro-removesolver", key, nil); err != nil {
		return err
	}
	if err := solver.Cancel(ctx, d.ID()); err == nil {
		return errors.New("a solver decided who had been sent away")
	}
	order := d.ID().String()
	if err := w.operate(ctx, "mostro-cancelorder", map[string]any{"order_id": order, "confirm": order[:4]}, nil); err != nil {
		return err
	}
	return d.Untouched(ctx)
}

func othersHear(ctx context.Context, w *World) (err error) {
	heard, stop, err := w.listen(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	d, _, err := w.disputed(ctx, orders.Sell, orders.Direct, orders.Buyer)
	if err != nil {
		return err
	}
	if err := d.Release(ctx); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	return until(ctx, "the listener has heard of everything in order", func() (bool, error) {
		n, err := heard(ctx)
		if err != nil {
			return false, err
		}
		at, states := orders.Status(""), []orders.DisputeState{}
		for _, o := range n.Orders {
			if o.Order != d.ID() {
				continue
			}
			if o.Before != at {
				return false, fmt.Errorf("%s follows %s, not %s", o.Status, o.Before, at)
			}
			at = o.Status
		}
		for _, x := range n.Disputes {
			if x.Order == d.ID() {
				states = append(states, x.State)
			}
		}
		w.say("listener", "has heard of %s, and of a dispute %v", at, states)
		return at == orders.Success && fmt.Sprint(states) == "[initiated settled]", nil
	})
}

// alarmRaised: somebody makes a hold invoice under the exchange's labels. The operator hears of it in the log, through
// another plugin, and over Nostr.
func alarmRaised(ctx context.Context, w *World) (err error) {
	heard, stop, err := w.listen(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	admin, err := w.official(ctx, "admin", adminWords)
	if err != nil {
		return err
	}
	var made struct {
		Hash orders.Hash `json:"payment_hash"`
	}
	stranger := map[string]any{"amount_msat": 1000, "label": "mostro/by-hand-" + fmt.Sprint(time.Now().UnixNano()), "description": "x", "cltv": 100}
	if err := w.Node.Call(ctx, "holdinvoice", stranger, &made); err != nil {
		return err
	}
	if err := w.operate(ctx, "mostro-reconcile", map[string]any{"repair": true}, nil); err != nil {
		return err
	}
	err = until(ctx, "the listener has heard of the alarm", func() (bool, error) {
		n, err := heard(ctx)
		for _, a := range n.Alerts {
			if strings.Contains(a.Text, made.Hash.String()) {
				w.say("listener", "hears: %s", a.Text)
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return err
	}
	for {
		m, err := admin.Expect(ctx, nostrio.ActSendDM)
		if err != nil {
			return fmt.Errorf("the admin waits for the alarm: %w", err)
		}
		if text, ok := m.Payload.(nostrio.TextMessage); ok && strings.Contains(string(text), made.Hash.String()) {
			w.say("admin", "hears: %s", text)
			return nil
		}
	}
}
