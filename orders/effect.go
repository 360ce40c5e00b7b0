package orders

import (
	"encoding/json"
	"fmt"
)

// Effect is something that we owe the world after a commit. Each one is safe to carry out twice.
type Effect interface {
	// Lane names the queue: rows of one order and lane go out in order, lanes don't wait for each other.
	Lane() Lane
}

// Lane separates what may not wait for each other: money never waits for a relay, nor for another payment.
type Lane string

// The lanes of an order. Each payment hash has a lane of its own as well.
const (
	MessageLane Lane = "message" // to a party; each receiver has his own
	BookLane    Lane = "book"    // the public order event
	AlertLane   Lane = "alert"   // to the operator
	RatingLane  Lane = "rating"  // public rating events
	DisputeLane Lane = "dispute" // the public dispute event
	PayoutLane  Lane = "payout"  // asking a destination for an invoice
)

// Action is what a message from us says, spelled as on the wire.
type Action string

// The actions that we send.
const (
	SayNewOrder            Action = "new-order"
	SayPayInvoice          Action = "pay-invoice"
	SayAddInvoice          Action = "add-invoice"
	SayWaitingSellerToPay  Action = "waiting-seller-to-pay"
	SayWaitingBuyerInvoice Action = "waiting-buyer-invoice"
	SayBuyerTookOrder      Action = "buyer-took-order"
	SayHoldAccepted        Action = "hold-invoice-payment-accepted"
	SayHoldSettled         Action = "hold-invoice-payment-settled"
	SayHoldCanceled        Action = "hold-invoice-payment-canceled"
	SayFiatSentOk          Action = "fiat-sent-ok"
	SayReleased            Action = "released"
	SayPurchaseCompleted   Action = "purchase-completed"
	SayPaymentFailed       Action = "payment-failed"
	SayInvoiceUpdated      Action = "invoice-updated"
	SayCanceled            Action = "canceled"
	SayCoopByYou           Action = "cooperative-cancel-initiated-by-you"
	SayCoopByPeer          Action = "cooperative-cancel-initiated-by-peer"
	SayCoopAccepted        Action = "cooperative-cancel-accepted"
	SayRate                Action = "rate"
	SayRateReceived        Action = "rate-received"
	SayTradeKey            Action = "trade-pubkey"
	SayOrders              Action = "orders"
	SayRestore             Action = "restore-session"
	SayLastIndex           Action = "last-trade-index"
	SayCantDo              Action = "cant-do"
	SayDisputeByYou        Action = "dispute-initiated-by-you"
	SayDisputeByPeer       Action = "dispute-initiated-by-peer"
	SayTookDispute         Action = "admin-took-dispute"
	SayAdminSettled        Action = "admin-settled"
	SayAdminCanceled       Action = "admin-canceled"
	SayAddSolver           Action = "admin-add-solver"
	SayText                Action = "send-dm" // plain words; clients that don't show them lose nothing
)

// Letter is a message to one trade key. Sealing it is a pure function of this value, so that a repeat is the same
// event and relays drop it.
type Letter struct {
	To      PubKey  `json:"to"`
	Way     Way     `json:"way"`
	Action  Action  `json:"action"`
	Order   OrderID `json:"order"` // zero: the message names none
	Request *uint64 `json:"request,omitempty"`
	Index   *int64  `json:"index,omitempty"`
	At      int64   `json:"at"`
	Seed    Seed    `json:"seed"`
	// At most one group of the following is set.
	View    *OrderView     `json:"view,omitempty"`
	Bolt11  string         `json:"bolt11,omitempty"` // with View: a payment request
	Peer    *PeerView      `json:"peer,omitempty"`
	Reason  Reason         `json:"reason,omitempty"`
	Failure *PayoutFailure `json:"failure,omitempty"`
	Points  int64          `json:"points,omitempty"`
	Views   []OrderView    `json:"views,omitempty"`
	Restore *Session       `json:"restore,omitempty"`
	Dispute *DisputeID     `json:"dispute,omitempty"`
	Info    *DisputeInfo   `json:"info,omitempty"` // with Dispute
	Text    string         `json:"text,omitempty"`
	// About is the dispute that the message names in the place of the order.
	About *DisputeID `json:"about,omitempty"`
	// Queue is the receiver behind whose messages this one stands in line; zero is To.
	Queue PubKey `json:"queue,omitzero"`
}

// Session is all that goes on under one identity.
type Session struct {
	Trades   []Restored        `json:"trades"`
	Disputes []RestoredDispute `json:"disputes,omitempty"` // their orders are not among the trades
}

// RestoredDispute is one open dispute of an identity. Solver is zero as long as nobody has taken it.
type RestoredDispute struct {
	Dispute DisputeID    `json:"dispute"`
	Order   OrderID      `json:"order"`
	Index   int64        `json:"index"`
	State   DisputeState `json:"state"`
	By      Side         `json:"by"`
	Solver  PubKey       `json:"solver"`
}

