package nostrio

import (
	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// DisputeEvent is what everybody may know of a dispute: kind 38386, addressable by the dispute's id (Mostro protocol,
// "Dispute"). Neither the order nor anybody's key is in it.
type DisputeEvent struct {
	ID         orders.DisputeID
	Status     orders.DisputeState
	Initiator  orders.Side
	OpenedAt   int64  // unix seconds
	Expiration int64  // unix seconds (NIP-40)
	Name       string // of this instance, may be empty
	CreatedAt  int64  // must rise with every revision
}

// Event makes the signed event: a pure function of the value and the key.
func (d DisputeEvent) Event(k *Key) nostr.Event {
	initiator := string(d.Initiator)
	if initiator == "" {
		initiator = "unknown"
	}
	return publication(k, KindDispute, d.CreatedAt, nostr.Tags{
		{"d", d.ID.String()},
		{"expiration", number(d.Expiration)},
		{"s", string(d.Status)},
		{"initiator", initiator},
		{"created_at", number(d.OpenedAt)},
		platform(d.Name),
		{"z", "dispute"},
	}, "")
}
