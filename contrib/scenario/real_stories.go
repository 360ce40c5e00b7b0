package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// RealOptions are the exchange's options that the stories of a real network count on. The caller adds the relays.
func RealOptions() map[string]any {
	return map[string]any{
		"mostro-expiration-seconds":       WaitingSeconds,
		"mostro-trade-hours":              1, // 47 blocks, few enough to mine
		"mostro-max-order-sats":           int64(largeAmount),
		"mostro-payment-attempts":         20,
		"mostro-payment-interval-seconds": 1,
		"mostro-admins":                   AdminKey,
	}
}

// RealStories are those that need real channels, blocks or programs.
func RealStories(r *Real) []Story {
	return append([]Story{
		{"a large sell order, locked in parts over several channels", r.paidInParts},
		{"a seller who sends only a part of the payment", r.partOnly},
		{"the exchange gives a hold back that nears its expiry", r.nearExpiry},
		{"another build of the exchange takes over while sats are held", r.exchangeReplaced},
		{"the nodes of exchange and seller are killed while sats are held", r.bothKilled},
		{"the buyer's node is down when he is to be paid", r.buyerAway},
		{"no route to the buyer, who gives another invoice", r.buyerElsewhere},
		{"the buyer's node is killed while he is being paid", r.buyerKilled},
		{"the node is killed while it pays the buyer", r.nodeKilledPaying},
		{"runes for a dashboard and a solver, over commando", r.runes},
	}, Kills("lock", "release", "finish")...)
}

// Kills are stories in which each victim is killed during one of these steps of a trade; without a step, during every
// one and after the last. Once the sats are locked the trade must succeed.
func Kills(during ...string) (list []Story) {
	steps := (&Deal{kind: orders.Sell}).steps()
	for point := range Points {
		name := "after the end"
		if point < len(steps) {
			name = fmt.Sprintf("during %q", steps[point].name)
			if len(during) > 0 && !slices.Contains(during, steps[point].name) {
				continue
			}
		} else if len(during) > 0 {
			continue
		}
		for _, victim := range Victims {
			list = append(list, Story{victim + " is killed " + name, func(ctx context.Context, w *World) error {
				return killed(ctx, w, victim, point)
			}})
		}
	}
	return list
}

// RustStories are for a network with the other hold plugin.
func RustStories(r *Real) []Story {
	return []Story{
		{"with the Rust hold plugin: a sell order", happy(orders.Sell, orders.Direct)},
		{"with the Rust hold plugin: both cancel a running trade", coopCancel},
		{"with the Rust hold plugin: the operator is warned", r.operatorWarned},
	}
}

// largeAmount is more than any one channel of a seller holds, and all of them hold more.
const largeAmount orders.Sats = 3_000_000

// lockPoint is the step in which the seller pays the hold invoice.
const lockPoint = 4

func killed(ctx context.Context, w *World, victim string, point int) error {
	before, _, err := earned(ctx, w.Node)
	if err != nil {
		return err
	}
	if err := Disturbed(ctx, w, victim, point); err != nil {
		return err
	}
	after, _, err := earned(ctx, w.Node)
	if err != nil {
		return err
	}
	if point > lockPoint && after != before+1 {
		return errors.New("the sats were locked, and the trade did not succeed")
	}
	return nil
}

func (r *Real) paidInParts(ctx context.Context, w *World) error {
	d := &Deal{w: w, kind: orders.Sell, amount: largeAmount}
	var err error
	if d.Seller, err = w.Person(ctx, "seller", largeAmount+deposit, orders.Direct); err != nil {
		return err
	}
	if d.Buyer, err = w.Person(ctx, "buyer", deposit, orders.Direct); err != nil {
		return err
	}
	if err := d.PlayUntil(ctx, "meet"); err != nil {
		return err
	}
	h, err := d.hold(ctx)
	if err != nil {
		return err
	}
	parts, err := r.held(ctx, h.Hash)
	if err != nil || parts < 2 {
		return fmt.Errorf("%d parts are held, expected several: %w", parts, err)
	}
	w.say("channels", "hold %s in %d parts", h.Held, parts)
	if err := d.playAfter(ctx, "meet"); err != nil {
		return err
	}
	return d.Settled(ctx)
}

// holdRow is an order's hold invoice as mostro-showorder has it.
type holdRow struct {
	Hash      orders.Hash  `json:"payment_hash"`
	Held      orders.Msats `json:"held_msat"`
	MinExpiry uint32       `json:"min_expiry"` // block height
}

func (d *Deal) hold(ctx context.Context) (holdRow, error) {
	var r struct {
		Hold *holdRow `json:"hold"`
	}
	if err := d.w.Node.Call(ctx, "mostro-showorder", map[string]any{"order_id": d.ID().String()}, &r); err != nil {
		return holdRow{}, err
	}
	if r.Hold == nil {
		return holdRow{}, fmt.Errorf("order %s has no hold invoice", d.ID())
	}
	return *r.Hold, nil
}

