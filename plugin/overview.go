package main

import (
	"context"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// relayState is one relay as we see it now.
type relayState struct {
	URL       string `json:"url" about:"address"`
	Connected bool   `json:"connected" about:"now"`
}

// priceState is one source of prices as we see it now.
type priceState struct {
	Source  string `json:"source" about:"its name"`
	Working bool   `json:"working" about:"it answered when it was asked last"`
	Error   string `json:"error,omitempty" about:"why it did not"`
}

// overview is the result of mostro-info. Empty warnings are left out.
type overview struct {
	Version       string         `json:"version" about:"of mostro"`
	Pubkey        string         `json:"pubkey" about:"the exchange's Nostr key, hex"`
	NodeID        string         `json:"node_id" about:"of the Lightning node"`
	NodeVersion   string         `json:"node_version" about:"of lightningd"`
	Network       string         `json:"network" about:"bitcoin, testnet, signet or regtest"`
	BlockHeight   uint32         `json:"blockheight" about:"of the node"`
	Open          bool           `json:"accepts_orders" about:"new orders and takes are possible now"`
	HoldPlugin    string         `json:"hold_plugin" about:"which kind holds the escrows"`
	Relays        []relayState   `json:"relays" about:"mostro-relays says more"`
	Fee           string         `json:"fee" about:"of new orders, as a fraction"`
	FeePayer      string         `json:"fee_payer" about:"seller or split"`
	MinOrder      orders.Msats   `json:"min_order_msat" about:"of new orders"`
	MaxOrder      orders.Msats   `json:"max_order_msat" about:"of new orders"`
	HoldCLTV      uint32         `json:"hold_cltv" about:"blocks that an escrow can last"`
	Orders        map[string]int `json:"orders" about:"status → how many that have not ended"`
	Held          orders.Msats   `json:"held_msat" about:"locked in escrows now"`
	Outbox        int            `json:"outbox" about:"messages, events and calls to the node that have not left"`
	Prices        []priceState   `json:"prices" about:"sources of prices"`
	Currencies    int            `json:"currencies" about:"that have a fresh price"`
	StartedAt     int64          `json:"started_at" about:"unix seconds"`
	Pause         *pauseRow      `json:"pause,omitempty" about:"if the exchange is paused"`
	WarningEscrow string         `json:"warning_escrow,omitempty" about:"what is wrong with the hold plugin"`
	WarningRelays string         `json:"warning_relays,omitempty" about:"what is wrong with the relays"`
	WarningPrices string         `json:"warning_prices,omitempty" about:"what is wrong with the prices"`
	WarningSync   string         `json:"warning_sync,omitempty" about:"why the node is not in step with the chain"`
	WarningDisk   string         `json:"warning_disk,omitempty" about:"why the database has no room"`
	pageState
}

// Overview implements market.
func (h *house) Overview(ctx context.Context) (overview, error) {
	rules := h.Rules()
	set, _ := h.Settings()
	o := overview{
		Version: version, Pubkey: h.key.PubKey().String(), NodeID: h.self.ID, NodeVersion: h.self.Version,
		Network: h.self.Network, Fee: rules.FeeRate.Decimal(), FeePayer: string(rules.FeePayer),
		MinOrder: rules.MinOrder.Msats(), MaxOrder: rules.MaxOrder.Msats(), HoldCLTV: h.config.HoldCLTV, Pause: newPauseRow(set.Pause),
		StartedAt: h.since.Unix(), Orders: map[string]int{},
	}
	info, err := h.node.GetInfo(ctx)
	if err != nil {
		return o, err
	}
	o.BlockHeight = info.BlockHeight
	o.WarningSync = strings.TrimSpace(info.BitcoindSync + " " + info.LightningdSync)
	h.lookAtHolds(ctx, &o)
	h.lookAtRelays(&o)
	h.lookAtPrices(&o)
	o.pageState = h.pageState()
	return o, h.lookAtStore(&o)
}

func (h *house) lookAtHolds(ctx context.Context, o *overview) {
	kind, err := h.escrow.Kind(ctx)
	o.HoldPlugin = kind.String()
	ready := h.escrow.Ready()
	o.WarningDisk = h.disk.Full()
	o.Open = ready == nil && err == nil && o.WarningDisk == "" && o.Pause == nil
	switch {
	case err != nil:
		o.WarningEscrow = "no escrow can be made: " + err.Error()
	case ready != nil:
		o.WarningEscrow = "no escrow can be made: " + ready.Error()
	case kind == lightning.HoldRust:
		o.WarningEscrow = "this hold plugin can be cheated by a payer and settles when it dies; use the holdinvoice plugin that comes with mostro"
	default:
		o.WarningEscrow = h.guardWarning(ctx)
	}
}

// guardWarning looks for the guard behind the holder: without it the holder's death gives every escrow back.
func (h *house) guardWarning(ctx context.Context) string {
	plugins, err := h.node.ListPlugins(ctx)
	if err != nil {
		return ""
	}
	for _, p := range plugins {
		if strings.HasSuffix(p.Name, "holdinvoice-guard") && p.Active {
			return ""
		}
	}
	return "no holdinvoice-guard is loaded: if the holdinvoice plugin dies, every locked escrow goes back to its seller"
}

func (h *house) lookAtRelays(o *overview) {
	connected := 0
	for _, r := range h.pool.Status() {
		o.Relays = append(o.Relays, relayState{URL: r.URL, Connected: r.Connected})
		if r.Connected {
			connected++
		}
	}
	if connected == 0 {
		o.WarningRelays = "no relay is connected: nobody can reach this exchange"
	}
}

func (h *house) lookAtPrices(o *overview) {
	o.Prices = []priceState{}
	for _, s := range h.book.Status() {
		p := priceState{Source: s.ID, Working: s.Failures == 0 && !s.Last.IsZero()}
		if s.Problem != nil {
			p.Error = clnio.CleanLine(s.Problem.Error())
		}
		o.Prices = append(o.Prices, p)
	}
	o.Currencies = len(h.book.Available(time.Now()))
	if o.Currencies == 0 {
		o.WarningPrices = "no price is fresh: orders at the market price are refused"
	}
}

func (h *house) lookAtStore(o *overview) error {
	n, err := h.Count()
	if err != nil {
		return err
	}
	o.Outbox = n.Owed
	live, err := h.LiveHolds()
	if err != nil {
		return err
	}
	for _, l := range live {
		if l.State == orders.HoldAccepted || l.State == orders.HoldSettling || l.State == orders.HoldCanceling {
			o.Held += l.Held
		}
	}
	open, err := h.Open()
	for status, n := range open {
		o.Orders[string(status)] = n
	}
	return err
}
