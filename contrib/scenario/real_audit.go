package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mostro-cln/mostro/orders"
)

// Sums is what a network's money has done since the channels were opened. All in msat; gains are positive.
type Sums struct {
	Exchange, Sellers, Buyers   orders.Msats // change of the channel balance of each node
	SellerWallets, BuyerWallets orders.Msats // change of all wallets on a node, by its invoices and payments
	Trades                      int          // that succeeded, as the exchange says
	Fees                        orders.Msats // that it should have earned with them
	Open                        int          // channels that are open and usable
	Channels                    int          // that were opened
}

// Sum waits until no payment is pending at any node and adds up.
func (r *Real) Sum(ctx context.Context) (s Sums, err error) {
	for _, n := range []struct {
		node    *lightningd
		channel *orders.Msats
		wallets *orders.Msats
	}{{r.exchange, &s.Exchange, new(orders.Msats)}, {r.seller, &s.Sellers, &s.SellerWallets}, {r.buyer, &s.Buyers, &s.BuyerWallets}} {
		now, err := n.node.balance(ctx)
		if err != nil {
			return s, err
		}
		*n.channel = now - r.opening[n.node]
		if *n.wallets, err = r.walletsOf(ctx, n.node); err != nil {
			return s, err
		}
	}
	for _, l := range r.links() {
		s.Channels += l.count
	}
	rows, err := r.exchange.channels(ctx, nil)
	if err != nil {
		return s, err
	}
	for i := range rows {
		if rows[i].usable() {
			s.Open++
		}
	}
	s.Trades, s.Fees, err = earned(ctx, r)
	return s, err
}

// walletsOf is what the wallets on a node have gained together.
func (r *Real) walletsOf(ctx context.Context, n *lightningd) (sum orders.Msats, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.wallets {
		if w.node != n {
			continue
		}
		free, locked, err := w.Balance(ctx)
		if err != nil {
			return 0, err
		}
		sum += free + locked - w.start
	}
	return sum, nil
}

// earned asks the exchange for its trades that succeeded, page by page.
func earned(ctx context.Context, n Node) (trades int, fees orders.Msats, err error) {
	for before := ""; ; {
		params := map[string]any{"status": orders.Success}
		if before != "" {
			params["before"] = before
		}
		var page struct {
			Orders []struct {
				Fee orders.Msats `json:"fee_msat"`
			} `json:"orders"`
			Next string `json:"next_before"`
		}
		if err := n.Call(ctx, "mostro-listorders", params, &page); err != nil {
			return 0, 0, fmt.Errorf("the exchange's trades: %w", err)
		}
		for _, o := range page.Orders {
			trades++
			fees += o.Fee
		}
		if before = page.Next; before == "" {
			return trades, fees, nil
		}
	}
}

// Check returns what does not add up.
func (s Sums) Check() error {
	var wrong []error
	differ := func(what string, got, want orders.Msats) {
		if got != want {
			wrong = append(wrong, fmt.Errorf("%s: %d msat, should be %d", what, int64(got), int64(want)))
		}
	}
	differ("the three nodes together", s.Exchange+s.Sellers+s.Buyers, 0)
	differ("the exchange's gain", s.Exchange, s.Fees)
	differ("the sellers' channels against their wallets", s.Sellers, s.SellerWallets)
	differ("the buyers' channels against their wallets", s.Buyers, s.BuyerWallets)
	if s.Open != s.Channels {
		wrong = append(wrong, fmt.Errorf("%d of %d channels are open", s.Open, s.Channels))
	}
	return errors.Join(wrong...)
}

// String is a table for a report.
func (s Sums) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %18s %18s\n", "msat", "channel balances", "wallets and fees")
	for _, row := range []struct {
		who          string
		node, ledger orders.Msats
	}{{"sellers", s.Sellers, s.SellerWallets}, {"buyers", s.Buyers, s.BuyerWallets}, {"exchange", s.Exchange, s.Fees}} {
		fmt.Fprintf(&b, "%-10s %+18d %+18d\n", row.who, int64(row.node), int64(row.ledger))
	}
	fmt.Fprintf(&b, "%-10s %+18d %+18d\n", "sum", int64(s.Sellers+s.Buyers+s.Exchange), int64(s.SellerWallets+s.BuyerWallets+s.Fees))
	fmt.Fprintf(&b, "%d trades succeeded, %d of %d channels are open", s.Trades, s.Open, s.Channels)
	return b.String()
}
