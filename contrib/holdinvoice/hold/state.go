package hold

import (
	"encoding/json"
	"slices"
)

// State is where a hold invoice stands.
type State string

const (
	Creating  State = "CREATING"  // made, not handed out yet; nobody outside sees it
	Open      State = "OPEN"      // can be paid; some parts may be here already
	Accepted  State = "ACCEPTED"  // paid in full, every part checked and held
	Settling  State = "SETTLING"  // decided: the money is ours; the proof is outstanding
	Settled   State = "SETTLED"   // the node has the preimage of every part in its database
	Canceling State = "CANCELING" // decided: the money goes back; some part is still here
	Canceled  State = "CANCELED"  // nothing is held and nothing will be
	Lost      State = "LOST"      // parts of an accepted payment went away without us
)

// moves is every change of state there is. The store refuses all others, so a decision
// once on disk cannot be turned, whatever the memory of the process says.
var moves = map[State][]State{
	Creating:  {Open},
	Open:      {Accepted, Canceling, Canceled},
	Accepted:  {Settling, Canceling, Lost},
	Settling:  {Settled, Lost},
	Canceling: {Canceled},
	Settled:   {},
	Canceled:  {},
	Lost:      {},
}

// Final says that no other state follows.
func (s State) Final() bool { return len(moves[s]) == 0 }

// mayBecome also allows staying: parts come, proofs grow.
func (s State) mayBecome(next State) bool { return s == next || slices.Contains(moves[s], next) }

// Key names an HTLC on this node. The channel's id may be an alias, which changes when the
// channel confirms or splices.
type Key struct {
	Scid string `json:"short_channel_id"`
	ID   uint64 `json:"id"`
}

// HTLC is one part of a payment that is or was held.
type HTLC struct {
	Key
	Amount Msat   `json:"amount_msat"`   // really locked, not what the onion claims
	Expiry Height `json:"cltv_expiry"`   // the block at which the payer's side takes it back
	SeenAt int64  `json:"first_seen_at"` // unix seconds
}

// Reasons for an end, as lookup shows them.
const (
	reasonExpired   = "expired"    // nobody paid in time
	reasonDeadline  = "deadline"   // the parts came too near to their expiry
	reasonRequested = "requested"  // a cancel without a reason of its own
	reasonLost      = "htlcs_gone" // the node no longer holds what was accepted
)

// Invoice is all that is known of a hold invoice, as it lies in the store.
type Invoice struct {
	Hash    Hash            `json:"payment_hash"`
	Label   string          `json:"label"`
	Request json.RawMessage `json:"request"`          // parameters that it was made with, less the preimage
	Answer  json.RawMessage `json:"answer,omitempty"` // the node's reply to "invoice": bolt11, expires_at, …
	Sealed  []byte          `json:"sealed"`           // preimage under the node's own key, see seal.go

	Amount    Msat   `json:"amount_msat"`
	CLTV      Height `json:"cltv"` // blocks that a payment must last at least
	Secret    Secret `json:"payment_secret"`
	CreatedAt int64  `json:"created_at"` // unix seconds
	ExpiresAt int64  `json:"expires_at"` // unix seconds; afterwards no part is taken

	State   State  `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Settle  bool   `json:"settle,omitempty"` // the settle was decided; outlives SETTLING and LOST
	Total   Msat   `json:"total_msat,omitempty"`
	HTLCs   []HTLC `json:"htlcs,omitempty"` // parts so far; from ACCEPTED on exactly the paid set
	FirstAt int64  `json:"first_part_at,omitempty"`

	Proof     int    `json:"proof_level,omitempty"` // of the settle, see settle.go
	Gone      bool   `json:"gone,omitempty"`        // cancel: the node was seen without any part of it
	EndedAt   int64  `json:"ended_at,omitempty"`    // unix seconds; 0 before the end
	MoveStart uint64 `json:"move_start,omitempty"`  // channel moves before this index are older than the invoice

	Created uint64 `json:"created_index"`
	Updated uint64 `json:"updated_index"` // grows with each change of state, over all invoices
}

// clone shares nothing that either copy may change.
func (inv Invoice) clone() Invoice {
	inv.HTLCs = slices.Clone(inv.HTLCs)
	return inv
}

// Held is the sum of the parts.
func (inv *Invoice) Held() (sum Msat) {
	for _, h := range inv.HTLCs {
		sum += h.Amount
	}
	return sum
}

// MinExpiry is the lowest expiry of the parts, and 0 without any.
func (inv *Invoice) MinExpiry() (low Height) {
	for _, h := range inv.HTLCs {
		if low == 0 || h.Expiry < low {
			low = h.Expiry
		}
	}
	return low
}

// find returns the place of a part, or -1.
func (inv *Invoice) find(k Key) int {
	return slices.IndexFunc(inv.HTLCs, func(h HTLC) bool { return h.Key == k })
}
