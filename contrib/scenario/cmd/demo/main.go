// Command demo runs a whole trade on this machine: a relay, a simulated Lightning node with the real plugins, a seller
// and a buyer who know nothing but the relay. It prints every step, and at the end who has what. It exits with 1 if a
// single msat is not where it belongs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/contrib/scenario"
	"github.com/mostro-cln/mostro/orders"
)

func main() {
	bin := flag.String("bin", "bin", "folder with the built plugins")
	keep := flag.Bool("keep", false, "leave everything running at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

// limit is what a trade may take; it needs a few seconds.
const limit = 60 * time.Second

func run(ctx context.Context, bin string, keep bool) (err error) {
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mostro-demo") // short: it holds a unix socket
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			fmt.Fprintln(os.Stderr, "the node's log is", filepath.Join(dir, "log"))
			return
		}
		os.RemoveAll(dir)
	}()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	srv, err := relay.Listen(context.WithoutCancel(ctx), "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer srv.Close()
	fmt.Println("A relay listens at", srv.URL)
	d := demo{dir: dir, bin: bin, relay: srv.URL}
	options := map[string]any{"mostro-relays": srv.URL}
	if keep {
		options["mostro-web-listen"] = "127.0.0.1:0"
	}
	if d.sim, err = scenario.NewSim(ctx, scenario.SimConfig{Dir: dir, Bin: scenario.BinariesIn(bin), Log: log, Options: options}); err != nil {
		return err
	}
	defer d.sim.Close()
	if err := d.trade(ctx); err != nil {
		return err
	}
	if keep {
		return d.keep(ctx)
	}
	return nil
}

type demo struct {
	dir, bin, relay string
	sim             *scenario.Sim
	world           *scenario.World
}

// balances is who has how much, msat.
type balances struct{ seller, buyer, node orders.Msats }

func (d *demo) trade(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	d.world = &scenario.World{Node: d.sim, Relays: []string{d.relay}, Say: os.Stdout}
	if err := d.world.Start(ctx); err != nil {
		return err
	}
	fmt.Println("A simulated lightningd runs the plugins mostro, holdinvoice and holdinvoice-guard")
	fmt.Println("The exchange is", d.world.Mostro)
	deal, err := d.world.NewDeal(ctx, orders.Sell, scenario.Amount, 0)
	if err != nil {
		return err
	}
	before, err := d.balances(ctx, deal)
	if err != nil {
		return err
	}
	fmt.Printf("\nA seller and a buyer, who know the relay and that key, trade %d sat:\n\n", scenario.Amount)
	for _, s := range deal.Steps() {
		if err := s(ctx); err != nil {
			return err
		}
		if err := d.showStep(ctx, deal); err != nil {
			return err
		}
	}
	if err := deal.Settled(ctx); err != nil {
		return err
	}
	if err := d.sim.Audit(ctx); err != nil {
		return err
	}
	after, err := d.balances(ctx, deal)
	if err != nil {
		return err
	}
	return table(before, after)
}

// showStep tells where the order and the sats are.
func (d *demo) showStep(ctx context.Context, deal *scenario.Deal) error {
	st, err := d.world.Status(ctx, deal.ID())
	if err != nil {
		return err
	}
	free, locked, err := deal.Seller.Wallet.Balance(ctx)
	if err != nil {
		return err
	}
	got, _, err := deal.Buyer.Wallet.Balance(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("           order: %-22s seller %d sat + %d locked, buyer %d sat\n\n", st, free/1000, locked/1000, got/1000)
	return nil
}

func (d *demo) balances(ctx context.Context, deal *scenario.Deal) (b balances, err error) {
	sum := func(w scenario.Wallet) orders.Msats {
		free, locked, werr := w.Balance(ctx)
		err = errors.Join(err, werr)
		return free + locked
	}
	b.seller, b.buyer = sum(deal.Seller.Wallet), sum(deal.Buyer.Wallet)
	var audit struct {
		Node orders.Msats `json:"node_msat"`
	}
	err = errors.Join(err, d.sim.Call(ctx, "sim-audit", map[string]any{}, &audit))
	b.node = audit.Node
	return b, err
}

// table prints who had and has what, and where the difference went.
func table(before, after balances) error {
	routing := before.seller + before.buyer + before.node - after.seller - after.buyer - after.node
	fmt.Printf("%-22s %16s %16s %14s\n", "msat", "before", "after", "change")
	line := func(who string, a, b orders.Msats) {
		fmt.Printf("%-22s %16d %16d %+14d\n", who, int64(a), int64(b), int64(b-a))
	}
	line("seller", before.seller, after.seller)
	line("buyer", before.buyer, after.buyer)
	line("exchange's node", before.node, after.node)
	line("routing nodes", 0, routing)
	sum := after.seller - before.seller + after.buyer - before.buyer + after.node - before.node + routing
	fmt.Printf("%-22s %16s %16s %+14d\n", "sum", "", "", int64(sum))
	fee := orders.PPM(6000).Of(scenario.Amount).Msats()
	if earned := after.node - before.node; sum != 0 || routing < 0 || earned != fee-routing {
		return fmt.Errorf("the sums are off: the exchange earned %d msat of a fee of %d less %d for routing", earned, fee, routing)
	}
	fmt.Printf("\nThe seller paid %d sat and a fee of %d sat, the buyer got %d sat, and no msat was lost.\n", scenario.Amount, fee/1000, scenario.Amount)
	return nil
}
