package scenario

import (
	"context"
	"fmt"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// CrashStory is a trade whose end does not depend on crashes of ours: its people are patient, and nothing in it is over
// before a crash is.
type CrashStory struct {
	Name    string
	Kind    orders.Kind
	Way     orders.Way
	Options map[string]any // of the exchange's plugin, beside CrashOptions
	SimOnly bool
	Tell    func(*Deal, context.Context) error
}

// CrashOptions are the exchange's options that crash stories count on. The caller adds the relays.
func CrashOptions() map[string]any {
	return map[string]any{
		"mostro-expiration-seconds": 600, "mostro-payment-attempts": 20, "mostro-payment-interval-seconds": 1,
	}
}

// CrashStories are the trades of the crash walk.
var CrashStories = []CrashStory{
	{Name: "a sell order, direct messages", Kind: orders.Sell, Way: orders.Direct, Tell: (*Deal).patientlyToTheEnd},
	{Name: "a buy order, gift wraps", Kind: orders.Buy, Way: orders.GiftWrap, Tell: (*Deal).patientlyToTheEnd},
	{Name: "both cancel a running trade", Kind: orders.Sell, Way: orders.Direct, Tell: (*Deal).patientlyApart},
	{
		Name: "no payout by the first invoice", Kind: orders.Sell, Way: orders.Direct, SimOnly: true,
		Options: map[string]any{"mostro-payment-attempts": 1}, Tell: (*Deal).patientlyPaidElsewhere,
	},
	{
		Name: "the seller never pays", Kind: orders.Sell, Way: orders.Direct,
		Options: map[string]any{"mostro-expiration-seconds": WaitingSeconds}, Tell: (*Deal).patientlyUnpaid,
	},
}

func (d *Deal) patientlyToTheEnd(ctx context.Context) error {
	if err := d.patiently(ctx, ""); err != nil {
		return err
	}
	return d.rate(ctx)
}

func (d *Deal) patientlyApart(ctx context.Context) error {
	if err := d.patiently(ctx, "meet"); err != nil {
		return err
	}
	return d.bothCancel(ctx)
}

func (d *Deal) patientlyUnpaid(ctx context.Context) error {
	if err := d.patiently(ctx, "ask payment"); err != nil {
		return err
	}
	for _, p := range []*Person{d.Seller, d.Buyer} {
		if _, err := p.expect(ctx, d.trade(p), nostrio.ActCanceled); err != nil {
			return err
		}
	}
	return nil
}

func (d *Deal) patientlyPaidElsewhere(ctx context.Context) error {
	if err := d.patiently(ctx, "give invoice"); err != nil {
		return err
	}
	err := until(ctx, "the node knows that the invoice cannot be paid", func() (bool, error) {
		err := d.w.Node.(*Sim).FailPayouts(ctx, d.Buyer.Wallet.(*patient).last)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	if err := d.patientlyBetween(ctx, "give invoice", "release"); err != nil {
		return err
	}
	for {
		m, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActAddInvoice, nostrio.ActPurchaseCompleted)
		if err != nil || m.Action == nostrio.ActPurchaseCompleted {
			return err
		}
		bolt11, err := d.Buyer.Wallet.Invoice(ctx, orders.Sats(m.Order().Amount), "another-"+d.ID().String())
		if err != nil {
			return err
		}
		if err := d.purchase.AddInvoice(ctx, bolt11); err != nil {
			return fmt.Errorf("another invoice: %w", err)
		}
	}
}

// patiently does a trade's steps up to one and with it, or all of them.
func (d *Deal) patiently(ctx context.Context, last string) error {
	return d.patientlyBetween(ctx, "", last)
}

func (d *Deal) patientlyBetween(ctx context.Context, done, last string) error {
	on := done == ""
	for _, s := range d.steps() {
		if on {
			if s.name == "lock" {
				s.do = (*Deal).lockAgain
			}
			if err := s.do(d, ctx); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		on = on || s.name == done
		if s.name == last {
			return nil
		}
	}
	return nil
}

// lockAgain pays the hold invoice, and again when that failed: the node or its holder may have died in the middle.
func (d *Deal) lockAgain(ctx context.Context) error {
	d.w.say("seller", "pays the hold invoice; the sats are locked, not spent")
	return until(ctx, "the escrow is locked", func() (bool, error) {
		if st, err := d.w.Status(ctx, d.ID()); err == nil && st != orders.WaitingPayment {
			return true, nil
		}
		if st, err := d.Seller.Wallet.Payment(ctx, d.Hold); err == nil && st != PaymentFailed {
			return false, fmt.Errorf("the payment is %s", st)
		}
		return false, d.Seller.Wallet.Pay(ctx, d.Hold)
	})
}

// patient is a wallet that tries again while it cannot reach a node.
type patient struct {
	Wallet
	made int
	last string // its last invoice
}

func (p *patient) Invoice(ctx context.Context, amount orders.Sats, label string) (bolt11 string, err error) {
	err = until(ctx, "the wallet makes an invoice", func() (bool, error) {
		p.made++
		bolt11, err = p.Wallet.Invoice(ctx, amount, fmt.Sprintf("%s-%d", label, p.made))
		return err == nil, err
	})
	p.last = bolt11
	return bolt11, err
}
