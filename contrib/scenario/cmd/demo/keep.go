package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/mostro-cln/mostro/contrib/scenario"
	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/orders"
)

// What the partners offer: for as many euros as there are thousands of sats.
const (
	soldByCarol  orders.Sats = 20_000
	boughtByDave orders.Sats = 15_000
)

// keep leaves the exchange open for the reader's own orders until the process is ended. Two partners have orders on the
// book and play their side by themselves, so that one person with a browser can trade.
func (d *demo) keep(ctx context.Context) error {
	for _, name := range []string{"you", "alice", "bob"} {
		if _, err := d.sim.Wallet(ctx, name, 1_000_000); err != nil {
			return err
		}
	}
	fmt.Print("\nEverything goes on running until you press Ctrl-C.\n")
	partners, ctx := errgroup.WithContext(ctx)
	defer d.world.Leave()
	carol, err := d.offer(ctx, partners, "carol", orders.Sell, soldByCarol)
	if err != nil {
		return err
	}
	dave, err := d.offer(ctx, partners, "dave", orders.Buy, boughtByDave)
	if err != nil {
		return err
	}
	if err := d.tellOfTheBrowser(ctx, carol, dave); err != nil {
		return err
	}
	d.tellOfTheTerminal()
	<-ctx.Done()
	return partners.Wait()
}

// offer puts a partner's order on the book, and another one when its trade is over. It returns the first one's id.
func (d *demo) offer(ctx context.Context, partners *errgroup.Group, name string, kind orders.Kind, amount orders.Sats) (orders.OrderID, error) {
	spec := trader.OrderSpec{Kind: kind, Amount: amount, Fiat: "EUR", FiatAmount: int64(amount) / 1000, Method: "SEPA"}
	p, err := d.world.Maker(ctx, name, spec, orders.Direct)
	if err != nil {
		return orders.OrderID{}, err
	}
	first := p.Trade().ID()
	partners.Go(func() error {
		if err := d.playOn(ctx, p, name, spec); ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "demo: %s trades no more: %v\n", name, err)
		}
		return nil
	})
	return first, nil
}

// playOn plays a partner's trade and then others like it, until one cannot be played.
func (d *demo) playOn(ctx context.Context, p *scenario.Partner, name string, spec trader.OrderSpec) error {
	for {
		err := p.Play(ctx)
		p.Close()
		if err != nil {
			return err
		}
		if p, err = d.world.Maker(ctx, name, spec, orders.Direct); err != nil {
			return err
		}
	}
}

func (d *demo) cli() string { return fmt.Sprintf("%s/simln-cli --rpc-file %s", d.bin, d.sim.RPCPath()) }

// tellOfTheBrowser prints a test trade from either side.
func (d *demo) tellOfTheBrowser(ctx context.Context, carol, dave orders.OrderID) error {
	web, err := d.world.AwaitWeb(ctx)
	if err != nil {
		return err
	}
	you, err := d.sim.Wallet(ctx, "you", 0) // it is there already
	if err != nil {
		return err
	}
	bolt11, err := you.Invoice(ctx, soldByCarol, "from carol")
	if err != nil {
		return err
	}
	fmt.Printf(`
In your browser: %[1]s

Buy from Carol, who sells %[2]d sat for %[3]d EUR (order %[4]s):
take her order, and where you are asked for an invoice, give this one of your simulated wallet:

  %[5]s

Then say that you have sent the money. Carol releases at once.

Sell to Dave, who buys %[6]d sat for %[7]d EUR (order %[8]s):
take his order, and pay the invoice that you are shown from your simulated wallet:

  %[9]s sim-wallet-pay you INVOICE

Dave says at once that he has sent the money; release. Both have a new order after each trade. What you have, and another
invoice for your wallet:

  %[9]s sim-wallet-balance you
  %[9]s sim-wallet-invoice you %[2]dsat another
`, web, soldByCarol, soldByCarol/1000, carol, bolt11, boughtByDave, boughtByDave/1000, dave, d.cli())
	return nil
}

// tellOfTheTerminal prints a trade between two command lines.
func (d *demo) tellOfTheTerminal() {
	client := func(name string) string {
		return fmt.Sprintf("%s/trader -relay %s -mostro %s -home %s/%s", d.bin, d.relay, d.world.Mostro, d.dir, name)
	}
	fmt.Printf(`
Or in another terminal, sell 20000 sat as Alice to Bob:

  alice="%s"
  bob="%s"
  node="%s"
  $alice init && $bob init
  $alice sell 20000 20 EUR SEPA          # prints the order's id
  $bob list
  $bob take ID
  $node sim-wallet-invoice bob 20000000 payout       # prints Bob's bolt11
  $bob invoice ID BOLT11
  $alice watch ID                        # prints the hold invoice
  $node sim-wallet-pay alice HOLDINVOICE
  $bob fiat-sent ID
  $alice release ID
  $node sim-wallets                      # who has what
  $node mostro-info                      # what the operator sees
`, client("alice"), client("bob"), d.cli())
}