// Restored is one trade of an identity, with the index of its trade key, 0 where it is not known.
type Restored struct {
	Order  OrderID `json:"order"`
	Index  int64   `json:"index"`
	Status string  `json:"status"` // as on the wire
}

// OrderView is an order as one receiver may see it. Amount is the sats that concern the receiver.
type OrderView struct {
	ID            OrderID `json:"id"`
	Kind          Kind    `json:"kind"`
	Status        string  `json:"status"`
	Amount        Sats    `json:"amount"`
	Fiat          Fiat    `json:"fiat"`
	PaymentMethod string  `json:"payment_method"`
	Premium       int64   `json:"premium"`
	BuyerTrade    *PubKey `json:"buyer_trade,omitempty"`
	SellerTrade   *PubKey `json:"seller_trade,omitempty"`
	BuyerInvoice  string  `json:"buyer_invoice,omitempty"`
	CreatedAt     *int64  `json:"created_at,omitempty"`
	ExpiresAt     *int64  `json:"expires_at,omitempty"`
}

// PeerView names the other party or, with a zero key, tells its reputation only.
type PeerView struct {
	Trade    PubKey    `json:"trade"`
	Standing *Standing `json:"standing,omitempty"`
}

// PayoutFailure tells the buyer how often and how soon (seconds) the payout will be tried again.
type PayoutFailure struct {
	Attempts int `json:"attempts"`
	Interval int `json:"interval"`
}

// Announcement is the public order event (NIP-69) with everything that goes into it.
type Announcement struct {
	Order         OrderID   `json:"order"`
	Kind          Kind      `json:"kind"`
	Status        string    `json:"status"` // tag "s"
	Amount        Sats      `json:"amount"`
	Fiat          Fiat      `json:"fiat"`
	PaymentMethod string    `json:"payment_method"`
	Premium       int64     `json:"premium"`
	Standing      *Standing `json:"standing,omitempty"` // of the maker, while pending
	ExpiresAt     int64     `json:"expires_at"`
	Expiration    int64     `json:"expiration"` // NIP-40
	Stamp         int64     `json:"stamp"`      // created_at; rises with every announcement of one order
}

// DisputeInfo is what a solver learns of a disputed order. No identity and no preimage is in it.
type DisputeInfo struct {
	Order             OrderID   `json:"order"`
	Kind              Kind      `json:"kind"`
	Status            string    `json:"status"` // as on the wire, and Before too
	Before            string    `json:"before"`
	Hash              Hash      `json:"hash"`
	Initiator         PubKey    `json:"initiator"` // trade keys
	Buyer             PubKey    `json:"buyer"`
	Seller            PubKey    `json:"seller"`
	InitiatorPrivate  bool      `json:"initiator_private,omitempty"`
	OtherPrivate      bool      `json:"other_private,omitempty"`
	InitiatorStanding *Standing `json:"initiator_standing,omitempty"` // nil in full-privacy mode
	OtherStanding     *Standing `json:"other_standing,omitempty"`
	Premium           int64     `json:"premium"`
	PaymentMethod     string    `json:"payment_method"`
	Amount            Sats      `json:"amount"`
	FiatAmount        int64     `json:"fiat_amount"`
	Fee               Sats      `json:"fee"` // one side's share, or the whole where the seller pays it all
	BuyerInvoice      string    `json:"buyer_invoice,omitempty"`
	HeldAt            int64     `json:"held_at"` // unix seconds
	TakenAt           int64     `json:"taken_at"`
	CreatedAt         int64     `json:"created_at"`
}

// DisputeNote is the public dispute event (Mostro protocol, kind 38386), addressed by the dispute's id.
type DisputeNote struct {
	Dispute    DisputeID    `json:"dispute"`
	State      DisputeState `json:"state"`
	By         Side         `json:"by"`
	OpenedAt   int64        `json:"opened_at"`
	Expiration int64        `json:"expiration"` // NIP-40
	Stamp      int64        `json:"stamp"`      // created_at; rises with every event of one dispute
}

// RatingNote is the public rating event of a user (Mostro protocol, kind 38384), addressed by the trade key under which
// he was rated.
type RatingNote struct {
	Trade   PubKey `json:"trade"`
	Reviews int64  `json:"reviews"`
	Sum     int64  `json:"sum"`
	Last    int64  `json:"last"`
	Min     int64  `json:"min"`
	Max     int64  `json:"max"`
	Days    int64  `json:"days"`
	Stamp   int64  `json:"stamp"` // created_at
}

// ResolvePayout asks the buyer's destination for an invoice over exactly Amount.
type ResolvePayout struct {
	Destination string `json:"destination"`
	Amount      Msats  `json:"amount_msat"`
}

