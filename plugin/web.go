package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/prices"
	"github.com/mostro-cln/mostro/plugin/safehttp"
)

// maxWebBody holds the metadata of an LNURL with a picture in it (LUD-06).
const maxWebBody = 256 << 10

// openWeb prepares what talks to the web: prices, and the destinations of buyers. Nothing is asked yet.
func (h *house) openWeb() error {
	web := safehttp.Config{Proxy: h.config.Proxy, ProxyAll: h.config.ProxyAll, UserAgent: "mostro/" + version, MaxBody: maxWebBody}
	if h.config.Network == "regtest" { // a network on one machine: its services are there, too
		web.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		web.PlainHTTP = true
	}
	h.dest = newResolver(h.node, safehttp.New(web), h.self, h.config.rules().MaxFinalCLTV, time.Now)
	web.Total = 10 * time.Second
	web.Date = h.clocks.note
	asked := safehttp.New(web)
	var sources []prices.Source
	for _, s := range h.config.PriceSources {
		source, err := h.priceSource(asked, s)
		if err != nil {
			return fmt.Errorf("price source %s: %w", s.Name, err)
		}
		sources = append(sources, source)
	}
	var err error
	h.book, err = prices.New(prices.Config{Interval: h.config.PriceInterval, MaxAge: h.config.PriceMaxAge, Log: h.log}, sources...)
	return err
}

func (h *house) priceSource(g prices.Getter, s priceSource) (prices.Source, error) {
	if s.Name == sourceCLN {
		return prices.Node(h.node.CurrencyRate, h.config.FiatCurrencies), nil
	}
	if s.URL != "" {
		return prices.Web(s.Name, g, "", s.URL)
	}
	return prices.Web(s.Name, g, "")
}

// relayProxy sends the relays through the node's proxy where the node sends everything through it.
func (h *house) relayProxy() string {
	if !h.config.ProxyAll || h.config.Proxy == "" {
		return ""
	}
	return "socks5h://" + h.config.Proxy
}

// quote is the price that an input may need: of the currency that a new order names, or of the order that is taken.
func (h *house) quote(in orders.Input) *orders.Quote {
	var code string
	switch a := in.Act.(type) {
	case orders.NewOrder:
		if a.Terms.Amount != 0 {
			return nil
		}
		code = a.Terms.FiatCode
	case orders.TakeSell, orders.TakeBuy:
		o, ok, err := h.Order(in.Order)
		if err != nil || !ok || !o.Market {
			return nil
		}
		code = o.Fiat.Code
	default:
		return nil
	}
	q, err := h.book.Rate(code, time.Now())
	if err != nil {
		h.log.Debug("no price", "currency", code, "err", err)
		return nil
	}
	return &orders.Quote{PerBTC: int64(q.PerBTC), AsOf: q.AsOf.Unix()}
}

// payoutTo reads what a buyer gave: an invoice, which the node decodes, or a destination, which is looked up as far as
// that goes today. What cannot be asked for long counts as unusable: the client hears invalid_invoice and can send it
// again.
func (h *house) payoutTo(ctx context.Context, sender orders.PubKey, id orders.OrderID, text string) orders.Invoice {
	d := parseDestination(text)
	if d.Kind == unknownDestination {
		return orders.Invoice{Bolt11: text, Problem: d.Problem}
	}
	if d.Kind == bolt11Invoice {
		return h.decode(ctx, d.Text)
	}
	inv := orders.Invoice{Destination: d.Text}
	if !h.mayGive(sender, id) {
		return inv // the engine refuses the message, whatever this is
	}
	terms, err := h.dest.Check(ctx, d)
	var no *orders.PayError
	switch {
	case errors.As(err, &no):
		inv.Problem = no.Why
	case err != nil:
		h.log.Warn("payout destination", "err", err)
		inv.Problem = "it could not be looked up"
	default:
		inv.Problem = h.covers(terms, id)
	}
	return inv
}

const (
	// nodePatience is how long we ask a node that does not answer before we refuse what it should have judged, and
	// nodePause the time between two questions.
	nodePatience = 30 * time.Second
	nodePause    = 500 * time.Millisecond
)

// decode asks the node about an invoice until it says something: that it is just being restarted is no fault of the
// buyer's. If we end with it, nothing is refused, and the message comes again.
func (h *house) decode(ctx context.Context, bolt11 string) orders.Invoice {
	patience := time.NewTimer(nodePatience)
	defer patience.Stop()
	for {
		inv, err := h.node.DecodePayout(ctx, h.self, bolt11)
		if err == nil {
			return inv
		}
		h.log.Warn("payout invoice", "err", err)
		inv.Problem = "the node could not be asked about it"
		pause := time.NewTimer(nodePause)
		select {
		case <-pause.C:
			continue
		case <-patience.C:
		case <-ctx.Done(): // the message is not done
		}
		pause.Stop()
		return inv
	}
}

// mayGive reports whether the sender could give a payout destination for the order now. Nobody else makes us ask the
// web. A new order has no id.
func (h *house) mayGive(sender orders.PubKey, id orders.OrderID) bool {
	if id.IsZero() {
		return true
	}
	o, ok, err := h.Order(id)
	if err != nil || !ok {
		return false
	}
	switch o.Status {
	case orders.Pending:
		return o.Kind == orders.Sell
	case orders.WaitingBuyerInvoice, orders.SettledHoldInvoice:
		return o.Party(orders.Buyer).Trade == sender
	}
	return false
}

// webDestination reports whether a text names something that has to be looked up outside the node.
func webDestination(text string) bool {
	if text == "" {
		return false
	}
	k := parseDestination(text).Kind
	return k != bolt11Invoice && k != unknownDestination
}

// covers judges the amounts that a destination takes against the order's, where that is known already.
func (h *house) covers(terms takes, id orders.OrderID) string {
	o, ok, err := h.Order(id)
	if err != nil || !ok || o.Amount == 0 {
		return terms.Problem
	}
	return terms.covers(o.PaidOut().Msats())
}

// payoutResolver is orders.Resolver over the resolver.
type payoutResolver struct{ r *resolver }

func (p payoutResolver) Resolve(ctx context.Context, text string, amount orders.Msats) (string, orders.Hash, int64, error) {
	got, err := p.r.Resolve(ctx, parseDestination(text), amount, "")
	var no *orders.PayError
	if errors.As(err, &no) {
		return "", orders.Hash{}, 0, &orders.ResolveError{Why: no.Why, Fatal: no.Fatal}
	}
	return got.Invoice, got.Hash, got.Expires, err
}
