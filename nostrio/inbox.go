package nostrio

import (
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/mostro-cln/mostro/orders"
)

// OpeningWindow is how old, in seconds, a message may be that begins something: an order or a take that reaches us
// late is not wanted any more. What continues a trade counts whenever it comes.
const OpeningWindow = 600

// Translate makes the exchange's input of a client's message. decode reads a payout invoice or destination with the
// node's help; it is called at most once, with the order that it is for, zero for a new one. False: the message asks for nothing, or too late, and is dropped without an answer.
func Translate(in Incoming, now int64, seed orders.Seed, decode func(orders.OrderID, string) orders.Invoice) (orders.Input, bool) {
	b := in.Message.Body
	if opens(b.Action) && in.At < now-OpeningWindow || !asks(b.Action) {
		return orders.Input{}, false
	}
	input := orders.Input{
		ID: in.ID, At: now, Seed: seed, Request: b.RequestID, Index: b.TradeIndex,
		From: orders.Sender{Trade: in.Sender, Identity: in.Identity, Way: in.Way},
	}
	if b.ID != nil && b.Action != ActNewOrder && b.Action != ActAdminTakeDispute && b.Action != ActAdminAddSolver {
		input.Order = orders.OrderID(*b.ID)
	}
	input.Act = act(b, func(text string) orders.Invoice { return decode(input.Order, text) })
	return input, true
}

func opens(a Action) bool {
	return a == ActNewOrder || a == ActTakeSell || a == ActTakeBuy
}

// asks reports whether a client may say a at all. What only servers say, or clients to each other, is no request.
func asks(a Action) bool {
	switch a {
	case ActNewOrder, ActTakeSell, ActTakeBuy, ActAddInvoice, ActFiatSent, ActRelease, ActCancel, ActRateUser,
		ActDispute, ActOrders, ActRestoreSession, ActLastTradeIndex, ActTradePubKey, ActPayInvoice, ActAddBondInvoice,
		ActAddCashuEscrow, ActAdminAddSolver, ActAdminCancel, ActAdminSettle, ActAdminTakeDispute:
		return true
	}
	return false
}

// act reads the payload that the action allows. Another payload is refused.
func act(b Body, decode func(string) orders.Invoice) orders.Act {
	switch b.Action {
	case ActNewOrder:
		if p, ok := b.Payload.(SmallOrder); ok {
			return newOrder(p, decode)
		}
	case ActTakeSell:
		return takeSell(b.Payload, decode)
	case ActTakeBuy:
		switch p := b.Payload.(type) {
		case nil:
			return orders.TakeBuy{}
		case Amount:
			return orders.TakeBuy{Fiat: (*int64)(&p)}
		}
	case ActAddInvoice:
		if p, ok := b.Payload.(PaymentRequest); ok {
			return orders.AddInvoice{Invoice: decoded(p.Invoice, decode)}
		}
	case ActFiatSent, ActRelease:
		if next, ok := nextKey(b.Payload); ok {
			if b.Action == ActRelease {
				return orders.Release{Next: next}
			}
			return orders.SendFiat{Next: next}
		}
	case ActCancel:
		return orders.Cancel{}
	case ActRateUser:
		if p, ok := b.Payload.(RatingUser); ok {
			return orders.RateUser{Points: int64(p)}
		}
	case ActTradePubKey:
		return orders.TradeKey{}
	case ActDispute:
		return orders.OpenDispute{}
	case ActAdminTakeDispute:
		if b.ID != nil {
			return orders.AdminTake{Dispute: orders.DisputeID(*b.ID)}
		}
	case ActAdminSettle, ActAdminCancel:
		if v, ok := verdict(b.Action, b.Payload); ok {
			return v
		}
	case ActAdminAddSolver:
		return addSolver(b.Payload)
	case ActOrders:
		if p, ok := b.Payload.(IDs); ok {
			return askOrders(p)
		}
	case ActRestoreSession:
		return orders.AskRestore{}
	case ActLastTradeIndex:
		return orders.AskLastIndex{}
	default:
		return orders.Other{Action: string(b.Action), Reason: orders.InvalidAction}
	}
	return orders.Other{Action: string(b.Action), Reason: orders.InvalidParameters}
}

// nextKey reads the announced key for the rest of a range order. With a key that is no point of the curve the range
// ends: nothing could ever be said to it, and a release must not fail for it.
func nextKey(payload Payload) (*orders.NextKey, bool) {
	p, ok := payload.(NextTrade)
	if !ok {
		return nil, payload == nil
	}
	key, err := orders.ParsePubKey(p.PubKey)
	if err != nil {
		return nil, true
	}
	if _, err := schnorr.ParsePubKey(key[:]); err != nil {
		return nil, true
	}
	return &orders.NextKey{Trade: key, Index: int64(p.Index)}, true
}

// PayoutText is where a message says that its sender wants to be paid; empty if it says nothing of that.
func PayoutText(m Message) string {
	switch p := m.Body.Payload.(type) {
	case SmallOrder:
		if m.Body.Action == ActNewOrder && p.Kind == Buy && p.BuyerInvoice != nil {
			return *p.BuyerInvoice
		}
	case PaymentRequest:
		if m.Body.Action == ActTakeSell || m.Body.Action == ActAddInvoice {
			return p.Invoice
		}
	}
	return ""
}

func askOrders(ids IDs) orders.AskOrders {
	a := orders.AskOrders{}
	for _, id := range ids {
		a.IDs = append(a.IDs, orders.OrderID(id))
	}
	return a
}

func newOrder(p SmallOrder, decode func(string) orders.Invoice) orders.Act {
	n := orders.NewOrder{Terms: orders.Terms{
		Kind: orders.Kind(p.Kind), Amount: orders.Sats(p.Amount), FiatCode: p.FiatCode, FiatAmount: p.FiatAmount,
		Min: p.MinAmount, Max: p.MaxAmount, PaymentMethod: p.PaymentMethod, Premium: p.Premium,
	}}
	if p.ExpiresAt != nil {
		n.Terms.ExpiresAt = *p.ExpiresAt
	}
	if p.Kind == Buy && p.BuyerInvoice != nil && *p.BuyerInvoice != "" {
		n.Invoice = decoded(*p.BuyerInvoice, decode)
	}
	return n
}

func takeSell(payload Payload, decode func(string) orders.Invoice) orders.Act {
	switch p := payload.(type) {
	case nil:
		return orders.TakeSell{}
	case Amount:
		return orders.TakeSell{Fiat: (*int64)(&p)}
	case PaymentRequest:
		t := orders.TakeSell{Fiat: p.Amount}
		if p.Invoice != "" {
			t.Invoice = decoded(p.Invoice, decode)
		}
		return t
	}
	return orders.Other{Action: string(ActTakeSell), Reason: orders.InvalidParameters}
}

func decoded(s string, decode func(string) orders.Invoice) *orders.Invoice {
	inv := decode(s)
	return &inv
}
