package scenario

import (
	"context"
	"fmt"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Deal is one trade from both sides, played step by step.
type Deal struct {
	w              *World
	kind           orders.Kind
	amount         orders.Sats
	Seller, Buyer  *Person
	sale, purchase *trader.Trade
	Hold           string // the hold invoice, once the seller has it
}

// deposit is what each person brings along, sats.
const deposit orders.Sats = 500_000

// NewDeal makes two people who are about to trade.
func (w *World) NewDeal(ctx context.Context, kind orders.Kind, amount orders.Sats, way orders.Way) (*Deal, error) {
	d := &Deal{w: w, kind: kind, amount: amount}
	var err error
	if d.Seller, err = w.Person(ctx, "seller", deposit, way); err != nil {
		return nil, err
	}
	d.Buyer, err = w.Person(ctx, "buyer", deposit, way)
	return d, err
}

// ID is the order's id, once it is published.
func (d *Deal) ID() orders.OrderID {
	if d.kind == orders.Sell {
		return d.sale.ID()
	}
	return d.purchase.ID()
}

func (d *Deal) maker() *Person {
	if d.kind == orders.Sell {
		return d.Seller
	}
	return d.Buyer
}

func (d *Deal) taker() *Person {
	if d.kind == orders.Sell {
		return d.Buyer
	}
	return d.Seller
}

func (d *Deal) keep(p *Person, t *trader.Trade) {
	if p == d.Seller {
		d.sale = t
	} else {
		d.purchase = t
	}
}

// trade is the person's side of the deal.
func (d *Deal) trade(p *Person) *trader.Trade {
	if p == d.Seller {
		return d.sale
	}
	return d.purchase
}

// Publish: the maker makes the order and the book shows it.
func (d *Deal) Publish(ctx context.Context) error {
	d.w.say(d.maker().Name, "→ mostro: new-order, %s %d sat for 50 EUR", d.kind, d.amount)
	t, err := d.maker().NewOrder(ctx, trader.OrderSpec{Kind: d.kind, Amount: d.amount, Fiat: "EUR", FiatAmount: 50, Method: "SEPA"})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	d.keep(d.maker(), t)
	book, err := d.taker().Book(ctx)
	if err != nil {
		return err
	}
	if _, err := book.Await(ctx, d.ID(), "pending"); err != nil {
		return fmt.Errorf("the order in the book: %w", err)
	}
	d.w.say("mostro", "→ everybody: order %s, pending", d.ID())
	return nil
}

// Take: the taker takes the order.
func (d *Deal) Take(ctx context.Context) error {
	d.w.say(d.taker().Name, "→ mostro: take-%s", d.kind)
	t, err := d.taker().Take(ctx, d.ID(), trader.TakeOpts{Kind: d.kind})
	if err != nil {
		return fmt.Errorf("take: %w", err)
	}
	d.keep(d.taker(), t)
	return nil
}

// GiveInvoice: the buyer is asked for an invoice and gives one.
func (d *Deal) GiveInvoice(ctx context.Context) error {
	m, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActAddInvoice)
	if err != nil {
		return err
	}
	amount := orders.Sats(m.Order().Amount)
	bolt11, err := d.Buyer.Wallet.Invoice(ctx, amount, "payout-"+d.ID().String())
	if err != nil {
		return fmt.Errorf("the buyer's invoice: %w", err)
	}
	d.w.say("buyer", "→ mostro: add-invoice over %d sat", amount)
	if err := d.purchase.AddInvoice(ctx, bolt11); err != nil {
		return fmt.Errorf("add-invoice: %w", err)
	}
	return nil
}

// AskPayment: the seller gets the hold invoice.
func (d *Deal) AskPayment(ctx context.Context) error {
	m, err := d.Seller.expect(ctx, d.sale, nostrio.ActPayInvoice)
	if err != nil {
		return err
	}
	d.Hold = m.Invoice()
	d.w.say("mostro", "asks the seller to lock %d sat", m.Order().Amount)
	return nil
}

