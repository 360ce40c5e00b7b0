package orders

import "slices"

// Kind is what the maker wants to do with sats.
type Kind string

// The order kinds (NIP-69, tag "k").
const (
	Buy  Kind = "buy"
	Sell Kind = "sell"
)

// Side is a party's part in the trade, whoever made the order.
type Side string

// The sides.
const (
	Buyer  Side = "buyer"
	Seller Side = "seller"
)

// Other returns the opposite side.
func (s Side) Other() Side {
	if s == Buyer {
		return Seller
	}
	return Buyer
}

// Status says who has done what by now. The values are those of the wire, except the two that only we know.
type Status string

// The statuses of an order.
const (
	Pending             Status = "pending"
	WaitingBuyerInvoice Status = "waiting-buyer-invoice"
	WaitingPayment      Status = "waiting-payment"
	Active              Status = "active"
	FiatSent            Status = "fiat-sent"
	// InDispute: a solver decides, unless the parties agree before.
	InDispute Status = "dispute"
	// Settling: the seller released, or a solver said so, and the node has not yet proved that the hold invoice is settled.
	Settling           Status = "settling"
	SettledHoldInvoice Status = "settled-hold-invoice"
	Success            Status = "success"
	Canceled           Status = "canceled"
	CanceledByAdmin    Status = "canceled-by-admin"
	CoopCanceled       Status = "cooperatively-canceled"
	Expired            Status = "expired"
	// Frozen: the escrow was lost after the fiat was sent; nothing moves until a person decides, or the node proves that
	// it was not lost.
	Frozen Status = "frozen"
)

// Statuses lists every status in the order of a trade.
var Statuses = []Status{
	Pending, WaitingBuyerInvoice, WaitingPayment, Active, FiatSent, InDispute, Settling, SettledHoldInvoice,
	Success, Canceled, CanceledByAdmin, CoopCanceled, Expired, Frozen,
}

// Final reports whether no input changes the status any more.
func (s Status) Final() bool {
	return slices.Contains([]Status{Success, Canceled, CanceledByAdmin, CoopCanceled, Expired}, s)
}

// Wire returns the status as clients know it.
func (s Status) Wire() string {
	switch s {
	case Settling:
		return string(SettledHoldInvoice)
	case Frozen:
		return string(InDispute)
	}
	return string(s)
}

// Public returns tag "s" of the order event (NIP-69).
func (s Status) Public() string {
	switch s {
	case Pending, Success:
		return string(s)
	case Canceled, CanceledByAdmin, CoopCanceled, Expired:
		return string(Canceled)
	}
	return "in-progress"
}

// Way is the transport by which a party talks to us; replies leave the same way.
type Way uint8

// The transports (Mostro protocol, "protocol_version").
const (
	GiftWrap Way = 1 // NIP-59, kind 1059
	Direct   Way = 2 // NIP-44 in a signed kind 14
)

// Party is one of the two people of a trade.
type Party struct {
	Trade    PubKey  `json:"trade"`             // key of this trade; authors messages and receives ours
	Identity PubKey  `json:"identity"`          // long-lived key; equals Trade in full-privacy mode
	Index    *int64  `json:"index,omitempty"`   // index of the trade key, if the client told it
	Way      Way     `json:"way"`               // transport of its last message
	Request  *uint64 `json:"request,omitempty"` // request_id of its last accepted message
	Rated    bool    `json:"rated,omitempty"`   // has rated the other party
}

// Here reports whether there is such a party yet.
func (p *Party) Here() bool { return !p.Trade.IsZero() }

// Private reports full-privacy mode: no identity, hence no reputation.
func (p *Party) Private() bool { return p.Identity == p.Trade }

// Fiat is the other money of an order, in whole units of the currency.
type Fiat struct {
	Code   string `json:"code"` // ISO 4217, as the maker wrote it
	Amount int64  `json:"amount"`
	Min    *int64 `json:"min,omitempty"` // both set on a range order, else both nil
	Max    *int64 `json:"max,omitempty"`
}

