package trader

import (
	"context"
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// deskSub are messages to the identity key.
const deskSub = "desk"

// Office is where an admin or a solver works: under the identity key, without a trade key. Whether the Mostro knows the
// key as such shows in its answers.
type Office struct {
	t    *Trader
	desk *Trade
}

// Office opens the office. Messages to the identity key are heard from now on.
func (t *Trader) Office() *Office { return &Office{t, t.openDesk()} }

// openDesk listens to the identity key, once.
func (t *Trader) openDesk() *Trade {
	key := t.identity.PubKey().String()
	t.mu.Lock()
	first := t.desk == nil
	if first {
		t.desk = &Trade{t: t, key: t.identity, taken: make(map[int]bool)}
		t.byKey[key] = t.desk
	}
	desk := t.desk
	t.mu.Unlock()
	if first {
		t.relays.subscribe(deskSub, t.mailFor([]string{key}, time.Now().Unix())...)
	}
	return desk
}

// AddSolver names a solver, or changes what he may do. It is for the Mostro's admin.
func (o *Office) AddSolver(ctx context.Context, solver orders.PubKey, level orders.Level) error {
	text := nostrio.TextMessage(nostrio.Npub(solver) + ":" + string(level))
	_, err := o.desk.ask(ctx, nostrio.Body{Action: nostrio.ActAdminAddSolver, Payload: text}, nostrio.ActAdminAddSolver)
	return err
}

// Take takes a dispute and returns what the Mostro tells of it.
func (o *Office) Take(ctx context.Context, id orders.DisputeID) (nostrio.SolverDisputeInfo, error) {
	body := nostrio.Body{Action: nostrio.ActAdminTakeDispute, ID: (*nostrio.UUID)(&id)}
	m, err := o.desk.ask(ctx, body, nostrio.ActAdminTookDispute)
	if err != nil {
		return nostrio.SolverDisputeInfo{}, err
	}
	if d, ok := m.Payload.(nostrio.Dispute); ok && d.Info != nil {
		return *d.Info, nil
	}
	return nostrio.SolverDisputeInfo{}, fmt.Errorf("%s: the answer tells nothing of the dispute", body.Action)
}

// Settle decides for the buyer, and returns when the escrow is settled.
func (o *Office) Settle(ctx context.Context, id orders.OrderID) error {
	return o.decide(ctx, nostrio.ActAdminSettle, nostrio.ActAdminSettled, id)
}

// Cancel decides for the seller.
func (o *Office) Cancel(ctx context.Context, id orders.OrderID) error {
	return o.decide(ctx, nostrio.ActAdminCancel, nostrio.ActAdminCanceled, id)
}

func (o *Office) decide(ctx context.Context, a, answer nostrio.Action, id orders.OrderID) error {
	_, err := o.desk.ask(ctx, nostrio.Body{Action: a, ID: (*nostrio.UUID)(&id)}, answer)
	return err
}

// Expect returns the next message to the office with one of the actions, as Trade.Expect does.
func (o *Office) Expect(ctx context.Context, actions ...nostrio.Action) (Message, error) {
	return o.desk.Expect(ctx, actions...)
}
