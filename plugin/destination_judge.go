package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

const (
	// leastLife is how long an invoice must live when we get it, seconds: one payment call, and two minutes to begin it.
	leastLife = lightning.RetryFor + 120
	// maxPathCLTV bounds a blinded path, blocks. It covers several hops beside the payee, so it is a week and not what a
	// payee alone may ask for.
	maxPathCLTV = 1008
)

// judgeBolt11 looks at an invoice that a service made for us as at any that is about to be paid: network, payee, final
// CLTV, life, exact amount, and that it is for what the service said (LUD-06, description_hash, where it has one).
func (r *resolver) judgeBolt11(ctx context.Context, bolt11 string, amount orders.Msats, metadata orders.Hash) (resolved, error) {
	d, err := r.describeInvoice(ctx, bolt11)
	if err != nil {
		return resolved{}, err
	}
	inv, ok := d.Due()
	why := ""
	switch {
	case !ok || d.Type != "bolt11 invoice":
		why = "the service's invoice is not valid"
	case d.Currency != lightning.Bolt11Currency[r.self.Network]:
		why = "the service's invoice is for another network"
	case d.Payee == r.self.ID:
		why = "the service's invoice is of the exchange's own node"
	case inv.Amount == nil || *inv.Amount != amount:
		why = "the service's invoice is for another amount"
	case d.DescriptionHash != nil && *d.DescriptionHash != metadata:
		why = "the service's invoice is for something else"
	case d.FinalCLTV > r.maxFinalCLTV:
		why = "the service's invoice asks for too long a lock"
	case inv.Expires < r.now().Unix()+leastLife:
		why = "the service's invoice expires too soon"
	}
	if why != "" {
		return resolved{}, hopeless(why)
	}
	return r.notOurs(ctx, resolved{bolt11, inv.Hash, inv.Expires})
}

// judgeBolt12 does the same for an invoice that an offer gave.
func (r *resolver) judgeBolt12(ctx context.Context, invoice string, amount orders.Msats) (resolved, error) {
	invoice = strings.ToLower(strings.TrimSpace(invoice))
	d, err := r.describeInvoice(ctx, invoice)
	if err != nil {
		return resolved{}, err
	}
	inv, ok := d.Due()
	var chains []string
	if d.InvoiceChain != "" {
		chains = []string{d.InvoiceChain}
	}
	why := ""
	switch {
	case !ok || d.Type != "bolt12 invoice":
		why = "the offer's invoice is not valid"
	case !onChain(r.self.Network, chains...):
		why = "the offer's invoice is for another network"
	case d.InvoiceNode == r.self.ID:
		why = "the offer's invoice is of the exchange's own node"
	case inv.Amount == nil || *inv.Amount != amount:
		why = "the offer's invoice is for another amount"
	case inv.Expires < r.now().Unix()+leastLife:
		why = "the offer's invoice expires too soon"
	}
	for _, p := range d.InvoicePaths {
		if p.PayInfo.CLTVDelta > maxPathCLTV {
			why = "the offer's invoice asks for too long a lock"
		}
	}
	if why != "" {
		return resolved{}, hopeless(why)
	}
	return r.notOurs(ctx, resolved{invoice, inv.Hash, inv.Expires})
}

func (r *resolver) describeInvoice(ctx context.Context, text string) (lightning.Described, error) {
	d, err := r.node.Describe(ctx, text)
	switch {
	case lightning.Illegible(err):
		return d, hopeless("the node cannot read the invoice")
	case err != nil:
		return d, fmt.Errorf("read a fetched invoice: %w", err)
	}
	return d, nil
}

// notOurs refuses an invoice of the node itself whose payee does not show, as behind a blinded path: to pay it would
// settle some other trade.
func (r *resolver) notOurs(ctx context.Context, got resolved) (resolved, error) {
	own, err := r.node.InvoiceByHash(ctx, got.Hash)
	switch {
	case err != nil:
		return resolved{}, fmt.Errorf("look for an invoice of our own: %w", err)
	case own != nil:
		return resolved{}, hopeless("an invoice of the exchange's own node")
	}
	return got, nil
}
