package nostrio

import (
	"strconv"
	"strings"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// OrderEvent is what the public order book shows of an order: kind 38383, addressable by the order's id (NIP-69).
type OrderEvent struct {
	ID            orders.OrderID
	Kind          orders.Kind
	Status        string // tag "s": pending, in-progress, success or canceled; pending alone shows rating and source
	Amount        orders.Sats
	Fiat          orders.Fiat // the range is shown while pending, the amount taken afterwards
	PaymentMethod string      // comma-separated list
	Premium       int64       // percent
	Maker         MakerRating
	Relays        []string // where the node can be reached
	Networks      []string // of the Lightning node: mainnet, testnet, signet, regtest
	ExpiresAt     int64    // unix seconds, end of the time in which it can be taken
	Expiration    int64    // unix seconds, when relays may forget it (NIP-40)
	Name          string   // of this instance, may be empty
	CreatedAt     int64    // must rise with every revision: of two equal ones relays keep the lower id, not the later
}

// MakerRating is the maker's reputation; all zero for a maker in full-privacy mode.
type MakerRating struct {
	Days    int64 // since the first trade
	Total   float64
	Reviews int64
}

const (
	pending    = string(orders.Pending)
	inProgress = "in-progress"
)

// Event makes the signed event: a pure function of the value and the key.
func (o OrderEvent) Event(k *Key) nostr.Event {
	tags := nostr.Tags{
		{"d", o.ID.String()},
		{"k", string(o.Kind)},
		{"f", o.Fiat.Code},
		{"s", o.Status},
		{"amt", number(o.Amount)},
		append(nostr.Tag{"fa"}, o.fiatAmount()...),
		append(nostr.Tag{"pm"}, methods(o.PaymentMethod)...),
		{"premium", number(o.Premium)},
	}
	if o.Status == pending {
		tags = append(tags,
			nostr.Tag{"rating", o.Maker.tag()},
			nostr.Tag{"source", "mostro:" + o.ID.String() + "?relays=" + strings.Join(o.Relays, ",") + "&mostro=" + k.pub.String()},
		)
	}
	network := strings.Join(o.Networks, ",")
	if network == "" {
		network = "unknown"
	}
	tags = append(tags,
		nostr.Tag{"network", network},
		nostr.Tag{"layer", "lightning"},
		nostr.Tag{"expires_at", number(o.ExpiresAt)},
		nostr.Tag{"expiration", number(o.Expiration)},
		platform(o.Name),
		nostr.Tag{"z", "order"},
	)
	return publication(k, KindOrder, o.CreatedAt, tags, "")
}

func (o OrderEvent) fiatAmount() []string {
	if o.Status == pending && o.Fiat.Min != nil && o.Fiat.Max != nil {
		return []string{number(*o.Fiat.Min), number(*o.Fiat.Max)}
	}
	return []string{number(o.Fiat.Amount)}
}

// tag is JSON inside a tag, the way existing servers write it: the whole array as text, keys in alphabetical order.
func (r MakerRating) tag() string {
	dst := strconv.AppendInt([]byte(`["rating",{"days":`), r.Days, 10)
	dst = appendFloat(append(dst, `,"total_rating":`...), r.Total)
	dst = strconv.AppendInt(append(dst, `,"total_reviews":`...), r.Reviews, 10)
	return string(append(dst, "}]"...))
}

// methods splits a list of payment methods at its commas. Nothing is trimmed: clients join it again.
func methods(list string) (out []string) {
	for m := range strings.SplitSeq(list, ",") {
		if m != "" {
			out = append(out, m)
		}
	}
	return out
}

// platform is tag "y": the protocol, and the instance's name if it has one.
func platform(name string) nostr.Tag {
	if name = strings.TrimSpace(name); name != "" {
		return nostr.Tag{"y", "mostro", name}
	}
	return nostr.Tag{"y", "mostro"}
}

func publication(k *Key, kind int, at int64, tags nostr.Tags, content string) nostr.Event {
	e := nostr.Event{Kind: kind, CreatedAt: nostr.Timestamp(at), Tags: tags, Content: content}
	signEvent(k, &e)
	return e
}

func number[T ~int | ~int64 | ~uint64](n T) string { return strconv.FormatInt(int64(n), 10) }
