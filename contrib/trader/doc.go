// Package trader is a Mostro client: it knows relays and a Mostro's public key, and nothing else of the exchange.
//
//	t, err := trader.New(trader.Config{Mnemonic: words, Relays: relays, Mostro: npub, StateFile: file})
//	defer t.Close()
//	sale, err := t.NewOrder(ctx, trader.OrderSpec{Kind: orders.Sell, Amount: 10_000, Fiat: "EUR", FiatAmount: 10, Method: "SEPA"})
//	m, err := sale.Expect(ctx, nostrio.ActPayInvoice) // somebody took it
//	pay(m.Invoice())
//	m, err = sale.Expect(ctx, nostrio.ActFiatSentOk)
//	err = sale.Release(ctx)
//
// A method that asks the Mostro for something returns when it has answered. A refusal is a *CantDo, which wraps the
// reason; the answer itself, as any message, waits for Expect. Some requests the protocol lets a server pass over in
// silence; then, after Config.Patience, the error is ErrNoReply.
//
// Messages that hold words unknown here are kept like all others: Raw has them as they came.
//
// The files: keys.go derives the keys, state.go remembers the trades, relays.go and link.go hold the connections,
// seal.go and open.go write and read the two transports, message.go is what was read, trade.go and actions.go are one
// trade, info.go and book.go what the Mostro publishes, index.go recovers the key counter.
package trader