// Lock: the seller pays the hold invoice; the payment hangs.
func (d *Deal) Lock(ctx context.Context) error {
	d.w.say("seller", "pays the hold invoice; the sats are locked, not spent")
	if err := d.Seller.Wallet.Pay(ctx, d.Hold); err != nil {
		return fmt.Errorf("pay the hold invoice: %w", err)
	}
	return nil
}

// Meet: both learn that the escrow is locked, and who the other is.
func (d *Deal) Meet(ctx context.Context) error {
	if _, err := d.Seller.expect(ctx, d.sale, nostrio.ActBuyerTookOrder); err != nil {
		return err
	}
	_, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActHoldInvoicePaymentAccepted)
	return err
}

// PayFiat: the buyer sends the fiat and says so.
func (d *Deal) PayFiat(ctx context.Context) error {
	d.w.say("buyer", "sends 50 EUR by SEPA; → mostro: fiat-sent")
	if err := d.purchase.FiatSent(ctx); err != nil {
		return fmt.Errorf("fiat-sent: %w", err)
	}
	_, err := d.Seller.expect(ctx, d.sale, nostrio.ActFiatSentOk)
	return err
}

// Release: the seller has the fiat and lets the sats go.
func (d *Deal) Release(ctx context.Context) error {
	d.w.say("seller", "has received 50 EUR; → mostro: release")
	if err := d.sale.Release(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// Finish: the buyer has the sats.
func (d *Deal) Finish(ctx context.Context) error {
	if _, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActPurchaseCompleted); err != nil {
		return err
	}
	_, err := d.w.AwaitStatus(ctx, d.ID(), orders.Success)
	return err
}

// step is one part of a trade, with a name for whoever reads of it.
type step struct {
	name string
	do   func(*Deal, context.Context) error
}

// steps are the parts of a whole trade in their order.
func (d *Deal) steps() []step {
	publish := step{"publish", (*Deal).Publish}
	take := step{"take", (*Deal).Take}
	invoice := step{"give invoice", (*Deal).GiveInvoice}
	ask := step{"ask payment", (*Deal).AskPayment}
	lock := step{"lock", (*Deal).Lock}
	rest := []step{{"meet", (*Deal).Meet}, {"pay fiat", (*Deal).PayFiat}, {"release", (*Deal).Release}, {"finish", (*Deal).Finish}}
	if d.kind == orders.Sell {
		return append([]step{publish, take, invoice, ask, lock}, rest...)
	}
	return append([]step{publish, take, ask, lock, invoice}, rest...)
}

// Steps are the parts of the trade in their order, each to be done once.
func (d *Deal) Steps() (list []func(context.Context) error) {
	for _, s := range d.steps() {
		list = append(list, func(ctx context.Context) error {
			if err := s.do(d, ctx); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		})
	}
	return list
}

// Play does the whole trade.
func (d *Deal) Play(ctx context.Context) error {
	for _, do := range d.Steps() {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// PlayUntil does the trade up to a step and with it.
func (d *Deal) PlayUntil(ctx context.Context, last string) error {
	for _, s := range d.steps() {
		if err := s.do(d, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if s.name == last {
			return nil
		}
	}
	return fmt.Errorf("a %s trade has no step %q", d.kind, last)
}

// Settled checks what a good trade leaves behind: the seller has paid amount and fee (0.6 %), the buyer has the amount.
func (d *Deal) Settled(ctx context.Context) error {
	fee := orders.PPM(6000).Of(d.amount)
	if err := d.Seller.Gains(ctx, -(d.amount + fee).Msats()); err != nil {
		return err
	}
	return d.Buyer.Gains(ctx, d.amount.Msats())
}

// Untouched checks what a trade that failed leaves behind: nothing.
func (d *Deal) Untouched(ctx context.Context) error {
	if err := d.Seller.Gains(ctx, 0); err != nil {
		return err
	}
	return d.Buyer.Gains(ctx, 0)
}
