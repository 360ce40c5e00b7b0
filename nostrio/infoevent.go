package nostrio

import (
	"strconv"
	"strings"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// InfoEvent is what a node says of itself: kind 38385, addressable by its public key (Mostro protocol, "Mostro instance
// status"). Clients read it before they send anything, and some give a node up when a number is missing: so all tags
// are always there.
type InfoEvent struct {
	Version    string // of this program
	CommitHash string
	Name       string // of this instance, may be empty

	MinAmount         orders.Sats
	MaxAmount         orders.Sats
	PendingLife       time.Duration // how long an order may wait for a taker, in whole hours
	WaitingLife       time.Duration // how long a party may take for its duty after the take
	FiatCodes         []string      // accepted currencies; none means all
	MaxOrdersResponse int
	Fee               orders.PPM // of the whole
	FeePayer          orders.FeePayer

	Work      int // leading zero bits (NIP-13)
	FirstWork int
	Way       orders.Way // the transport that clients should use

	HoldWindow    time.Duration // in which a hold invoice must be paid
	HoldCLTV      int           // blocks
	InvoiceWindow time.Duration // how long a buyer's invoice must be valid

	Node  NodeInfo
	Bond  *Bond      // nil: no bonds
	Extra nostr.Tags // further tags, before "y"

	CreatedAt int64 // unix seconds
}

// NodeInfo describes the Lightning node. On the wire the names begin with lnd, whichever implementation it is.
type NodeInfo struct {
	Version    string
	PubKey     string // hex, 66 characters
	CommitHash string
	Alias      string
	Chains     []string // bitcoin
	Networks   []string // mainnet, testnet, signet, regtest
	URIs       []string // pubkey@host:port
}

// Bond describes the anti-abuse bond of nodes that want one.
type Bond struct {
	AmountPct      float64 // of the order's sats, as a fraction
	Base           orders.Sats
	ApplyTo        string // take, make or both
	SlashOnTimeout bool
	NodeSharePct   float64 // as a fraction
	ClaimDays      int
}

// Event makes the signed event: a pure function of the value and the key.
func (i InfoEvent) Event(k *Key) nostr.Event {
	list := func(s []string) string { return strings.Join(s, ",") }
	seconds := func(d time.Duration) string { return number(int64(d / time.Second)) }
	tags := nostr.Tags{
		{"d", k.pub.String()},
		{"mostro_version", i.Version},
		{"mostro_commit_hash", i.CommitHash},
		{"max_order_amount", number(i.MaxAmount)},
		{"min_order_amount", number(i.MinAmount)},
		{"expiration_hours", number(int64(i.PendingLife / time.Hour))},
		{"expiration_seconds", seconds(i.WaitingLife)},
		{"fiat_currencies_accepted", list(i.FiatCodes)},
		{"max_orders_per_response", number(i.MaxOrdersResponse)},
		{"fee", i.Fee.Decimal()},
		{"pow", number(i.Work)},
		{"pow_first_contact", number(max(i.Work, i.FirstWork))},
		{"protocol_version", number(int(i.Way))},
		{"hold_invoice_expiration_window", seconds(i.HoldWindow)},
		{"hold_invoice_cltv_delta", number(i.HoldCLTV)},
		{"invoice_expiration_window", seconds(i.InvoiceWindow)},
		{"lnd_version", i.Node.Version},
		{"lnd_node_pubkey", i.Node.PubKey},
		{"lnd_commit_hash", i.Node.CommitHash},
		{"lnd_node_alias", i.Node.Alias},
		{"lnd_chains", list(i.Node.Chains)},
		{"lnd_networks", list(i.Node.Networks)},
		{"lnd_uris", list(i.Node.URIs)},
		{"fee_payer", string(i.FeePayer)},
	}
	tags = append(tags, i.Extra...)
	tags = append(tags, platform(i.Name), nostr.Tag{"z", "info"})
	tags = append(tags, i.Bond.tags()...)
	return publication(k, KindInfo, i.CreatedAt, tags, "")
}

func (b *Bond) tags() nostr.Tags {
	if b == nil {
		return nostr.Tags{{"bond_enabled", "false"}}
	}
	return nostr.Tags{
		{"bond_enabled", "true"},
		{"bond_amount_pct", fraction(b.AmountPct)},
		{"bond_base_amount_sats", number(b.Base)},
		{"bond_apply_to", b.ApplyTo},
		{"bond_slash_on_waiting_timeout", strconv.FormatBool(b.SlashOnTimeout)},
		{"bond_slash_node_share_pct", fraction(b.NodeSharePct)},
		{"bond_payout_claim_window_days", number(b.ClaimDays)},
	}
}

func fraction(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
