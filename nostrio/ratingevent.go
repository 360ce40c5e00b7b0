package nostrio

import (
	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// RatingEvent is a user's reputation: kind 38384, addressable by the trade key under which he was rated (Mostro
// protocol, "User rating"). The reference server puts the rater's key there, against its own documentation.
type RatingEvent struct {
	Rated      orders.PubKey
	Reviews    int64
	Rating     float64 // average
	Last       int64
	Min, Max   int64
	Days       int64 // since the first trade
	Expiration int64 // unix seconds (NIP-40)
	CreatedAt  int64
}

// Event makes the signed event: a pure function of the value and the key.
func (r RatingEvent) Event(k *Key) nostr.Event {
	return publication(k, KindRating, r.CreatedAt, nostr.Tags{
		{"d", r.Rated.String()},
		{"expiration", number(r.Expiration)},
		{"total_reviews", number(r.Reviews)},
		{"total_rating", fraction(r.Rating)},
		{"last_rating", number(r.Last)},
		{"max_rate", number(r.Max)},
		{"min_rate", number(r.Min)},
		{"z", "rating"},
		{"days", number(r.Days)},
	}, "")
}
