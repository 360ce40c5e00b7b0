package lightning

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Capacity is what the node's channels can carry now.
type Capacity struct {
	Usable, Offline     int // channels that can be used, and of others those whose peer is away
	Inbound, Outbound   orders.Msats
	LargestIn, LargeOut orders.Msats // of one channel
}

// Capacity adds up the channels that can be used now.
func (n *Node) Capacity(ctx context.Context) (c Capacity, err error) {
	all, err := n.ListPeerChannels(ctx)
	for _, ch := range all {
		switch {
		case ch.State != "CHANNELD_NORMAL":
		case !ch.PeerConnected:
			c.Offline++
		default:
			c.Usable++
			c.Inbound += ch.Receivable
			c.Outbound += ch.Spendable
			c.LargestIn, c.LargeOut = max(c.LargestIn, ch.Receivable), max(c.LargeOut, ch.Spendable)
		}
	}
	return c, err
}

// Cleaner is what the node's cleaner deletes (Core Lightning docs, autoclean-status).
type Cleaner []Cleaned

// Cleaned is one kind of record that is deleted after some time.
type Cleaned struct {
	Kind    string // "succeededpays", "paidinvoices", …
	Age     time.Duration
	Matters bool // what escrows or payouts rely on is among them
}

// Cleaner asks what the node deletes; empty: nothing.
func (n *Node) Cleaner(ctx context.Context) (c Cleaner, err error) {
	rows, err := n.AutocleanStatus(ctx)
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		if r := rows[kind]; r.Enabled {
			matters := slices.Contains([]string{"succeededpays", "paidinvoices", "expiredinvoices"}, kind)
			c = append(c, Cleaned{kind, time.Duration(r.Age) * time.Second, matters})
		}
	}
	return c, err
}

// IsImportant says whether a plugin of that name was loaded so that its death is the node's end.
func (n *Node) IsImportant(ctx context.Context, name string) (bool, error) {
	var r struct {
		Configs struct {
			Important struct {
				Values []string `json:"values_str"`
			} `json:"important-plugin"`
		} `json:"configs"`
	}
	err := n.read(ctx, "listconfigs", map[string]any{"config": "important-plugin"}, &r)
	var told *clnio.Error
	if err != nil && !errors.As(err, &told) { // its answer where there is none at all
		return false, err
	}
	return slices.ContainsFunc(r.Configs.Important.Values, func(path string) bool { return filepath.Base(path) == name }), nil
}
