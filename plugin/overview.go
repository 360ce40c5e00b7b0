package main

import (
	"context"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// Overview implements market.
func (h *house) Overview(ctx context.Context) (overview, error) {
	o := overview{
		Version: version, Pubkey: h.key.PubKey().String(), NodeID: h.self.ID, NodeVersion: h.self.Version,
		Network: h.self.Network, Fee: h.config.Fee.Decimal(), FeePayer: string(h.config.FeePayer),
		MinOrder: h.config.MinOrder.Msats(), MaxOrder: h.config.MaxOrder.Msats(), HoldCLTV: h.config.HoldCLTV,
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
	o.Open = ready == nil && err == nil && o.WarningDisk == ""
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
