package orders

import (
	"context"
	"errors"
)

// ErrHoldCanceled is final: the hold invoice is canceled and the seller has the money back.
var ErrHoldCanceled = errors.New("hold invoice is canceled")

// ErrHoldSettled is final: the hold invoice is settled and can be canceled no more.
var ErrHoldSettled = errors.New("hold invoice is settled")

// Escrow is the node's hold invoices, as the dispatcher needs them.
type Escrow interface {
	// Create makes the hold invoice of h.Hash for h.Amount and returns its BOLT 11 string. An invoice of the same
	// hash and amount that exists already is success. Label is unique per hash; expiry is in seconds. Any error leaves
	// the outcome open; calling again is safe.
	Create(ctx context.Context, h Hold, label, description string, expiry int64) (bolt11 string, err error)

	// Settle gives the node the preimage of an accepted hold invoice; the escrowed msats are then ours to pay out.
	// Nil means settled and proved, by this call or an earlier one. ErrHoldCanceled is final: the seller has the money
	// back. Any other error leaves the outcome open, and calling again is safe.
	Settle(ctx context.Context, h Hold) error

	// Cancel gives the money back, or makes an unpaid invoice unpayable. Nil means that nothing is held any more and
	// nothing ever will be; an invoice that the node does not know counts. ErrHoldSettled is final. Any other error
	// leaves the outcome open, and calling again is safe.
	Cancel(ctx context.Context, hash Hash) error
}

// PayState is what the node's own record says of a payment hash.
type PayState int

// The states of a payment at the node.
const (
	PayUnknown PayState = iota // the node could not be asked, or a part is pending: wait
	PayNever                   // no part was ever sent, or all parts failed for good
	PayDone                    // paid
)

// PayReport is the node's answer about one payment hash.
type PayReport struct {
	State    PayState
	Preimage Preimage // PayDone
	Fee      Msats    // PayDone: routing fee
}

// PayError is a payment call that failed, in the node's words. It proves nothing about parts in flight.
type PayError struct {
	Why   string
	Fatal bool // another attempt on the same invoice cannot succeed
}

func (e *PayError) Error() string { return e.Why }

// Payer is the node's outgoing payments, as the dispatcher needs them.
type Payer interface {
	// Session names the present run of the node: a payment call cannot outlive it.
	Session() string
	// Claim notes at the node, not in our store, that the order is going to be paid by that hash, and returns all other
	// hashes that were ever noted for the order. The note is durable when it returns nil; on an error it may or may not
	// be there, and calling again is safe. It is what a store that was put back from a backup has forgotten.
	Claim(ctx context.Context, order OrderID, hash Hash) (others []Hash, err error)
	// Ask looks a payment up in the node's own record. It never pays.
	Ask(ctx context.Context, hash Hash) (PayReport, error)
	// Send asks the node to pay the invoice, at most p.MaxFee for routing, and waits for its answer. Nil: ask for the
	// result. A *PayError: the call is over, ask whether parts are still pending. Any other error: the call may run on.
	Send(ctx context.Context, p Pay, label string) error
	// Patience is how long a lost call may go on starting parts, in seconds.
	Patience() int64
}

// ResolveError is a destination that gave no invoice. Fatal: it never will, for this amount.
type ResolveError struct {
	Why   string
	Fatal bool
}

func (e *ResolveError) Error() string { return e.Why }

// Resolver gets invoices from destinations.
type Resolver interface {
	// Resolve returns an invoice for exactly that amount, and when it expires, unix seconds. No money moves. A
	// *ResolveError is the destination's doing and counts as a failed attempt; any other error is not, and the call is
	// made again. The destination learns nothing of the order.
	Resolve(ctx context.Context, destination string, amount Msats) (invoice string, hash Hash, expires int64, err error)
}

// Courier is Nostr, as the dispatcher needs it.
type Courier interface {
	// Deliver seals the letter and publishes it. Nil means that at least one relay has taken it.
	Deliver(ctx context.Context, l Letter) error
	// Announce publishes the order event. Nil means that at least one relay has taken it.
	Announce(ctx context.Context, a Announcement) error
	// Rate publishes a rating event. Nil means that at least one relay has taken it.
	Rate(ctx context.Context, r RatingNote) error
	// Dispute publishes a dispute event. Nil means that at least one relay has taken it.
	Dispute(ctx context.Context, n DisputeNote) error
}
