package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/btcsuite/btcd/btcutil/bech32"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Prices is what one bitcoin costs, by currency, in whole units. So one euro is 2 000 sat.
var Prices = map[string]int64{
	"EUR": 50_000, "USD": 55_000, "GBP": 43_000, "CHF": 47_000, "BRL": 300_000, "ARS": 75_000_000, "MXN": 1_000_000,
	"VES": 9_000_000, "CUP": 20_000_000, "NGN": 82_000_000, "INR": 4_700_000, "JPY": 8_200_000,
}

// PriceServer answers as a source of prices does, with Prices.
type PriceServer struct {
	URL string
	srv *http.Server
}

// satsPerEuro follows from the price.
const satsPerEuro orders.Sats = 2000

// NewPriceServer listens on loopback until Close.
func NewPriceServer() (*PriceServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /exrates/BTC", func(w http.ResponseWriter, _ *http.Request) {
		rates := maps.Clone(Prices)
		rates["BTC"] = 1
		writeJSON(w, map[string]any{"BTC": rates, "base": "BTC"})
	})
	p := &PriceServer{URL: "http://" + l.Addr().String(), srv: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go p.srv.Serve(l) // until Close
	return p, nil
}

// Option is the exchange's option that names this server as its only source.
func (p *PriceServer) Option() string { return "yadio=" + p.URL }

// Close ends it.
func (p *PriceServer) Close() { p.srv.Close() }

// PayService is a pay service on loopback (LUD-06) that gives out the invoices of one wallet.
type PayService struct {
	LNURL string
	srv   *http.Server
}

const payMetadata = `[["text/plain","sats for a friend"]]`

// NewPayService listens on loopback until Close.
func NewPayService(w Wallet) (*PayService, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	base := "http://" + l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pay", func(out http.ResponseWriter, _ *http.Request) {
		writeJSON(out, map[string]any{
			"tag": "payRequest", "callback": base + "/invoice", "minSendable": 1000, "maxSendable": 1_000_000_000, "metadata": payMetadata,
		})
	})
	var n atomic.Int64
	mux.HandleFunc("GET /invoice", func(out http.ResponseWriter, r *http.Request) {
		msat, err := strconv.ParseInt(r.URL.Query().Get("amount"), 10, 64)
		if err != nil {
			writeJSON(out, map[string]any{"status": "ERROR", "reason": "no amount"})
			return
		}
		bolt11, err := w.Invoice(r.Context(), orders.Sats(msat/1000), fmt.Sprintf("lnurl-%d-%s", n.Add(1), l.Addr()))
		if err != nil {
			writeJSON(out, map[string]any{"status": "ERROR", "reason": err.Error()})
			return
		}
		writeJSON(out, map[string]any{"pr": bolt11, "routes": []any{}})
	})
	words, err := bech32.ConvertBits([]byte(base+"/pay"), 8, 5, true)
	if err != nil {
		return nil, err
	}
	lnurl, err := bech32.Encode("lnurl", words)
	if err != nil {
		return nil, err
	}
	s := &PayService{LNURL: lnurl, srv: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go s.srv.Serve(l) // until Close
	return s, nil
}

// Close ends it.
func (s *PayService) Close() { s.srv.Close() }

func writeJSON(out http.ResponseWriter, v any) {
	out.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(out).Encode(v) // the client has gone, or reads it
}

// paidByLNURL: the buyer gives an LNURL where an invoice is asked for, at the take already.
func paidByLNURL(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.GiftWrap)
	if err != nil {
		return err
	}
	service, err := NewPayService(d.Buyer.Wallet)
	if err != nil {
		return err
	}
	defer service.Close()
	if err := d.Publish(ctx); err != nil {
		return err
	}
	w.say("buyer", "→ mostro: take-sell, with an LNURL")
	if d.purchase, err = d.Buyer.Take(ctx, d.ID(), trader.TakeOpts{Kind: orders.Sell, Invoice: service.LNURL}); err != nil {
		return fmt.Errorf("take: %w", err)
	}
	for _, do := range d.Steps()[3:] {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return d.Settled(ctx)
}

// rangeAtMarketPrice: the seller offers 10 to 50 euros' worth, somebody takes 20, and the rest is an order again, which
// somebody else takes.
func rangeAtMarketPrice(ctx context.Context, w *World) error {
	const slice = 20
	d, err := w.NewDeal(ctx, orders.Sell, slice*satsPerEuro, orders.Direct)
	if err != nil {
		return err
	}
	w.say("seller", "→ mostro: new-order, sell for 10 to 50 EUR at the market price")
	if d.sale, err = d.Seller.NewOrder(ctx, trader.OrderSpec{Kind: orders.Sell, Fiat: "EUR", Min: 10, Max: 50, Method: "SEPA"}); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if d.purchase, err = d.Buyer.Take(ctx, d.ID(), trader.TakeOpts{Kind: orders.Sell, FiatAmount: slice}); err != nil {
		return fmt.Errorf("take: %w", err)
	}
	for _, do := range d.Steps()[2:] {
		if err := do(ctx); err != nil {
			return err
		}
	}
	if err := d.Settled(ctx); err != nil {
		return err
	}
	rest, ok := d.sale.Rest()
	if !ok {
		return fmt.Errorf("the seller heard of no rest")
	}
	return d.sellRest(ctx, rest)
}

// sellRest trades the whole of what was left.
func (d *Deal) sellRest(ctx context.Context, rest *trader.Trade) error {
	const left = 30
	err := until(ctx, "the rest is an order", func() (bool, error) { return !rest.ID().IsZero(), nil })
	if err != nil {
		return err
	}
	buyer, err := d.w.Person(ctx, "buyer2", deposit, orders.GiftWrap)
	if err != nil {
		return err
	}
	e := &Deal{w: d.w, kind: orders.Sell, amount: left * satsPerEuro, Seller: d.Seller, Buyer: buyer, sale: rest}
	if e.purchase, err = buyer.Take(ctx, rest.ID(), trader.TakeOpts{Kind: orders.Sell, FiatAmount: left}); err != nil {
		return fmt.Errorf("take the rest: %w", err)
	}
	for _, do := range e.Steps()[2:] {
		if err := do(ctx); err != nil {
			return fmt.Errorf("the rest: %w", err)
		}
	}
	if err := buyer.Gains(ctx, (left * satsPerEuro).Msats()); err != nil {
		return err
	}
	sold := (20 + left) * satsPerEuro
	fees := orders.PPM(6000).Of(20*satsPerEuro) + orders.PPM(6000).Of(left*satsPerEuro)
	return d.Seller.Gains(ctx, -(sold + fees).Msats())
}

// paidByOffer: the buyer gives a BOLT 12 offer where an invoice is asked for.
func paidByOffer(ctx context.Context, w *World) error {
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		return err
	}
	if err := d.PlayUntil(ctx, "take"); err != nil {
		return err
	}
	if _, err := d.Buyer.expect(ctx, d.purchase, nostrio.ActAddInvoice); err != nil {
		return err
	}
	offer, err := d.Buyer.Wallet.Offer(ctx, "payout-"+d.ID().String())
	if err != nil {
		return fmt.Errorf("the buyer's offer: %w", err)
	}
	w.say("buyer", "→ mostro: add-invoice, with an offer")
	if err := d.purchase.AddInvoice(ctx, offer); err != nil {
		return fmt.Errorf("add-invoice: %w", err)
	}
	for _, do := range d.Steps()[3:] {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return d.Settled(ctx)
}
