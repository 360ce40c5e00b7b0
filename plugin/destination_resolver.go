package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// resolver looks destinations up: whether one can be paid at all when a buyer gives it, and a payable invoice when the
// payout is due. It never pays, so everything in it may be done again; but two invoices of one destination are two
// payments, so its caller keeps what Resolve gave and resolves no second time while that may still be paid.
//
// Errors are of two kinds. A *orders.PayError is about the destination, in words without the buyer's details; Fatal
// says that no later try can succeed. Any other error is about our own node, or the end of ctx, and says nothing.
type resolver struct {
	node *lightning.Node
	http jsonGetter
	self lightning.Info
	now  func() time.Time
	// maxFinalCLTV is the most blocks that an invoice's payee may ask for (Rules.MaxFinalCLTV).
	maxFinalCLTV int64
	checks       chan struct{} // a slot for each look-up under way
}

// Bounds of a resolver's work. Clients bring checks about, so those are few and short, and one too many is refused
// rather than queued; payouts are bounded by the outbox.
const (
	maxChecks    = 16
	checkLimit   = 12 * time.Second
	resolveLimit = 90 * time.Second
)

func newResolver(n *lightning.Node, http jsonGetter, self lightning.Info, maxFinalCLTV int64, now func() time.Time) *resolver {
	return &resolver{node: n, http: http, self: self, maxFinalCLTV: maxFinalCLTV, now: now, checks: make(chan struct{}, maxChecks)}
}

func hopeless(why string) error     { return &orders.PayError{Why: why, Fatal: true} }
func perhapsLater(why string) error { return &orders.PayError{Why: why} }

// takes is what a destination said that it takes when it was looked at.
type takes struct {
	// Problem is why it cannot be paid, fit for a client to see; else empty.
	Problem string
	// Min and Max bound the amount, both included.
	Min, Max orders.Msats
}

// covers returns the problem of one amount: Problem, or that the amount is out of bounds.
func (t takes) covers(amount orders.Msats) string {
	switch {
	case t.Problem != "":
		return t.Problem
	case amount < t.Min || amount > t.Max:
		return fmt.Sprintf("takes %d to %d msat, not %d", t.Min, t.Max, amount)
	}
	return ""
}

// Check looks a destination up as far as that goes without an amount: that a pay service or an offer is there, and
// which amounts it takes. An error is about us, and the destination may be good.
func (r *resolver) Check(ctx context.Context, d destination) (takes, error) {
	select {
	case r.checks <- struct{}{}:
		defer func() { <-r.checks }()
	default:
		return takes{}, errors.New("too many destinations are being looked up")
	}
	limited, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	t, err := r.check(limited, d)
	var about *orders.PayError
	switch {
	case ctx.Err() != nil: // what failed then may have failed of that
		return takes{}, ctx.Err()
	case errors.As(err, &about):
		return takes{Problem: about.Why}, nil
	}
	return t, err
}

func (r *resolver) check(ctx context.Context, d destination) (takes, error) {
	switch d.Kind {
	case bolt12Offer:
		return r.checkOffer(ctx, d.Text)
	case bip353Name:
		o, err := r.offerOf(ctx, bareName(d))
		return o.takes, err
	case lnAddress:
		return r.checkAddress(ctx, d)
	case lnurlPay:
		return r.checkLNURL(ctx, d)
	}
	return takes{}, noneToLookUp(d)
}

// checkAddress is satisfied with an offer for any amount; where there is none, it is the address's service that counts.
func (r *resolver) checkAddress(ctx context.Context, d destination) (takes, error) {
	o, err := r.offerOf(ctx, bareName(d))
	if err == nil && o.takes.Min < o.takes.Max {
		return o.takes, nil
	}
	t, err2 := r.checkLNURL(ctx, d)
	if err2 != nil && err == nil {
		return o.takes, nil
	}
	return t, err2
}

func noneToLookUp(d destination) error {
	if d.Kind == bolt11Invoice {
		return hopeless("an invoice, not a destination")
	}
	return hopeless(d.Problem)
}

func (r *resolver) checkLNURL(ctx context.Context, d destination) (takes, error) {
	p, err := r.askTerms(ctx, d)
	return takes{Min: max(1, orders.Msats(p.Min)), Max: orders.Msats(p.Max)}, err
}

func (r *resolver) checkOffer(ctx context.Context, offer string) (takes, error) {
	d, err := r.offerTerms(ctx, offer)
	t := takes{Min: 1, Max: orders.MaxSats.Msats()}
	if err == nil && d.OfferAmount != nil {
		t.Min, t.Max = *d.OfferAmount, *d.OfferAmount
	}
	return t, err
}