// Payout is the payment to the buyer. Times are unix seconds.
type Payout struct {
	// Destination is where to ask for an invoice when it is time to pay: a Lightning address, an LNURL, an offer or a
	// BIP 353 name. Empty if the buyer gave an invoice.
	Destination string `json:"destination,omitempty"`
	Invoice     string `json:"invoice,omitempty"` // BOLT 11 or a BOLT 12 invoice
	Hash        Hash   `json:"hash,omitzero"`
	Expires     int64  `json:"expires,omitempty"`
	Attempts    int    `json:"attempts,omitempty"`  // finished attempts on this invoice, all failed
	InFlight    bool   `json:"in_flight,omitempty"` // an attempt is owed or under way: the invoice must not change
	NextAt      int64  `json:"next_at,omitempty"`   // when the next attempt is due; 0 none
}

// Given reports whether the buyer has said where he wants the sats.
func (p *Payout) Given() bool { return p.Destination != "" || p.Invoice != "" }

// Text is what the buyer gave.
func (p *Payout) Text() string {
	if p.Destination != "" {
		return p.Destination
	}
	return p.Invoice
}

// NextKey is the trade key that the maker of a range order announced for what will be left of it.
type NextKey struct {
	Trade PubKey `json:"trade"`
	Index int64  `json:"index"`
}

// Order is one offer and the trade that comes of it. Only the life cycle changes its status.
type Order struct {
	ID            OrderID `json:"id"`
	Kind          Kind    `json:"kind"`
	Status        Status  `json:"status"`
	Maker         Party   `json:"maker"`
	Taker         Party   `json:"taker,omitzero"`
	Amount        Sats    `json:"amount"`           // without fee; 0 at the market price as long as nobody has taken it
	Market        bool    `json:"market,omitempty"` // the amount follows from the price at the take
	Fees          Fees    `json:"fees"`
	Tariff        *Tariff `json:"tariff,omitempty"` // nil: made by a version that did not keep it
	Fiat          Fiat    `json:"fiat"`
	PaymentMethod string  `json:"payment_method"`
	Premium       int64   `json:"premium,omitzero"`
	// MakerPayout is the payout invoice that the maker of a buy order gave at once. It outlives an abandoned take.
	MakerPayout Payout   `json:"maker_payout,omitzero"`
	Payout      Payout   `json:"payout,omitzero"`
	Next        *NextKey `json:"next,omitempty"`      // of a range order's maker
	Parent      OrderID  `json:"parent,omitzero"`     // the range order of which this is the rest
	Hold        Hash     `json:"hold,omitzero"`       // payment hash of the current hold invoice
	CancelBy    Side     `json:"cancel_by,omitempty"` // who asked for a cooperative cancel
	FreedBy     FreedBy  `json:"freed_by,omitempty"`  // on whose word the escrow goes to the buyer
	Dispute     *Dispute `json:"dispute,omitempty"`
	CreatedAt   int64    `json:"created_at"`           // unix seconds, as are all times
	ExpiresAt   int64    `json:"expires_at"`           // end of the pending life
	TakenAt     int64    `json:"taken_at,omitempty"`   // start of the present waiting duty
	HeldAt      int64    `json:"held_at,omitempty"`    // the escrow was locked
	WarnedAt    int64    `json:"warned_at,omitempty"`  // the parties were last told how many blocks are left
	Deadline    int64    `json:"deadline,omitempty"`   // when the present status ends by itself; 0 never
	Published   int64    `json:"published,omitempty"`  // created_at of the last order event
	UpdatedAt   int64    `json:"updated_at,omitempty"` // last transition
}

// SideOf returns the side on which the maker, or else the taker, stands.
func (o *Order) SideOf(maker bool) Side {
	if maker == (o.Kind == Sell) {
		return Seller
	}
	return Buyer
}

// Party returns the person on that side; it may not be Here yet.
func (o *Order) Party(s Side) *Party {
	if o.SideOf(true) == s {
		return &o.Maker
	}
	return &o.Taker
}