// held counts the HTLCs of a hash in the exchange's channels.
func (r *Real) held(ctx context.Context, hash orders.Hash) (n int, err error) {
	rows, err := r.exchange.channels(ctx, nil)
	for _, c := range rows {
		for _, x := range c.HTLCs {
			if x.Hash == hash {
				n++
			}
		}
	}
	return n, err
}

// playAfter does the rest of a trade.
func (d *Deal) playAfter(ctx context.Context, done string) error {
	found := false
	for _, s := range d.steps() {
		if found {
			if err := s.do(d, ctx); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		found = found || s.name == done
	}
	return nil
}

// partOnly: nobody is told that sats are locked while a part is missing, and the part goes back when the time is over.
func (r *Real) partOnly(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	if err := d.PlayUntil(ctx, "ask payment"); err != nil {
		return err
	}
	seller := d.Seller.Wallet.(*realWallet)
	if err := seller.payPart(ctx, d.Hold); err != nil {
		return err
	}
	h, err := d.hold(ctx)
	if err != nil {
		return err
	}
	err = until(ctx, "the part is held", func() (bool, error) {
		n, err := r.held(ctx, h.Hash)
		return n == 1, err
	})
	if err != nil {
		return err
	}
	if st, err := w.Status(ctx, d.ID()); err != nil || st != orders.WaitingPayment {
		return fmt.Errorf("with half of the payment the order is %s: %w", st, err)
	}
	if _, err := w.AwaitStatus(ctx, d.ID(), orders.Canceled); err != nil {
		return err
	}
	return d.Untouched(ctx)
}

// Blocks before the lowest expiry of a hold at which the exchange gives it back, and at which the hold plugin would as
// its own last resort.
const (
	exchangeDecides = 30
	holderDecides   = 20
)

// nearExpiry: the buyer never pays, and blocks come until the exchange gives the sats back by itself.
func (r *Real) nearExpiry(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	if err := d.PlayUntil(ctx, "meet"); err != nil {
		return err
	}
	h, err := d.hold(ctx)
	if err != nil {
		return err
	}
	tip, err := r.chain.height(ctx)
	if err != nil {
		return err
	}
	if h.MinExpiry <= tip+exchangeDecides {
		return fmt.Errorf("the hold ends at block %d, too soon after %d", h.MinExpiry, tip)
	}
	blocks := int(h.MinExpiry - tip - exchangeDecides)
	w.say("chain", "%d blocks are mined", blocks)
	if err := r.Mine(ctx, blocks-1); err != nil {
		return err
	}
	if st, err := w.Status(ctx, d.ID()); err != nil || st != orders.Active {
		return fmt.Errorf("%d blocks before the expiry the order is %s: %w", exchangeDecides+1, st, err)
	}
	if err := r.Mine(ctx, 1); err != nil {
		return err
	}
	if _, err := w.AwaitStatus(ctx, d.ID(), orders.Canceled); err != nil {
		return fmt.Errorf("%d blocks before the expiry: %w", exchangeDecides, err)
	}
	for _, p := range []*Person{d.Seller, d.Buyer} {
		if _, err := p.expect(ctx, d.trade(p), nostrio.ActCanceled); err != nil {
			return err
		}
	}
	if err := d.Untouched(ctx); err != nil {
		return err
	}
	// Past the point where the holder would act, no node has gone to the chain: nothing hangs any more.
	if err := r.Mine(ctx, holderDecides); err != nil {
		return err
	}
	return r.awaitChannels(ctx)
}

func (r *Real) exchangeReplaced(ctx context.Context, w *World) error {
	return interrupted(ctx, w, "pay fiat", func() error {
		w.say("operator", "installs another build of the exchange and starts it")
		before, err := r.exchange.process().child("mostro")
		if err != nil {
			return err
		}
		if err := r.ReplaceExchange(); err != nil {
			return err
		}
		if err := r.StopExchange(ctx); err != nil {
			return err
		}
		if err := r.StartExchange(ctx); err != nil {
			return err
		}
		after, err := r.exchange.process().child("mostro")
		if err != nil || after.pid == before.pid {
			return fmt.Errorf("%s runs, after %s: %w", after, before, err)
		}
		_, err = w.AwaitOpen(ctx)
		return err
	})
}

func (r *Real) bothKilled(ctx context.Context, w *World) error {
	return interrupted(ctx, w, "meet", func() error {
		w.say("fate", "kills the nodes of the exchange and of the seller")
		if err := errors.Join(r.exchange.kill(ctx), r.seller.kill(ctx)); err != nil {
			return err
		}
		if err := r.start(ctx, r.seller); err != nil {
			return err
		}
		return w.restart(ctx)
	})
}

// buyerAway: the sats are the buyer's from the release on, and reach him when his node is back.
func (r *Real) buyerAway(ctx context.Context, w *World) error {
	d, err := r.releasedToNobody(ctx, w)
	if err != nil {
		return err
	}
	err = until(ctx, "an attempt to pay the buyer has failed", func() (bool, error) {
		var o struct {
			Payout *struct {
				Attempts int `json:"attempts"`
			} `json:"payout"`
		}
		err := w.Node.Call(ctx, "mostro-showorder", map[string]any{"order_id": d.ID().String()}, &o)
		return err == nil && o.Payout != nil && o.Payout.Attempts > 0, err
	})
	if err != nil {
		return err
	}
	if err := r.start(ctx, r.buyer); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	return d.Settled(ctx)
}

// releasedToNobody is a trade whose sats are released while the buyer's node is down.
func (r *Real) releasedToNobody(ctx context.Context, w *World) (*Deal, error) {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return nil, err
	}
	if err := d.PlayUntil(ctx, "pay fiat"); err != nil {
		return nil, err
	}
	w.say("fate", "kills the buyer's node")
	if err := r.buyer.kill(ctx); err != nil {
		return nil, err
	}
	return d, d.Release(ctx)
}

