package nostrio

// Message is one protocol message: element 0 of the tuple that either transport carries. On the wire it is an object
// with exactly one key, the wrapper.
//
// Source: Mostro protocol, "Overview"; field order and null rules are those of mostro-core's serialisation, over which
// signatures are made.
type Message struct {
	Wrapper Wrapper
	Body    Body
}

// Wrapper is the one outer key of a message. A server dispatches on the action alone and never on the wrapper;
// some clients only look for answers under the wrapper that they expect.
type Wrapper string

const (
	WrapOrder   Wrapper = "order"   // nearly everything
	WrapDispute Wrapper = "dispute" // traffic with solvers
	WrapCantDo  Wrapper = "cant-do" // refusals
	WrapRate    Wrapper = "rate"    // defined; ratings travel under order
	WrapDM      Wrapper = "dm"      // client to client
	WrapRestore Wrapper = "restore" // restore-session and last-trade-index
)

var wrappers = setOf(WrapOrder, WrapDispute, WrapCantDo, WrapRate, WrapDM, WrapRestore)

// Body is what the wrapper holds. The fields stand in wire order.
type Body struct {
	Version    uint8   // written 1 under gift wrap, 2 under kind 14; receivers must not judge by it
	RequestID  *uint64 // chosen by the client, echoed exactly; nil is written as null
	TradeIndex *int64  // index of the trade key; nil is written as null
	ID         *UUID   // the order's id, or the dispute's in admin-take-dispute and its answer to the solver; nil is left out
	Action     Action
	Payload    Payload // nil is written as null

	// Receipt is an optional extra member, the JSON of a signed event. It follows the payload and is left out when
	// empty. Clients that do not know it ignore it, and it is no part of what a sender signs.
	Receipt string
}

// Reply returns a message that answers m: the request id is echoed, the version is the transport's to stamp.
func (m Message) Reply(w Wrapper, a Action, p Payload) Message {
	return Message{Wrapper: w, Body: Body{RequestID: m.Body.RequestID, ID: m.Body.ID, Action: a, Payload: p}}
}

// Payload is what an action carries: one Go type for each variant of the wire, always used as a value.
// The variants are SmallOrder, PaymentRequest, TextMessage, Peer, RatingUser, Amount, Dispute, CantDo, NextTrade,
// PaymentFailed, RestoreData, IDs, Orders, BondResolution, BondPayoutRequest, CashuLockProof and CashuSignatures.
type Payload interface {
	payloadKey() string            // the one key of the payload object
	appendValue(dst []byte) []byte // the canonical JSON behind that key
}

func setOf[T ~string](members ...T) map[T]bool {
	set := make(map[T]bool, len(members))
	for _, m := range members {
		set[m] = true
	}
	return set
}
