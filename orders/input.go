package orders

// On names what happened.
type On string

// Everything that can happen to an order. The first group are clients' messages, spelled as on the wire.
const (
	OnNewOrder   On = "new-order"
	OnTakeSell   On = "take-sell"
	OnTakeBuy    On = "take-buy"
	OnAddInvoice On = "add-invoice"
	OnFiatSent   On = "fiat-sent"
	OnRelease    On = "release"
	OnCancel     On = "cancel"
	OnRateUser   On = "rate-user"
	OnTradeKey   On = "trade-pubkey"
	OnDispute    On = "dispute"
	OnOrders     On = "orders"
	OnRestore    On = "restore-session"
	OnLastIndex  On = "last-trade-index"
	OnOther      On = "other" // a well-formed request that this server does not serve

	// What solvers, admins and the operator say.
	OnAdminTake   On = "admin-take-dispute"
	OnAdminSettle On = "admin-settle"
	OnAdminCancel On = "admin-cancel"
	OnAddSolver   On = "admin-add-solver"

	OnHoldCreated    On = "hold-created"
	OnHoldAccepted   On = "hold-accepted"
	OnHoldSettled    On = "hold-settled"
	OnHoldCanceled   On = "hold-canceled"
	OnPayoutResolved On = "payout-resolved"
	OnPayoutPaid     On = "payout-paid"
	OnPayoutFailed   On = "payout-failed"
	OnDeadline       On = "deadline"
	OnEscrowNearing  On = "escrow-nearing"
	OnEscrowDeadline On = "escrow-deadline"
)

// Ons lists every input, in the order of the constants.
var Ons = []On{
	OnNewOrder, OnTakeSell, OnTakeBuy, OnAddInvoice, OnFiatSent, OnRelease, OnCancel, OnRateUser, OnTradeKey, OnDispute,
	OnOrders, OnRestore, OnLastIndex, OnOther, OnAdminTake, OnAdminSettle, OnAdminCancel, OnAddSolver,
	OnHoldCreated, OnHoldAccepted, OnHoldSettled, OnHoldCanceled, OnPayoutResolved, OnPayoutPaid, OnPayoutFailed,
	OnDeadline, OnEscrowNearing, OnEscrowDeadline,
}

// Input is one thing that happened, with everything needed to decide on it: the engine reads no clock, no random
// source and no network. The same input gives the same bytes, however often it is done.
type Input struct {
	// ID is the same whenever the same thing is reported again: the event id of a message, or NodeID's result.
	ID [32]byte
	// At is the time of the input, unix seconds. For a message it is when we took it in hand.
	At int64
	// Seed feeds ids, preimages and nonces. Fresh random bytes for each new input.
	Seed Seed
	// Act is what happened.
	Act Act

	// From, Order, Request and Index are those of a client's message.
	From    Sender
	Order   OrderID
	Request *uint64
	Index   *int64
	// Quote is the present price of the order's currency, nil where there is none or it is too old.
	Quote *Quote
	// Closed is set while no escrow can be made; new orders and takes are refused, trades under way go on.
	Closed bool
}

// Sender is who wrote a message. All of it was proved by the transport.
type Sender struct {
	Trade    PubKey
	Identity PubKey // equals Trade in full-privacy mode
	Way      Way
}

// Private reports full-privacy mode.
func (s Sender) Private() bool { return s.Trade == s.Identity }

// Act is the part of an input that differs from kind to kind.
type Act interface{ On() On }

// Terms are what the maker asks for. Amounts are as received and unchecked.
type Terms struct {
	Kind          Kind
	Amount        Sats // 0 asks for the market price
	FiatCode      string
	FiatAmount    int64
	Min, Max      *int64
	PaymentMethod string
	Premium       int64
	ExpiresAt     int64 // 0 = the server's default
}

// Invoice is where the buyer wants the sats: a BOLT 11 invoice as the node decoded it, or a destination from which an
// invoice is to be had later. Then only Destination and Problem are set.
type Invoice struct {
	Bolt11      string
	Destination string
	Problem     string // why it cannot be used at all: not an invoice, wrong network, ours, …; else empty
	Hash        Hash
	Amount      Msats // 0 = the payer chooses
	Expires     int64 // unix seconds
	CLTV        int64 // the payee's min_final_cltv_expiry, blocks (BOLT 11)
}

// The acts of clients. Invoice is nil where the client gave none.
type (
	// NewOrder publishes an order.
	NewOrder struct {
		Terms   Terms
		Invoice *Invoice
	}
	// TakeSell takes a sell order; the sender becomes the buyer.
	TakeSell struct {
		Invoice *Invoice
		Fiat    *int64 // slice of a range order
	}
	// TakeBuy takes a buy order; the sender becomes the seller.
	TakeBuy struct {
		Fiat *int64
	}
	// AddInvoice gives or replaces the payout invoice.
	AddInvoice struct{ Invoice *Invoice }
	// SendFiat says that the buyer has paid the fiat. Next is the key for the rest of his range order.
	SendFiat struct{ Next *NextKey }
	// Release is the seller's word that frees the escrow. Next as in SendFiat.
	Release struct{ Next *NextKey }
	// Cancel asks for the end of the order.
	Cancel struct{}
	// RateUser gives the other party 1…5 points.
	RateUser struct{ Points int64 }
	// TradeKey moves a pending order of the sender's identity to the trade key that wrote the message.
	TradeKey struct{}
	// OpenDispute asks for a solver.
	OpenDispute struct{}
	// AskOrders asks for orders of the sender's identity.
	AskOrders struct{ IDs []OrderID }
	// AskRestore asks for all trades of the sender's identity that go on.
	AskRestore struct{}
	// AskLastIndex asks for the highest trade index of the sender's identity.
	AskLastIndex struct{}
	// Other is a request that this server does not serve, and the reason that its sender hears.
	Other struct {
		Action string
		Reason Reason
	}
)