// resolved is an invoice that can be paid now.
type resolved struct {
	Invoice string // lnbc… or lni1…
	Hash    orders.Hash
	Expires int64 // unix seconds
}

// Resolve gets an invoice of exactly that amount. The note is for the payee to read, and is dropped where there is no
// room for it.
func (r *resolver) Resolve(ctx context.Context, d destination, amount orders.Msats, note string) (resolved, error) {
	if amount <= 0 {
		return resolved{}, hopeless("nothing to pay")
	}
	limited, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	got, err := r.resolve(limited, d, amount, note)
	if ctx.Err() != nil { // what failed then may have failed of that
		return resolved{}, ctx.Err()
	}
	return got, err
}

func (r *resolver) resolve(ctx context.Context, d destination, amount orders.Msats, note string) (resolved, error) {
	switch d.Kind {
	case bolt12Offer:
		return r.fetchFrom(ctx, d.Text, "", amount, note)
	case bip353Name:
		return r.resolveName(ctx, bareName(d), amount, note)
	case lnAddress:
		return r.resolveAddress(ctx, d, amount, note)
	case lnurlPay:
		return r.resolveLNURL(ctx, d, amount, note)
	}
	return resolved{}, noneToLookUp(d)
}

func (r *resolver) resolveLNURL(ctx context.Context, d destination, amount orders.Msats, note string) (resolved, error) {
	p, err := r.askTerms(ctx, d)
	if err != nil {
		return resolved{}, err
	}
	return r.askInvoice(ctx, d, p, amount, note)
}

func (r *resolver) resolveName(ctx context.Context, name string, amount orders.Msats, note string) (resolved, error) {
	o, err := r.offerOf(ctx, name)
	if err != nil {
		return resolved{}, err
	}
	return r.fetchNamed(ctx, o, amount, note)
}

func (r *resolver) fetchNamed(ctx context.Context, o namedOffer, amount orders.Msats, note string) (resolved, error) {
	if why := o.takes.covers(amount); why != "" {
		return resolved{}, hopeless(why)
	}
	return r.fetchFrom(ctx, o.offer, o.name, amount, note)
}

// resolveAddress tries user@domain as a BIP 353 name and then as a Lightning address. Both are the domain's word, and
// an invoice that was fetched and not handed on is never paid, so the second way is open whenever the first one gave
// nothing. That there is no such name, which most addresses have not, says nothing about the address.
func (r *resolver) resolveAddress(ctx context.Context, d destination, amount orders.Msats, note string) (resolved, error) {
	var named error
	if o, err := r.offerOf(ctx, bareName(d)); err == nil {
		var got resolved
		if got, named = r.fetchNamed(ctx, o, amount, note); named == nil || ctx.Err() != nil {
			return got, named
		}
	}
	got, err := r.resolveLNURL(ctx, d, amount, note)
	var first, second *orders.PayError
	if errors.As(named, &first) && errors.As(err, &second) && second.Fatal && !first.Fatal {
		return resolved{}, first // the way that may be open later
	}
	return got, err
}

// namedOffer is the offer that a BIP 353 name leads to.
type namedOffer struct {
	name, offer string
	takes       takes
}

// maxInstructions bounds how many of a name's offers are looked at.
const maxInstructions = 4

// offerOf resolves a BIP 353 name to the first of its offers that can be paid.
func (r *resolver) offerOf(ctx context.Context, name string) (namedOffer, error) {
	list, err := r.node.FetchBIP353(ctx, name)
	var told *clnio.Error
	switch {
	case errors.As(err, &told) && told.Code == clnio.CodeMethodNotFound:
		return namedOffer{}, hopeless("this node resolves no BIP 353 names")
	case errors.As(err, &told) && told.Code != clnio.CodePluginTerminated && told.Code != clnio.CodeShuttingDown:
		return namedOffer{}, perhapsLater("the name could not be resolved")
	case errors.Is(err, context.DeadlineExceeded):
		return namedOffer{}, perhapsLater("the name could not be resolved in time")
	case err != nil:
		return namedOffer{}, fmt.Errorf("resolve a name: %w", err)
	}
	problem := hopeless("the name leads to no offer")
	for _, in := range list[:min(len(list), maxInstructions)] {
		d := parseDestination(in.Offer)
		if d.Kind != bolt12Offer {
			continue
		}
		t, err := r.checkOffer(ctx, d.Text)
		if err == nil {
			if in.Amount != nil {
				t.Min, t.Max = max(t.Min, *in.Amount), min(t.Max, *in.Amount)
			}
			return namedOffer{name, d.Text, t}, nil
		}
		problem = err
	}
	return namedOffer{}, problem
}

// bareName is user@domain without ₿.
func bareName(d destination) string { return strings.TrimPrefix(d.Text, "₿") }