// Escrow is what the seller locks: the amount and the seller's share of the fee.
func (o *Order) Escrow() Sats { return o.Amount + o.Fees.Seller }

// PaidOut is what the buyer receives: the amount less the buyer's share of the fee.
func (o *Order) PaidOut() Sats { return o.Amount - o.Fees.Buyer }

// Range reports whether the taker chooses the fiat amount.
func (o *Order) Range() bool { return o.Fiat.Min != nil && o.Fiat.Max != nil }

// HoldState is what we know of a hold invoice.
type HoldState string

// The states of a hold invoice. Settling and Canceling are decisions that were made and are not yet proved.
const (
	HoldCreating  HoldState = "creating"
	HoldOpen      HoldState = "open"
	HoldAccepted  HoldState = "accepted"
	HoldSettling  HoldState = "settling"
	HoldSettled   HoldState = "settled"
	HoldCanceling HoldState = "canceling"
	HoldCanceled  HoldState = "canceled"
)

// Ended reports whether the node has nothing more to do with the invoice.
func (s HoldState) Ended() bool { return s == HoldSettled || s == HoldCanceled }

// Hold is one hold invoice. Each take makes a new one; every one has an owner and ends.
type Hold struct {
	Hash      Hash      `json:"hash"`
	Order     OrderID   `json:"order"`
	Preimage  Preimage  `json:"-"` // stored sealed
	Amount    Msats     `json:"amount_msat"`
	State     HoldState `json:"state"`
	Bolt11    string    `json:"bolt11,omitempty"`
	Held      Msats     `json:"held_msat,omitempty"`
	Refunded  Msats     `json:"refunded_msat,omitempty"` // booked as returned to the seller
	MinExpiry uint32    `json:"min_expiry,omitempty"`    // lowest CLTV expiry of the accepted parts, block height
	CreatedAt int64     `json:"created_at"`
	UpdatedAt int64     `json:"updated_at"`
}

// Transition is one row of an order's history.
type Transition struct {
	At    int64  `json:"at"`
	From  Status `json:"from,omitempty"`
	To    Status `json:"to"`
	On    On     `json:"on"`
	Input string `json:"input"` // id of the input
}

// Entry is one row of an order's money ledger.
type Entry struct {
	At    int64     `json:"at"`
	What  EntryKind `json:"what"`
	Msats Msats     `json:"amount_msat"`
	Hash  Hash      `json:"payment_hash"`
}

// EntryKind says what happened to the money of a ledger row.
type EntryKind string

// The kinds of ledger rows. Settled = Paid + Kept on every order that ended well, and Routed comes out of Kept.
const (
	Locked   EntryKind = "locked"   // accepted by our hold invoice
	Refunded EntryKind = "refunded" // went back to the seller
	Settled  EntryKind = "settled"  // became ours to pay out
	Paid     EntryKind = "paid"     // reached the buyer
	Routed   EntryKind = "routed"   // routing fees of the payout
	Kept     EntryKind = "kept"     // the server's fee
	Owed     EntryKind = "owed"     // settled by the node without a release: the operator owes it to the seller
)

// User is what we remember of an identity key.
type User struct {
	Identity  PubKey `json:"identity"`
	LastIndex int64  `json:"last_index"`
	CreatedAt int64  `json:"created_at"`
	Reviews   int64  `json:"reviews"`
	Sum       int64  `json:"sum"` // of all votes, 1…5 each
	Last      int64  `json:"last"`
	Min       int64  `json:"min"`
	Max       int64  `json:"max"`
}

// Standing is a user's reputation as others see it; all zero in full-privacy mode.
type Standing struct {
	Reviews int64 `json:"reviews"`
	Sum     int64 `json:"sum"`
	Days    int64 `json:"days"` // whole days since the first trade
}

// Rating is the average vote, 0 without any.
func (s Standing) Rating() float64 {
	if s.Reviews == 0 {
		return 0
	}
	return float64(s.Sum) / float64(s.Reviews)
}