// CreateHold asks the node for the hold invoice of that hash; what it needs stands in the Hold.
type CreateHold struct {
	Hash        Hash   `json:"hash"`
	Description string `json:"description"`
	Expiry      int64  `json:"expiry"` // seconds in which it can be paid
}

// SettleHold gives the node the preimage.
type SettleHold struct {
	Hash Hash `json:"hash"`
}

// CancelHold gives the money back to the seller, or makes the invoice unpayable.
type CancelHold struct {
	Hash Hash `json:"hash"`
}

// Pay pays the buyer. Began and Session are the in-flight marker: they are committed before the node is asked to pay.
type Pay struct {
	Invoice string `json:"invoice"`
	Hash    Hash   `json:"hash"`
	Amount  Msats  `json:"amount_msat"`
	MaxFee  Msats  `json:"max_fee_msat"`
	Attempt int    `json:"attempt"` // from 1
	// Began is when the node was first asked to pay in this attempt, unix seconds; 0 = not yet.
	Began int64 `json:"began,omitempty"`
	// Session names the run of the node in which that was: a call cannot outlive it.
	Session string `json:"session,omitempty"`
	// Over: that call came back with an error; Why and Fatal are the node's words.
	Over  bool   `json:"over,omitempty"`
	Why   string `json:"why,omitempty"`
	Fatal bool   `json:"fatal,omitempty"`
}

// Alert is for the operator.
type Alert struct {
	Text string `json:"text"`
}

// Lane of a letter is its receiver's.
func (l Letter) Lane() Lane {
	if !l.Queue.IsZero() {
		return MessageLane + Lane(l.Queue.String())
	}
	return MessageLane + Lane(l.To.String())
}
func (Announcement) Lane() Lane  { return BookLane }
func (RatingNote) Lane() Lane    { return RatingLane }
func (DisputeNote) Lane() Lane   { return DisputeLane }
func (ResolvePayout) Lane() Lane { return PayoutLane }
func (c CreateHold) Lane() Lane  { return Lane(c.Hash.String()) }
func (c SettleHold) Lane() Lane  { return Lane(c.Hash.String()) }
func (c CancelHold) Lane() Lane  { return Lane(c.Hash.String()) }
func (p Pay) Lane() Lane         { return Lane(p.Hash.String()) }
func (Alert) Lane() Lane         { return AlertLane }

// Row is one effect in the outbox.
type Row struct {
	Number    uint64  `json:"-"` // key; rows go out by it
	Order     OrderID `json:"order"`
	NotBefore int64   `json:"not_before,omitempty"` // unix seconds
	Effect    Effect  `json:"-"`
}

type rowJSON struct {
	Order     OrderID         `json:"order"`
	NotBefore int64           `json:"not_before,omitempty"`
	Kind      string          `json:"kind"`
	Effect    json.RawMessage `json:"effect"`
}

// effectKinds gives each effect the name under which it is stored. Names are for ever.
var effectKinds = map[string]func() Effect{
	"letter":         func() Effect { return &Letter{} },
	"announcement":   func() Effect { return &Announcement{} },
	"dispute":        func() Effect { return &DisputeNote{} },
	"rating":         func() Effect { return &RatingNote{} },
	"resolve-payout": func() Effect { return &ResolvePayout{} },
	"create-hold":    func() Effect { return &CreateHold{} },
	"settle-hold":    func() Effect { return &SettleHold{} },
	"cancel-hold":    func() Effect { return &CancelHold{} },
	"pay":            func() Effect { return &Pay{} },
	"alert":          func() Effect { return &Alert{} },
}

func effectKind(e Effect) string {
	switch e.(type) {
	case *Letter:
		return "letter"
	case *Announcement:
		return "announcement"
	case *RatingNote:
		return "rating"
	case *DisputeNote:
		return "dispute"
	case *ResolvePayout:
		return "resolve-payout"
	case *CreateHold:
		return "create-hold"
	case *SettleHold:
		return "settle-hold"
	case *CancelHold:
		return "cancel-hold"
	case *Pay:
		return "pay"
	case *Alert:
		return "alert"
	}
	panic(fmt.Sprintf("orders: effect %T has no name", e))
}

// MarshalJSON writes the row with the name of its effect.
func (r Row) MarshalJSON() ([]byte, error) {
	body, err := json.Marshal(r.Effect)
	if err != nil {
		return nil, err
	}
	return json.Marshal(rowJSON{r.Order, r.NotBefore, effectKind(r.Effect), body})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Row) UnmarshalJSON(b []byte) error {
	var j rowJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	mk, ok := effectKinds[j.Kind]
	if !ok {
		return fmt.Errorf("outbox row: unknown effect %q", j.Kind)
	}
	e := mk()
	if err := json.Unmarshal(j.Effect, e); err != nil {
		return fmt.Errorf("outbox row %s: %w", j.Kind, err)
	}
	r.Order, r.NotBefore, r.Effect = j.Order, j.NotBefore, e
	return nil
}
