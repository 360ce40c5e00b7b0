package trader

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Message is what the Mostro told a trade key.
type Message struct {
	At      int64          // when it was written, unix seconds
	EventID orders.EventID // the Nostr event that brought it

	Action     nostrio.Action
	OrderID    orders.OrderID // zero when it names none
	RequestID  *uint64
	TradeIndex *int64
	Payload    nostrio.Payload // nil when there is none, or one with words unknown here
	Reason     orders.Reason   // of a cant-do, also one unknown here
	Raw        json.RawMessage // the message as it came
}

// Order returns the order that the message carries, by itself or in a payment request; nil if it carries none.
func (m Message) Order() *nostrio.SmallOrder {
	switch p := m.Payload.(type) {
	case nostrio.SmallOrder:
		return &p
	case nostrio.PaymentRequest:
		return p.Order
	}
	return nil
}

// Invoice returns the invoice that the message asks to pay, or "".
func (m Message) Invoice() string {
	p, _ := m.Payload.(nostrio.PaymentRequest)
	return p.Invoice
}

// Dispute returns the dispute that the message names, or zero.
func (m Message) Dispute() orders.DisputeID {
	p, _ := m.Payload.(nostrio.Dispute)
	return orders.DisputeID(p.ID)
}

// Text returns the plain words that the message carries, or "".
func (m Message) Text() string {
	p, _ := m.Payload.(nostrio.TextMessage)
	return string(p)
}

// Notice reports whether a pay-invoice or add-invoice asks for nothing and only tells the other side's reputation.
func (m Message) Notice() bool {
	_, peer := m.Payload.(nostrio.Peer)
	return peer && (m.Action == nostrio.ActPayInvoice || m.Action == nostrio.ActAddInvoice)
}

var errMessage = errors.New("not a Mostro message")

// decodeMessage reads a message strictly, and if that fails, takes from it what can be understood: a newer server may
// use an action, status or reason that we don't know, and the rest of the trade must not be lost for that.
func decodeMessage(raw []byte) (Message, error) {
	m := Message{Raw: raw}
	if strict, err := nostrio.Decode(raw); err == nil {
		b := strict.Body
		m.Action, m.RequestID, m.TradeIndex, m.Payload = b.Action, b.RequestID, b.TradeIndex, b.Payload
		if b.ID != nil {
			m.OrderID = orders.OrderID(*b.ID)
		}
		if p, ok := b.Payload.(nostrio.CantDo); ok {
			m.Reason = orders.Reason(p.Reason)
		}
		return m, nil
	}
	var wrapped map[string]struct {
		RequestID  json.Number     `json:"request_id"`
		TradeIndex json.Number     `json:"trade_index"`
		ID         *orders.OrderID `json:"id"`
		Action     string          `json:"action"`
		Payload    struct {
			CantDo string `json:"cant_do"`
		} `json:"payload"`
	}
	var shape *json.UnmarshalTypeError // a field of another type is left out, the others are read
	if err := json.Unmarshal(raw, &wrapped); err != nil && !errors.As(err, &shape) || len(wrapped) != 1 {
		return Message{}, errMessage
	}
	for _, b := range wrapped {
		if b.Action == "" {
			return Message{}, errMessage
		}
		m.Action, m.Reason = nostrio.Action(b.Action), orders.Reason(b.Payload.CantDo)
		if b.ID != nil {
			m.OrderID = *b.ID
		}
		m.RequestID, m.TradeIndex = number[uint64](b.RequestID), number[int64](b.TradeIndex)
	}
	return m, nil
}

func number[T uint64 | int64](n json.Number) *T {
	var v T
	if n == "" || json.Unmarshal([]byte(n), &v) != nil {
		return nil
	}
	return &v
}

// savedMessage is a message in the state file. The rest is decoded from Raw.
type savedMessage struct {
	At    int64           `json:"at"`
	Event orders.EventID  `json:"event"`
	Raw   json.RawMessage `json:"message"`
}

// CantDo is the Mostro's refusal. It wraps the reason: errors.Is(err, orders.NotFound).
type CantDo struct {
	Asked   nostrio.Action // what was refused, if known
	Reason  orders.Reason
	Message Message
}

func (e *CantDo) Unwrap() error { return e.Reason }

func (e *CantDo) Error() string {
	reason := string(e.Reason)
	if reason == "" {
		reason = "no reason given"
	}
	if words := reasonWords[e.Reason]; words != "" {
		reason += ": " + words
	}
	if e.Asked == "" {
		return fmt.Sprintf("the Mostro can't do that (%s)", reason)
	}
	return fmt.Sprintf("the Mostro can't do %s (%s)", e.Asked, reason)
}

// reasonWords explains the reasons (Mostro protocol, "Can't do").
var reasonWords = map[orders.Reason]string{
	"invalid_trade_index":      "the key of this trade was used before",
	"invalid_amount":           "the amount, or the range, makes no sense",
	"invalid_invoice":          "the invoice can't be used: wrong network, amount or expiry",
	"invalid_peer":             "that is for the other party of the trade",
	"invalid_rating":           "a rating is a number from 1 to 5",
	"invalid_order_kind":       "the order is of the other kind",
	"invalid_order_status":     "the order is no longer in a state for that",
	"invalid_pubkey":           "the order is your own, or not yours",
	"invalid_parameters":       "the parameters contradict each other",
	"order_already_canceled":   "the order is canceled already",
	"is_not_your_order":        "the order is not yours",
	"not_allowed_by_status":    "the order is not in a state for that",
	"out_of_range_sats_amount": "the amount is outside what this Mostro, or the order, allows",
	"out_of_range_fiat_amount": "the fiat amount is outside the order's range",
	"price_too_stale":          "there is no fresh price for this currency",
	"dispute_creation_error":   "there is a dispute already",
	"is_not_your_dispute":      "the dispute is with another solver, or nobody has taken it yet",
	"dispute_taken_by_admin":   "an admin has taken the dispute",
	"not_authorized":           "you have no right to do that",
	"invalid_text_message":     "the text is empty",
	"not_found":                "there is no such order",
	"pending_order_exists":     "finish the other order that you took first",
	"invalid_fiat_currency":    "this Mostro does not take that currency",
	"too_many_requests":        "that is too much at once",
}
