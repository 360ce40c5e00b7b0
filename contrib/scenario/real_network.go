package scenario

import (
	"context"
	"fmt"

	"github.com/mostro-cln/mostro/orders"
	"golang.org/x/sync/errgroup"
)

// link is the channels between two nodes.
type link struct {
	from, to *lightningd // from has opened them
	count    int
	size     orders.Sats // of each
	push     orders.Sats // what `to` has of each in the beginning
}

// links are all channels of the network. Sellers pay much more than they are paid, buyers the other way round. Several
// channels between two nodes let a large payment come in parts.
func (r *Real) links() []link {
	return []link{
		{r.seller, r.exchange, 3, 2_500_000, 100_000},
		{r.exchange, r.buyer, 2, 5_000_000, 500_000},
	}
}

// confirmations make a channel public.
const confirmations = 6

// openChannels gives every opener its coins, one for each channel, and opens all channels.
func (r *Real) openChannels(ctx context.Context) error {
	for _, l := range r.links() {
		for range l.count {
			var a struct {
				Address string `json:"bech32"`
			}
			if err := l.from.rpc.Call(ctx, "newaddr", map[string]any{"addresstype": "bech32"}, &a); err != nil {
				return fmt.Errorf("fund %s: %w", l.from.name, err)
			}
			if err := r.chain.send(ctx, a.Address, l.size+100_000); err != nil {
				return fmt.Errorf("fund %s: %w", l.from.name, err)
			}
		}
	}
	if err := r.Mine(ctx, 1); err != nil {
		return err
	}
	for _, l := range r.links() {
		if err := l.open(ctx); err != nil {
			return err
		}
	}
	if err := r.Mine(ctx, confirmations); err != nil {
		return err
	}
	return r.awaitChannels(ctx)
}

func (l link) open(ctx context.Context) error {
	err := until(ctx, l.from.name+" sees its coins", func() (bool, error) {
		var f struct {
			Outputs []struct {
				Status string `json:"status"`
			} `json:"outputs"`
		}
		err := l.from.rpc.Call(ctx, "listfunds", nil, &f)
		confirmed := 0
		for _, o := range f.Outputs {
			if o.Status == "confirmed" {
				confirmed++
			}
		}
		return confirmed >= l.count, err
	})
	if err != nil {
		return err
	}
	if err := l.from.connect(ctx, l.to); err != nil {
		return err
	}
	for range l.count {
		err := l.from.rpc.Call(ctx, "fundchannel", map[string]any{
			"id": l.to.key(), "amount": int64(l.size), "push_msat": l.push.Msats(), "minconf": 1,
		}, nil)
		if err != nil {
			return fmt.Errorf("open a channel from %s to %s: %w", l.from.name, l.to.name, err)
		}
	}
	return nil
}

// awaitChannels connects the nodes that run and waits until every channel between them can be used from both ends.
func (r *Real) awaitChannels(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range r.links() {
		if l.from.alive() && l.to.alive() {
			g.Go(func() error { return l.await(ctx) })
		}
	}
	return g.Wait()
}

func (l link) await(ctx context.Context) error {
	return until(ctx, fmt.Sprintf("%d channels between %s and %s are up", l.count, l.from.name, l.to.name), func() (bool, error) {
		for from, to := range map[*lightningd]*lightningd{l.from: l.to, l.to: l.from} {
			rows, err := from.channels(ctx, to)
			if err != nil {
				return false, err
			}
			up := 0
			for i := range rows {
				if rows[i].usable() {
					up++
				}
			}
			if up < l.count {
				// A peer that was away comes back by itself after some seconds; asking for it is quicker.
				_ = l.from.connect(ctx, l.to)
				return false, fmt.Errorf("%d are, as %s sees them", up, from.name)
			}
		}
		return true, nil
	})
}

// Mine implements Node: one block at a time, each seen by every node that runs. A node that misses blocks while it holds
// a payment would find itself after a deadline.
func (r *Real) Mine(ctx context.Context, blocks int) error {
	for range blocks {
		if err := r.chain.mine(ctx, 1); err != nil {
			return fmt.Errorf("mine: %w", err)
		}
		g, ctx := errgroup.WithContext(ctx)
		for _, n := range r.nodes() {
			if n.alive() {
				g.Go(func() error { return n.synced(ctx) })
			}
		}
		if err := g.Wait(); err != nil {
			return fmt.Errorf("mine: %w", err)
		}
	}
	return nil
}
