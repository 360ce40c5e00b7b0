package scenario

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// adminWords are the admin's of every world here. No secret: they are a test vector of BIP-39.
const adminWords = "legal winner thank year wave sausage worth useful legal winner thank yellow"

// AdminKey is what the exchange's option mostro-admins must be for the stories of disputes.
const AdminKey = "48bf8d9be859632aa40aa81650f6c627f68d28b011a1d5a5c4a306ff00437f79"

// Disputes are stories of disputes, for every kind of node.
var Disputes = []Story{
	{"a dispute is settled for the buyer", disputeSettled},
	{"a dispute is refunded to the seller", disputeRefunded},
	{"a dispute ends with the seller's release", disputeReleased},
	{"a dispute passes from a solver who may only read to another", disputePasses},
	{"the exchange is killed in the middle of a dispute", disputeInterrupted},
}

// Official is an admin or a solver: a client without a wallet.
type Official struct {
	*trader.Office
	Name string

	w      *World
	t      *trader.Trader
	docket *trader.Docket
}

// official makes a client of the words and has it read the list of disputes.
func (w *World) official(ctx context.Context, name, words string) (*Official, error) {
	t, err := trader.New(trader.Config{
		Mnemonic: words, Relays: w.Relays, Mostro: w.Mostro, Way: orders.Direct, Patience: 45 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("%s's client: %w", name, err)
	}
	w.mu.Lock()
	w.officials = append(w.officials, t)
	w.mu.Unlock()
	o := &Official{Office: t.Office(), Name: name, w: w, t: t}
	if o.docket, err = t.Docket(ctx); err != nil {
		return nil, fmt.Errorf("%s reads the list of disputes: %w", name, err)
	}
	return o, nil
}

// Solver makes a solver, whom the admin names.
func (w *World) Solver(ctx context.Context, name string, level orders.Level) (*Official, error) {
	admin, err := w.official(ctx, "admin", adminWords)
	if err != nil {
		return nil, err
	}
	words, err := trader.NewMnemonic()
	if err != nil {
		return nil, err
	}
	o, err := w.official(ctx, name, words)
	if err != nil {
		return nil, err
	}
	w.say("admin", "→ mostro: admin-add-solver, %s may %s", name, level)
	if err := admin.AddSolver(ctx, o.t.Identity(), level); err != nil {
		return nil, fmt.Errorf("name %s a solver: %w", name, err)
	}
	return o, nil
}

// disputed plays a trade until the fiat is said to be sent, and has a party open a dispute, of which everybody hears.
func (w *World) disputed(ctx context.Context, kind orders.Kind, way orders.Way, by orders.Side) (*Deal, orders.DisputeID, error) {
	var id orders.DisputeID
	d, err := w.NewDeal(ctx, kind, Amount, way)
	if err != nil {
		return nil, id, err
	}
	if err := d.PlayUntil(ctx, "pay fiat"); err != nil {
		return nil, id, err
	}
	who, other := d.Buyer, d.Seller
	if by == orders.Seller {
		who, other = d.Seller, d.Buyer
	}
	w.say(who.Name, "→ mostro: dispute")
	if err := d.trade(who).Dispute(ctx); err != nil {
		return nil, id, fmt.Errorf("open a dispute: %w", err)
	}
	m, err := who.expect(ctx, d.trade(who), nostrio.ActDisputeByYou)
	if err != nil {
		return nil, id, err
	}
	peer, err := other.expect(ctx, d.trade(other), nostrio.ActDisputeByPeer)
	if err != nil {
		return nil, id, err
	}
	if id = m.Dispute(); id.IsZero() || peer.Dispute() != id {
		return nil, id, fmt.Errorf("the parties hear of the disputes %s and %s", id, peer.Dispute())
	}
	if err := d.trade(other).Dispute(ctx); !errors.Is(err, orders.DisputeCreationError) {
		return nil, id, fmt.Errorf("a second dispute: %w", err)
	}
	return d, id, nil
}

// take has a solver take a dispute and checks what he and the parties hear.
func (o *Official) take(ctx context.Context, d *Deal, id orders.DisputeID) error {
	o.w.say(o.Name, "→ mostro: admin-take-dispute")
	info, err := o.Take(ctx, id)
	if err != nil {
		return fmt.Errorf("%s takes the dispute: %w", o.Name, err)
	}
	if info.ID != nostrio.UUID(d.ID()) || info.Preimage != nil || info.BuyerPubKey == nil || *info.BuyerPubKey != d.purchase.PubKey().String() {
		return fmt.Errorf("%s learns of another order, of another buyer, or of the preimage: %v", o.Name, info)
	}
	for _, p := range []*Person{d.Buyer, d.Seller} {
		m, err := p.expect(ctx, d.trade(p), nostrio.ActAdminTookDispute)
		if err != nil {
			return err
		}
		if peer, ok := m.Payload.(nostrio.Peer); !ok || peer.PubKey != o.t.Identity().String() {
			return fmt.Errorf("%s hears of solver %+v", p.Name, m.Payload)
		}
	}
	return o.sees(ctx, id, orders.DisputeInProgress)
}

// sees waits for the dispute's event.
func (o *Official) sees(ctx context.Context, id orders.DisputeID, s orders.DisputeState) error {
	return o.docket.Await(ctx, id, s)
}

// bothHear waits until both parties have heard something.
func (d *Deal) bothHear(ctx context.Context, a nostrio.Action) error {
	for _, p := range []*Person{d.Buyer, d.Seller} {
		if _, err := p.expect(ctx, d.trade(p), a); err != nil {
			return err
		}
	}
	return nil
}

func disputeSettled(ctx context.Context, w *World) error {
	solver, err := w.Solver(ctx, "solver", orders.LevelReadWrite)
	if err != nil {
		return err
	}
	d, id, err := w.disputed(ctx, orders.Sell, orders.Direct, orders.Buyer)
	if err != nil {
		return err
	}
	if err := solver.sees(ctx, id, orders.DisputeInitiated); err != nil {
		return err
	}
	if err := solver.Settle(ctx, d.ID()); !errors.Is(err, orders.IsNotYourDispute) {
		return fmt.Errorf("a verdict on a dispute that was not taken: %w", err)
	}
	if err := solver.take(ctx, d, id); err != nil {
		return err
	}
	w.say("solver", "→ mostro: admin-settle")
	if err := solver.Settle(ctx, d.ID()); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if err := d.bothHear(ctx, nostrio.ActAdminSettled); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	if err := solver.sees(ctx, id, orders.DisputeSettled); err != nil {
		return err
	}
	return d.Settled(ctx)
}

func disputeRefunded(ctx context.Context, w *World) error {
	solver, err := w.Solver(ctx, "solver", orders.LevelReadWrite)
	if err != nil {
		return err
	}
	d, id, err := w.disputed(ctx, orders.Buy, orders.GiftWrap, orders.Seller)
	if err != nil {
		return err
	}
	if err := solver.take(ctx, d, id); err != nil {
		return err
	}
	return solver.refund(ctx, d, id)
}

// refund decides for the seller and checks the end.
func (o *Official) refund(ctx context.Context, d *Deal, id orders.DisputeID) error {
	o.w.say(o.Name, "→ mostro: admin-cancel")
	if err := o.Cancel(ctx, d.ID()); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	if err := d.bothHear(ctx, nostrio.ActAdminCanceled); err != nil {
		return err
	}
	if err := o.sees(ctx, id, orders.DisputeRefunded); err != nil {
		return err
	}
	if _, err := o.w.AwaitStatus(ctx, d.ID(), orders.CanceledByAdmin); err != nil {
		return err
	}
	if err := d.bookSays(ctx, "canceled"); err != nil {
		return err
	}
	return d.Untouched(ctx)
}

func disputeReleased(ctx context.Context, w *World) error {
	solver, err := w.Solver(ctx, "solver", orders.LevelReadWrite)
	if err != nil {
		return err
	}
	d, id, err := w.disputed(ctx, orders.Sell, orders.GiftWrap, orders.Buyer)
	if err != nil {
		return err
	}
	if err := solver.take(ctx, d, id); err != nil {
		return err
	}
	if err := d.Release(ctx); err != nil {
		return err
	}
	if err := solver.sees(ctx, id, orders.DisputeSettled); err != nil {
		return err
	}
	if err := solver.Cancel(ctx, d.ID()); !errors.Is(err, orders.NotAllowedByStatus) {
		return fmt.Errorf("a verdict after the release: %w", err)
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	return d.Settled(ctx)
}

func disputePasses(ctx context.Context, w *World) error {
	reader, err := w.Solver(ctx, "reader", orders.LevelRead)
	if err != nil {
		return err
	}
	solver, err := w.Solver(ctx, "solver", orders.LevelReadWrite)
	if err != nil {
		return err
	}
	d, id, err := w.disputed(ctx, orders.Sell, orders.Direct, orders.Seller)
	if err != nil {
		return err
	}
	if err := reader.take(ctx, d, id); err != nil {
		return err
	}
	if err := reader.Settle(ctx, d.ID()); !errors.Is(err, orders.NotAuthorized) {
		return fmt.Errorf("a verdict of a solver who may only read: %w", err)
	}
	w.say("mostro", "→ reader: not_authorized")
	if err := solver.take(ctx, d, id); err != nil {
		return err
	}
	if _, err := reader.Take(ctx, id); !errors.Is(err, orders.InvalidPubkey) {
		return fmt.Errorf("the reader takes it back: %w", err)
	}
	if err := reader.Cancel(ctx, d.ID()); !errors.Is(err, orders.IsNotYourDispute) {
		return fmt.Errorf("a verdict on a dispute that another has: %w", err)
	}
	return solver.refund(ctx, d, id)
}

func disputeInterrupted(ctx context.Context, w *World) error {
	solver, err := w.Solver(ctx, "solver", orders.LevelReadWrite)
	if err != nil {
		return err
	}
	d, id, err := w.disputed(ctx, orders.Sell, orders.Direct, orders.Buyer)
	if err != nil {
		return err
	}
	if err := w.Harm(ctx, "mostro"); err != nil {
		return err
	}
	if err := solver.take(ctx, d, id); err != nil {
		return err
	}
	if err := w.Harm(ctx, "mostro"); err != nil {
		return err
	}
	w.say("solver", "→ mostro: admin-settle")
	if err := solver.Settle(ctx, d.ID()); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if err := d.bothHear(ctx, nostrio.ActAdminSettled); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	return d.Settled(ctx)
}
