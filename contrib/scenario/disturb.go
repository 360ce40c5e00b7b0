package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// Points are the places of a trade at which something can be killed: during each of its steps, and after the last.
const Points = 10

// Disturbed plays a sell trade and kills the victim at one of the points, while the step there is under way. The trade
// must end: with success, or with everybody's money back.
func Disturbed(ctx context.Context, w *World, victim string, point int) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	for i, s := range d.steps() {
		harmed := make(chan error, 1)
		if i == point {
			go func() { harmed <- w.Harm(ctx, victim) }()
		} else {
			harmed <- nil
		}
		err := d.limited(ctx, s)
		if herr := <-harmed; herr != nil {
			return fmt.Errorf("kill %s during %q: %w", victim, s.name, herr)
		}
		if err == nil {
			continue
		}
		w.say("story", "%s failed: %v", s.name, err)
		return d.endsWell(ctx)
	}
	if point >= len(d.steps()) {
		if err := w.Harm(ctx, victim); err != nil {
			return err
		}
	}
	return d.endsWell(ctx)
}

// stepLimit is more than any step takes, a restart in the middle of it included.
const stepLimit = 20 * time.Second

// limited does one step and gives up on it after a while: what it waits for may not come any more.
func (d *Deal) limited(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	return s.do(d, ctx)
}

// endsWell: the order has ended, and the money is where its end says.
func (d *Deal) endsWell(ctx context.Context) error {
	if d.sale == nil {
		return d.Untouched(ctx)
	}
	st, err := d.w.AwaitStatus(ctx, d.ID(), orders.Success, orders.Canceled, orders.Pending)
	if err != nil {
		return err
	}
	if st == orders.Success {
		return d.Settled(ctx)
	}
	return d.Untouched(ctx)
}
