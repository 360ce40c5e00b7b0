package nostrio

// Kind says whether the maker buys or sells sats. The empty Kind is null on the wire.
type Kind string

const (
	Buy  Kind = "buy"
	Sell Kind = "sell"
)

var kinds = setOf(Buy, Sell)

// Status is an order's status as messages spell it. The empty Status is null on the wire.
type Status string

var statuses = setOf[Status]("active", "canceled", "canceled-by-admin", "settled-by-admin", "completed-by-admin",
	"dispute", "expired", "fiat-sent", "settled-hold-invoice", "pending", "success", "waiting-buyer-invoice",
	"waiting-payment", "waiting-taker-bond", "cooperatively-canceled", "in-progress", "waiting-maker-bond")

// Reason is why a request was refused, spelled as on the wire. The empty Reason is null.
type Reason string

var reasons = setOf[Reason]("invalid_signature", "invalid_trade_index", "invalid_amount", "invalid_invoice",
	"invalid_payment_request", "invalid_peer", "invalid_rating", "invalid_text_message", "invalid_order_kind",
	"invalid_order_status", "invalid_pubkey", "invalid_parameters", "invalid_payload", "order_already_canceled",
	"cant_create_user", "is_not_your_order", "not_allowed_by_status", "out_of_range_fiat_amount",
	"out_of_range_sats_amount", "is_not_your_dispute", "dispute_taken_by_admin", "not_authorized",
	"dispute_creation_error", "not_found", "invalid_dispute_status", "invalid_action", "pending_order_exists",
	"invalid_fiat_currency", "too_many_requests", "price_too_stale", "invalid_cashu_token",
	"cashu_mint_unavailable", "invalid_mint_url", "cashu_escrow_not_locked", "cashu_signature_missing")

// SmallOrder is an order as messages carry it; as a payload its key is "order". Any field that is not listed here
// fails the whole message on input. Nil numbers and empty enumerations are written as null, nil strings and a nil ID
// are left out.
type SmallOrder struct {
	ID                *UUID
	Kind              Kind
	Status            Status
	Amount            int64 // sats; 0 means market price
	FiatCode          string
	MinAmount         *int64 // whole fiat units; with MaxAmount, a range
	MaxAmount         *int64
	FiatAmount        int64  // whole fiat units; 0 on a range
	PaymentMethod     string // comma-separated list
	Premium           int64  // percent, may be negative
	BuyerTradePubKey  *string
	SellerTradePubKey *string
	BuyerInvoice      *string // BOLT 11 or Lightning address
	CreatedAt         *int64  // unix seconds, as all times here
	ExpiresAt         *int64
}

// PaymentRequest asks for a payment or hands over where to pay to: always an array of three on the wire.
type PaymentRequest struct {
	Order   *SmallOrder
	Invoice string // BOLT 11, Lightning address or LNURL
	Amount  *int64 // sats in add-invoice, whole fiat units in take-sell
}

// TextMessage is free text.
type TextMessage string

// Peer names the other side of a trade. PubKey is hex, or empty in a mere reputation notice.
type Peer struct {
	PubKey     string
	Reputation *UserInfo
}

// UserInfo is a trader's reputation.
type UserInfo struct {
	Rating        float64 // 0 to 5
	Reviews       int64
	OperatingDays uint64
}

// RatingUser is a vote; a server accepts 1 to 5.
type RatingUser uint8

// Amount is a bare number: on takes, whole fiat units.
type Amount int64

// Dispute names a dispute; Info is there only for the solver who took it.
type Dispute struct {
	ID   UUID
	Info *SolverDisputeInfo
}

// SolverDisputeInfo is what a solver learns of a disputed order. It carries the preimage when the escrow is to be
// settled by hand; such a value must never be logged.
type SolverDisputeInfo struct {
	ID                     UUID // the order's id
	Kind                   string
	Status                 string
	Hash                   *string
	Preimage               *string
	OrderPreviousStatus    string
	InitiatorPubKey        string
	BuyerPubKey            *string
	SellerPubKey           *string
	InitiatorFullPrivacy   bool
	CounterpartFullPrivacy bool
	InitiatorInfo          *UserInfo
	CounterpartInfo        *UserInfo
	Premium                int64 // percent
	PaymentMethod          string
	Amount                 int64 // sats
	FiatAmount             int64 // whole fiat units
	Fee                    int64 // sats, one side's
	RoutingFee             int64 // sats
	BuyerInvoice           *string
	InvoiceHeldAt          int64
	TakenAt                int64
	CreatedAt              int64
}

// String names the order and nothing else, so that a careless print shows no preimage.
func (d SolverDisputeInfo) String() string { return "dispute info of order " + d.ID.String() }

// CantDo refuses a request.
type CantDo struct{ Reason Reason }

// NextTrade announces the trade key for what remains of a range order.
type NextTrade struct {
	PubKey string // hex
	Index  uint32
}

// PaymentFailed tells the buyer that a payout did not succeed yet.
type PaymentFailed struct {
	Attempts        uint32
	RetriesInterval uint32 // seconds
}

// RestoreData answers restore-session.
type RestoreData struct {
	Orders   []RestoredOrder
	Disputes []RestoredDispute
}

// RestoredOrder is one order of an identity that is still going on.
type RestoredOrder struct {
	OrderID    UUID
	TradeIndex int64
	Status     string
}

// RestoredDispute is one open dispute of an identity.
type RestoredDispute struct {
	DisputeID    UUID
	OrderID      UUID
	TradeIndex   int64
	Status       string
	Initiator    string // "buyer", "seller", or empty for null
	SolverPubKey *string
}

// IDs asks for orders by id.
type IDs []UUID

// Orders answers with orders.
type Orders []SmallOrder

// BondResolution says whose bond a solver slashes.
type BondResolution struct {
	SlashSeller bool
	SlashBuyer  bool
}

// BondPayoutRequest asks the winner of a slashed bond for an invoice over Order.Amount sats.
type BondPayoutRequest struct {
	Order     SmallOrder
	SlashedAt int64
}

// CashuLockProof is the seller's locked ecash, on nodes that escrow with Cashu.
type CashuLockProof struct {
	Token        string
	MintURL      string
	BuyerPubKey  string
	SellerPubKey string
	MostroPubKey string
	FeeToken     *string // left out when nil
}

// String shows no token: ecash is a bearer instrument.
func (p CashuLockProof) String() string { return "cashu lock proof at " + p.MintURL }

// CashuSignatures are the node's signatures over locked ecash.
type CashuSignatures []CashuSignature

// CashuSignature is the signature for one ecash secret.
type CashuSignature struct {
	Secret    string
	Signature string
}
