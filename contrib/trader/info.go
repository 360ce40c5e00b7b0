package trader

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Info is what the Mostro says of itself (kind 38385). Numbers that are missing or unreadable are 0.
type Info struct {
	At               int64 // unix seconds
	Version          string
	Way              orders.Way // the transport for requests; a node that names none speaks gift wrap
	PoW              int        // leading zero bits that every event needs
	PoWFirstContact  int        // the same for keys that the Mostro does not know yet
	Fee              float64    // fraction of the amount
	MinAmount        orders.Sats
	MaxAmount        orders.Sats
	Currencies       []string // empty: all
	ExpirationHours  int64    // how long an order waits for a taker
	WaitSeconds      int64    // how long a party may take over its next step
	BondEnabled      bool
	NodePubKey       string
	NodeAlias        string
	Networks         string
	InvoiceExpiresIn int64             // seconds that a payout invoice must live at least
	Tags             map[string]string // all tags of the event, first value each
}

// Work is the proof of work to do on each event. Which keys the Mostro knows changes behind our back, so it is the
// greater of the two.
func (i Info) Work() int { return max(i.PoW, i.PoWFirstContact) }

// Info returns the Mostro's info event, the newest there is, and waits until there is one or ctx ends.
func (t *Trader) Info(ctx context.Context) (Info, error) {
	var info Info
	err := t.await(ctx, func() bool {
		if t.info != nil {
			info = *t.info
		}
		return t.info != nil
	})
	if err != nil {
		return Info{}, fmt.Errorf("wait for the info event of %s: %w (%s)", nostrio.Npub(t.mostro), err, t.relays.health())
	}
	return info, nil
}

// takeInfo is called with the lock held.
func (t *Trader) takeInfo(e nostr.Event) {
	if e.Kind != nostrio.KindInfo || e.PubKey != t.mostro.String() || t.info != nil && int64(e.CreatedAt) < t.info.At {
		return
	}
	info := parseInfo(e)
	t.info = &info
}

func parseInfo(e nostr.Event) Info {
	tags := make(map[string]string)
	for _, tag := range e.Tags {
		if len(tag) >= 2 {
			tags[tag[0]] = tag[1]
		}
	}
	num := func(name string) int64 {
		n, _ := strconv.ParseInt(tags[name], 10, 64) // 0 when it is none
		return n
	}
	i := Info{
		At: int64(e.CreatedAt), Version: tags["mostro_version"], Way: orders.GiftWrap,
		PoW: int(num("pow")), PoWFirstContact: int(num("pow_first_contact")),
		MinAmount: orders.Sats(num("min_order_amount")), MaxAmount: orders.Sats(num("max_order_amount")),
		ExpirationHours: num("expiration_hours"), WaitSeconds: num("expiration_seconds"),
		BondEnabled: tags["bond_enabled"] == "true", NodePubKey: tags["lnd_node_pubkey"], NodeAlias: tags["lnd_node_alias"],
		Networks: tags["lnd_networks"], InvoiceExpiresIn: num("invoice_expiration_window"), Tags: tags,
	}
	i.Fee, _ = strconv.ParseFloat(tags["fee"], 64)
	if num("protocol_version") == int64(orders.Direct) {
		i.Way = orders.Direct
	}
	if list := tags["fiat_currencies_accepted"]; list != "" {
		i.Currencies = strings.Split(list, ",")
	}
	return i
}
