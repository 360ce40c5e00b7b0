package orders

import "errors"

// Reason is why a client's request was refused, spelled as on the wire (Mostro protocol, "cant-do").
type Reason string

func (r Reason) Error() string { return string(r) }

// The reasons that this server gives.
const (
	InvalidTradeIndex    Reason = "invalid_trade_index"
	InvalidAmount        Reason = "invalid_amount"
	InvalidInvoice       Reason = "invalid_invoice"
	InvalidPeer          Reason = "invalid_peer"
	InvalidRating        Reason = "invalid_rating"
	InvalidOrderKind     Reason = "invalid_order_kind"
	InvalidOrderStatus   Reason = "invalid_order_status"
	InvalidPubkey        Reason = "invalid_pubkey"
	InvalidParameters    Reason = "invalid_parameters"
	InvalidPayload       Reason = "invalid_payload"
	InvalidAction        Reason = "invalid_action"
	OrderAlreadyCanceled Reason = "order_already_canceled"
	IsNotYourOrder       Reason = "is_not_your_order"
	NotAllowedByStatus   Reason = "not_allowed_by_status"
	OutOfRangeSatsAmount Reason = "out_of_range_sats_amount"
	NotFound             Reason = "not_found"
	PendingOrderExists   Reason = "pending_order_exists"
	InvalidFiatCurrency  Reason = "invalid_fiat_currency"
	TooManyRequests      Reason = "too_many_requests"
	PriceTooStale        Reason = "price_too_stale"
	InvalidTextMessage   Reason = "invalid_text_message"
	IsNotYourDispute     Reason = "is_not_your_dispute"
	DisputeTakenByAdmin  Reason = "dispute_taken_by_admin"
	NotAuthorized        Reason = "not_authorized"
	DisputeCreationError Reason = "dispute_creation_error"
)

// ReasonOf takes the reason out of a wrapped error.
func ReasonOf(err error) (Reason, bool) {
	var r Reason
	ok := errors.As(err, &r)
	return r, ok
}
