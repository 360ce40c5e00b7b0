//go:build failpoints

package orders

import (
	"context"

	"github.com/mostro-cln/mostro/orders/failpoint"
)

// marked puts a point on both sides of every call to the world. What comes back is at first known to the caller alone:
// its report is a commit of its own.
func marked(p Ports) Ports {
	p.Escrow = markedEscrow{p.Escrow}
	p.Payer = markedPayer{p.Payer}
	p.Resolver = markedResolver{p.Resolver}
	p.Courier = markedCourier{p.Courier}
	return p
}

// around is deferred: the point before the call comes now, the one after it at the end of the caller.
func around(what, which string) (after func()) {
	failpoint.Hit("before", what, which)
	return func() { failpoint.Hit("after", what, which) }
}

type markedEscrow struct{ Escrow }

func (m markedEscrow) Create(ctx context.Context, h Hold, label, description string, expiry int64) (string, error) {
	defer around("call", "create")()
	return m.Escrow.Create(ctx, h, label, description, expiry)
}

func (m markedEscrow) Settle(ctx context.Context, h Hold) error {
	defer around("call", "settle")()
	return m.Escrow.Settle(ctx, h)
}

func (m markedEscrow) Cancel(ctx context.Context, hash Hash) error {
	defer around("call", "cancel")()
	return m.Escrow.Cancel(ctx, hash)
}

type markedPayer struct{ Payer }

func (m markedPayer) Claim(ctx context.Context, order OrderID, hash Hash) ([]Hash, error) {
	defer around("call", "claim")()
	return m.Payer.Claim(ctx, order, hash)
}

func (m markedPayer) Ask(ctx context.Context, hash Hash) (PayReport, error) {
	defer around("call", "ask")()
	return m.Payer.Ask(ctx, hash)
}

func (m markedPayer) Send(ctx context.Context, p Pay, label string) error {
	defer around("call", "send")()
	return m.Payer.Send(ctx, p, label)
}

type markedResolver struct{ Resolver }

func (m markedResolver) Resolve(ctx context.Context, destination string, amount Msats) (string, Hash, int64, error) {
	defer around("call", "resolve")()
	return m.Resolver.Resolve(ctx, destination, amount)
}

type markedCourier struct{ Courier }

func (m markedCourier) Deliver(ctx context.Context, l Letter) error {
	defer around("deliver", string(l.Action))()
	return m.Courier.Deliver(ctx, l)
}

func (m markedCourier) Announce(ctx context.Context, a Announcement) error {
	defer around("announce", a.Status)()
	return m.Courier.Announce(ctx, a)
}

func (m markedCourier) Rate(ctx context.Context, r RatingNote) error {
	defer around("call", "rate")()
	return m.Courier.Rate(ctx, r)
}
