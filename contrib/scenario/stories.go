package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Story is one scenario with its end. Nil means that it ended well.
type Story struct {
	Name string
	Tell func(ctx context.Context, w *World) error
}

// WaitingSeconds is the time limit of a duty in a world that tells stories: short, since some wait for its end.
const WaitingSeconds = 10

// Amount is what the stories trade.
const Amount orders.Sats = 50_000

// Stories run on every kind of node.
var Stories = []Story{
	{"a sell order, direct messages", happy(orders.Sell, orders.Direct)},
	{"a sell order, gift wraps", happy(orders.Sell, orders.GiftWrap)},
	{"a buy order, direct messages", happy(orders.Buy, orders.Direct)},
	{"a buy order, gift wraps", happy(orders.Buy, orders.GiftWrap)},
	{"a range at the market price, and its rest", rangeAtMarketPrice},
	{"a payout to a BOLT 12 offer", paidByOffer},
	{"a payout to an LNURL", paidByLNURL},
	{"the maker cancels a pending order", makerCancels},
	{"a pending order expires", orderExpires},
	{"the taker of a sell order gives no invoice", abandoned(orders.Sell, "take", orders.Pending)},
	{"the maker of a sell order does not pay", abandoned(orders.Sell, "ask payment", orders.Canceled)},
	{"the taker of a buy order does not pay", abandoned(orders.Buy, "ask payment", orders.Pending)},
	{"the maker of a buy order gives no invoice", abandoned(orders.Buy, "lock", orders.Canceled)},
	{"both cancel a running trade", coopCancel},
	{"forged holds are refused", forgedHolds},
	{"the exchange is stopped and started in the middle", exchangeRestarts},
	{"the node is stopped and started while holding", nodeStops},
	{"the node is killed while holding", nodeKilled},
	{"the holder is killed while holding", holderKilled},
	{"the guard is killed while holding", guardKilled},
}

func happy(kind orders.Kind, way orders.Way) func(context.Context, *World) error {
	return func(ctx context.Context, w *World) error {
		d, err := w.NewDeal(ctx, kind, Amount, way)
		if err != nil {
			return err
		}
		if err := d.Play(ctx); err != nil {
			return err
		}
		if err := d.rate(ctx); err != nil {
			return err
		}
		return d.Settled(ctx)
	}
}

// rate: both are asked for a vote and give one.
func (d *Deal) rate(ctx context.Context) error {
	for _, p := range []*Person{d.Seller, d.Buyer} {
		if _, err := p.expect(ctx, d.trade(p), nostrio.ActRate); err != nil {
			return err
		}
		if err := d.trade(p).Rate(ctx, 5); err != nil {
			return fmt.Errorf("%s rates: %w", p.Name, err)
		}
	}
	return nil
}

func makerCancels(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	if err := d.Publish(ctx); err != nil {
		return err
	}
	if err := d.sale.Cancel(ctx); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	if _, err := d.Seller.expect(ctx, d.sale, nostrio.ActCanceled); err != nil {
		return err
	}
	return d.bookSays(ctx, "canceled")
}

func (d *Deal) bookSays(ctx context.Context, status string) error {
	book, err := d.taker().Book(ctx)
	if err != nil {
		return err
	}
	_, err = book.Await(ctx, d.ID(), status)
	return err
}

func orderExpires(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Buy, Amount, orders.Direct)
	if err != nil {
		return err
	}
	d.purchase, err = d.Buyer.NewOrder(ctx, trader.OrderSpec{
		Kind: orders.Buy, Amount: Amount, Fiat: "EUR", FiatAmount: 50, Method: "SEPA", ExpiresAt: time.Now().Unix() + 3,
	})
	if err != nil {
		return err
	}
	if _, err := w.AwaitStatus(ctx, d.ID(), orders.Expired); err != nil {
		return err
	}
	_, err = d.Seller.Take(ctx, d.ID(), trader.TakeOpts{Kind: orders.Buy})
	if !errors.Is(err, orders.InvalidOrderStatus) {
		return fmt.Errorf("a take of an expired order: %w", err)
	}
	return d.Untouched(ctx)
}

// abandoned: after a step somebody does nothing more, until his time is over.
func abandoned(kind orders.Kind, last string, end orders.Status) func(context.Context, *World) error {
	return func(ctx context.Context, w *World) error {
		d, err := w.NewDeal(ctx, kind, Amount, orders.Direct)
		if err != nil {
			return err
		}
		if err := d.PlayUntil(ctx, last); err != nil {
			return err
		}
		if _, err := w.AwaitStatus(ctx, d.ID(), end); err != nil {
			return err
		}
		if _, err := d.taker().expect(ctx, d.trade(d.taker()), nostrio.ActCanceled); err != nil {
			return err
		}
		if err := d.Untouched(ctx); err != nil {
			return err
		}
		if end == orders.Canceled {
			return d.bookSays(ctx, "canceled")
		}
		// The order is on the book again: somebody else takes it and the trade succeeds.
		if err := d.bookSays(ctx, "pending"); err != nil {
			return err
		}
		if err := d.replaceTaker(ctx); err != nil {
			return err
		}
		for _, s := range d.steps()[1:] {
			if err := s.do(d, ctx); err != nil {
				return fmt.Errorf("the second take, %s: %w", s.name, err)
			}
		}
		return d.Settled(ctx)
	}
}

