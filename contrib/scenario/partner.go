package scenario

import (
	"context"
	"fmt"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Partner is a trader who plays his side of one trade by himself, as soon as the other side has played its own: he pays
// the hold invoice, gives an invoice, says that the fiat was sent, releases, agrees to a cooperative cancel. Who tries
// a client by hand, or tests one, needs nobody else.
type Partner struct {
	*Person
	trade *trader.Trade
}

// Maker makes an order and is its partner.
func (w *World) Maker(ctx context.Context, name string, spec trader.OrderSpec, way orders.Way) (*Partner, error) {
	return w.partner(ctx, name, way, func(p *Person) (*trader.Trade, error) { return p.NewOrder(ctx, spec) })
}

// Taker takes an order and is its maker's partner.
func (w *World) Taker(ctx context.Context, name string, id orders.OrderID, opts trader.TakeOpts, way orders.Way) (*Partner, error) {
	return w.partner(ctx, name, way, func(p *Person) (*trader.Trade, error) { return p.Take(ctx, id, opts) })
}

func (w *World) partner(ctx context.Context, name string, way orders.Way, begin func(*Person) (*trader.Trade, error)) (*Partner, error) {
	p, err := w.Person(ctx, name, deposit, way)
	if err != nil {
		return nil, err
	}
	tr, err := begin(p)
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("%s begins a trade: %w", name, err)
	}
	return &Partner{Person: p, trade: tr}, nil
}

// Trade is his side of the trade.
func (p *Partner) Trade() *trader.Trade { return p.trade }

// Play goes on until the trade has ended well or was canceled, or ctx ends.
func (p *Partner) Play(ctx context.Context) error {
	for {
		m, err := p.expect(ctx, p.trade, nostrio.ActPayInvoice, nostrio.ActAddInvoice, nostrio.ActPaymentFailed,
			nostrio.ActHoldInvoicePaymentAccepted, nostrio.ActFiatSentOk, nostrio.ActCooperativeCancelByPeer,
			nostrio.ActPurchaseCompleted, nostrio.ActHoldInvoicePaymentSettled, nostrio.ActRate, nostrio.ActCanceled,
			nostrio.ActCooperativeCancelAccepted, nostrio.ActAdminCanceled, nostrio.ActAdminSettled)
		if err != nil {
			return err
		}
		over, err := p.answer(ctx, m)
		if err != nil {
			return fmt.Errorf("%s answers %s: %w", p.Name, m.Action, err)
		}
		if over {
			return nil
		}
	}
}

// answer does what a message asks of him, and reports whether it was the last.
func (p *Partner) answer(ctx context.Context, m trader.Message) (over bool, err error) {
	switch m.Action {
	case nostrio.ActPayInvoice:
		return false, p.Wallet.Pay(ctx, m.Invoice())
	case nostrio.ActAddInvoice:
		bolt11, err := p.Wallet.Invoice(ctx, orders.Sats(m.Order().Amount), "payout-"+m.EventID.String())
		if err != nil {
			return false, err
		}
		return false, p.trade.AddInvoice(ctx, bolt11)
	case nostrio.ActHoldInvoicePaymentAccepted:
		if p.trade.Side() == orders.Buyer {
			return false, p.trade.FiatSent(ctx)
		}
	case nostrio.ActFiatSentOk:
		if p.trade.Side() == orders.Seller {
			return false, p.trade.Release(ctx)
		}
	case nostrio.ActCooperativeCancelByPeer:
		return false, p.trade.Cancel(ctx)
	case nostrio.ActPaymentFailed: // the exchange tries again, or asks for another invoice
	case nostrio.ActCanceled:
		return !p.trade.Maker(), nil // to a maker it may be the taker's end only: the order is on the book again
	case nostrio.ActRate, nostrio.ActHoldInvoicePaymentSettled:
		return p.trade.Side() == orders.Seller, nil
	default:
		return true, nil
	}
	return false, nil
}