// buyerElsewhere: no attempt finds a route, the buyer is asked for another invoice, and that one is paid.
func (r *Real) buyerElsewhere(ctx context.Context, w *World) error {
	d, err := r.releasedToNobody(ctx, w)
	if err != nil {
		return err
	}
	if _, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActPaymentFailed); err != nil {
		return err
	}
	m, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActAddInvoice)
	if err != nil {
		return err
	}
	if err := r.start(ctx, r.buyer); err != nil {
		return err
	}
	bolt11, err := d.Buyer.Wallet.Invoice(ctx, orders.Sats(m.Order().Amount), "another-"+d.ID().String())
	if err != nil {
		return err
	}
	if err := d.purchase.AddInvoice(ctx, bolt11); err != nil {
		return fmt.Errorf("another invoice: %w", err)
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	return d.Settled(ctx)
}

// buyerKilled: the payout meets a node that does not answer and then goes away under its hands. CLN's xpay takes that for
// a channel that is too small, and remembers it.
func (r *Real) buyerKilled(ctx context.Context, w *World) error {
	d, err := r.payingSilence(ctx, w)
	if err != nil {
		return err
	}
	w.say("fate", "kills the buyer's node")
	if err := r.buyer.kill(ctx); err != nil {
		return err
	}
	if err := r.start(ctx, r.buyer); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	return d.Settled(ctx)
}

// nodeKilledPaying: the payout hangs in a channel when the exchange's node dies. The one that starts again knows of it
// from its own database only, and pays no second time.
func (r *Real) nodeKilledPaying(ctx context.Context, w *World) error {
	before, err := w.payouts(ctx)
	if err != nil {
		return err
	}
	d, err := r.payingSilence(ctx, w)
	if err != nil {
		return err
	}
	w.say("fate", "kills the nodes of the exchange and of the buyer")
	if err := errors.Join(r.exchange.kill(ctx), r.buyer.kill(ctx)); err != nil {
		return err
	}
	if err := r.start(ctx, r.buyer); err != nil {
		return err
	}
	if err := w.restart(ctx); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	if after, err := w.payouts(ctx); err != nil || after != before+1 {
		return fmt.Errorf("%d invoices were paid: %w", after-before, err)
	}
	return d.Settled(ctx)
}

// payingSilence is a trade whose payout hangs in a channel, since the buyer's node does not answer.
func (r *Real) payingSilence(ctx context.Context, w *World) (*Deal, error) {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return nil, err
	}
	if err := d.PlayUntil(ctx, "pay fiat"); err != nil {
		return nil, err
	}
	w.say("fate", "freezes the buyer's node")
	if err := r.buyer.freeze(); err != nil {
		return nil, err
	}
	if err := d.Release(ctx); err != nil {
		return nil, err
	}
	return d, until(ctx, "the payout is under way", func() (bool, error) {
		rows, err := r.exchange.channels(ctx, r.buyer)
		for _, c := range rows {
			if len(c.HTLCs) > 0 {
				return true, nil
			}
		}
		return false, err
	})
}

// operatorWarned: an exchange on a hold plugin that can be cheated says so.
func (r *Real) operatorWarned(ctx context.Context, w *World) error {
	var info struct {
		Plugin  string `json:"hold_plugin"`
		Warning string `json:"warning_escrow"`
	}
	if err := r.Call(ctx, "mostro-info", nil, &info); err != nil {
		return err
	}
	if info.Warning == "" {
		return fmt.Errorf("mostro-info has no warning about %s", info.Plugin)
	}
	w.say("operator", "reads in mostro-info: %s", info.Warning)
	logged, err := r.Logged("UNUSUAL", "hold plugin")
	if err != nil || !logged {
		return errors.Join(errors.New("the node's log has no warning about the hold plugin"), err)
	}
	return nil
}