// The acts of solvers, admins and the operator. A message has them with a From, whose identity must have the right. An
// input without From is the operator's own, by the node's RPC; Operator then names him in the audit.
type (
	// AdminTake takes a dispute, by its own id or, where that is zero, by Input.Order.
	AdminTake struct {
		Dispute  DisputeID
		Operator string
	}
	// AdminSettle gives the escrow to the buyer. Note goes into the audit.
	AdminSettle struct {
		SlashBuyer, SlashSeller bool // their bonds
		Operator, Note          string
	}
	// AdminCancel gives the escrow back to the seller.
	AdminCancel struct {
		SlashBuyer, SlashSeller bool
		Operator, Note          string
	}
	// AddSolver names a solver, or changes his level. Problem is why the message could not be read, else empty.
	AddSolver struct {
		Key      PubKey
		Level    Level
		Problem  Reason
		Operator string
	}
)

// The acts of the node.
type (
	// HoldCreated: the hold invoice exists at the node and can be shown.
	HoldCreated struct {
		Hash   Hash
		Bolt11 string
	}
	// HoldIsAccepted: the whole amount is held.
	HoldIsAccepted struct {
		Hash      Hash
		Held      Msats
		MinExpiry uint32
	}
	// HoldIsSettled: the node has proved that the preimage was accepted.
	HoldIsSettled struct{ Hash Hash }
	// HoldIsCanceled: nothing is held and nothing ever will be.
	HoldIsCanceled struct {
		Hash Hash
		Why  string
	}
	// PayoutResolved: the destination has given an invoice for the exact amount.
	PayoutResolved struct {
		Destination string
		Invoice     string
		Hash        Hash
		Expires     int64
	}
	// PayoutPaid: the buyer's invoice is paid.
	PayoutPaid struct {
		Hash     Hash
		Preimage Preimage
		Fee      Msats // routing
		Instead  Hash  // the payout that the store believed in, where the node had paid another invoice of the order
	}
	// PayoutFailed: this attempt cannot succeed any more. Fatal: nor can another one on the same invoice, or the
	// destination will never give one. Hash is zero where there was no invoice yet.
	PayoutFailed struct {
		Hash  Hash
		Why   string
		Fatal bool
	}
	// DeadlineReached: the time of the order's present status is over.
	DeadlineReached struct{ Deadline int64 }
	// EscrowNearing: so many blocks are left before the lowest CLTV expiry of the hold. It is said at each block.
	EscrowNearing struct {
		Hash   Hash
		Height uint32
		Left   uint32
	}
	// EscrowEnding: the hold comes too near to its CLTV expiry to be left alone.
	EscrowEnding struct {
		Hash   Hash
		Height uint32
	}
)

func (NewOrder) On() On        { return OnNewOrder }
func (TakeSell) On() On        { return OnTakeSell }
func (TakeBuy) On() On         { return OnTakeBuy }
func (AddInvoice) On() On      { return OnAddInvoice }
func (SendFiat) On() On        { return OnFiatSent }
func (Release) On() On         { return OnRelease }
func (Cancel) On() On          { return OnCancel }
func (RateUser) On() On        { return OnRateUser }
func (TradeKey) On() On        { return OnTradeKey }
func (AskOrders) On() On       { return OnOrders }
func (AskRestore) On() On      { return OnRestore }
func (AskLastIndex) On() On    { return OnLastIndex }
func (PayoutResolved) On() On  { return OnPayoutResolved }
func (Other) On() On           { return OnOther }
func (HoldCreated) On() On     { return OnHoldCreated }
func (HoldIsAccepted) On() On  { return OnHoldAccepted }
func (HoldIsSettled) On() On   { return OnHoldSettled }
func (HoldIsCanceled) On() On  { return OnHoldCanceled }
func (PayoutPaid) On() On      { return OnPayoutPaid }
func (PayoutFailed) On() On    { return OnPayoutFailed }
func (DeadlineReached) On() On { return OnDeadline }
func (EscrowNearing) On() On   { return OnEscrowNearing }
func (EscrowEnding) On() On    { return OnEscrowDeadline }
func (OpenDispute) On() On     { return OnDispute }
func (AdminTake) On() On       { return OnAdminTake }
func (AdminSettle) On() On     { return OnAdminSettle }
func (AdminCancel) On() On     { return OnAdminCancel }
func (AddSolver) On() On       { return OnAddSolver }

// hashOf returns the payment hash that an act of the node is about.
func hashOf(a Act) (Hash, bool) {
	switch a := a.(type) {
	case HoldCreated:
		return a.Hash, true
	case HoldIsAccepted:
		return a.Hash, true
	case HoldIsSettled:
		return a.Hash, true
	case HoldIsCanceled:
		return a.Hash, true
	case EscrowNearing:
		return a.Hash, true
	case EscrowEnding:
		return a.Hash, true
	}
	return Hash{}, false
}

// NodeID makes the stable id of an input that comes from the node or a timer: the same subject and act, the same id.
func NodeID(on On, subject []byte, more ...[]byte) [32]byte {
	var s Seed
	return s.Derive("input "+string(on), append([][]byte{subject}, more...)...)
}
