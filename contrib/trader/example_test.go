package trader_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// A seller offers sats, locks them when somebody takes the order, and releases them when the fiat has come.
func Example() {
	sell := func(ctx context.Context, t *trader.Trader, pay func(invoice string), fiatHasCome func()) error {
		sale, err := t.NewOrder(ctx, trader.OrderSpec{
			Kind: orders.Sell, Amount: 10_000, Fiat: "EUR", FiatAmount: 10, Method: "SEPA",
		})
		var refused *trader.CantDo
		if errors.As(err, &refused) {
			return fmt.Errorf("the Mostro does not want this order: %w", refused.Reason)
		}
		if err != nil {
			return err
		}
		m, err := sale.Expect(ctx, nostrio.ActPayInvoice)
		if err != nil {
			return err
		}
		pay(m.Invoice())
		if _, err := sale.Expect(ctx, nostrio.ActFiatSentOk); err != nil {
			return err
		}
		fiatHasCome()
		return sale.Release(ctx)
	}
	_ = sell
}