func (d *Deal) replaceTaker(ctx context.Context) error {
	p, err := d.w.Person(ctx, d.taker().Name+"2", deposit, orders.Direct)
	if err != nil {
		return err
	}
	if d.kind == orders.Sell {
		d.Buyer = p
	} else {
		d.Seller = p
	}
	return nil
}

func coopCancel(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.GiftWrap)
	if err != nil {
		return err
	}
	if err := d.PlayUntil(ctx, "meet"); err != nil {
		return err
	}
	if err := d.bothCancel(ctx); err != nil {
		return err
	}
	return d.Untouched(ctx)
}

// bothCancel: the seller wants to cancel, and the buyer agrees.
func (d *Deal) bothCancel(ctx context.Context) error {
	if err := d.sale.Cancel(ctx); err != nil {
		return err
	}
	if _, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActCooperativeCancelByPeer); err != nil {
		return err
	}
	if err := d.purchase.Cancel(ctx); err != nil {
		return err
	}
	_, err := d.Seller.expect(ctx, d.sale, nostrio.ActCooperativeCancelAccepted)
	return err
}

// forgedHolds: a seller who wants the fiat without locking sats pays so that only the receiver's own look can tell.
func forgedHolds(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	if err := d.PlayUntil(ctx, "ask payment"); err != nil {
		return err
	}
	for _, f := range []Fault{WrongSecret, WrongTotal, WrongNextHop} {
		if err := d.Seller.Wallet.Forge(ctx, d.Hold, f); err != nil {
			return fmt.Errorf("pay with a %s: %w", f, err)
		}
		err = until(ctx, "the forged payment failed", func() (bool, error) {
			st, err := d.Seller.Wallet.Payment(ctx, d.Hold)
			return st == PaymentFailed, err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		st, err := w.Status(ctx, d.ID())
		if err != nil {
			return err
		}
		if st != orders.WaitingPayment {
			return fmt.Errorf("after a payment with a %s the order is %s", f, st)
		}
		w.say("holder", "refused a payment with a %s", f)
	}
	if err := d.Lock(ctx); err != nil {
		return err
	}
	for _, s := range d.steps()[5:] {
		if err := s.do(d, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return d.Settled(ctx)
}

// interrupted plays a trade and does something to the machinery after a step.
func interrupted(ctx context.Context, w *World, after string, harm func() error) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	for _, s := range d.steps() {
		if err := s.do(d, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if s.name != after {
			continue
		}
		if err := harm(); err != nil {
			return fmt.Errorf("after %q: %w", after, err)
		}
	}
	return d.Settled(ctx)
}

func exchangeRestarts(ctx context.Context, w *World) error {
	return interrupted(ctx, w, "meet", func() error {
		w.say("operator", "stops the exchange and starts it again")
		if err := w.Node.StopExchange(ctx); err != nil {
			return err
		}
		return w.Node.StartExchange(ctx)
	})
}

func nodeStops(ctx context.Context, w *World) error {
	return interrupted(ctx, w, "meet", func() error {
		w.say("operator", "stops lightningd and starts it again")
		if err := w.Node.Stop(ctx); err != nil {
			return err
		}
		return w.restart(ctx)
	})
}

func nodeKilled(ctx context.Context, w *World) error {
	return interrupted(ctx, w, "pay fiat", func() error { return w.Harm(ctx, "lightningd") })
}

func holderKilled(ctx context.Context, w *World) error {
	return interrupted(ctx, w, "meet", func() error { return w.Harm(ctx, "holdinvoice") })
}

func guardKilled(ctx context.Context, w *World) error {
	return interrupted(ctx, w, "meet", func() error { return w.Node.KillPlugin(ctx, "holdinvoice-guard") })
}

// Victims are what Harm can kill.
var Victims = []string{"mostro", "holdinvoice", "lightningd"}

// Harm kills something by SIGKILL and has it started again, as an operator or his service manager would.
func (w *World) Harm(ctx context.Context, victim string) error {
	w.say("fate", "kills %s", victim)
	switch victim {
	case "mostro":
		if err := w.Node.KillPlugin(ctx, victim); err != nil {
			return err
		}
		return w.Node.StartExchange(ctx)
	case "holdinvoice":
		if err := w.Node.KillPlugin(ctx, victim); err != nil {
			return err
		}
		// The holder is an important plugin: lightningd goes down with it.
		err := until(ctx, "lightningd is down", func() (bool, error) { return !w.Node.Alive(), nil })
		if err != nil {
			return err
		}
	default:
		if err := w.Node.Kill(ctx); err != nil {
			return err
		}
	}
	return w.restart(ctx)
}

func (w *World) restart(ctx context.Context) error {
	if err := w.Node.Start(ctx); err != nil {
		return err
	}
	_, err := w.AwaitOpen(ctx)
	return err
}
