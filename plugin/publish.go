package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// nostrNetworks are the Lightning networks as order and info events name them, by lightningd's names.
var nostrNetworks = map[string]string{
	"bitcoin": "mainnet", "testnet": "testnet", "testnet4": "testnet", "signet": "signet", "regtest": "regtest",
}

func (h *house) networks() []string {
	if n, ok := nostrNetworks[h.self.Network]; ok {
		return []string{n}
	}
	return []string{h.self.Network}
}

func (h *house) courier() *nostrio.Courier {
	return &nostrio.Courier{Key: h.key, Relay: h.pool, Relays: h.config.Relays, Networks: h.networks(), Name: h.config.Name, RatingLife: h.config.RatingRetention}
}

// publisher keeps what the exchange says of itself on the relays: the info event every few minutes, the relay list when
// it changed, the profile at the start.
func (h *house) publisher(ctx context.Context) error {
	b := &board{h: h}
	look := time.NewTicker(h.config.RelaysInterval)
	defer look.Stop()
	info := time.NewTicker(h.config.InfoInterval)
	defer info.Stop()
	b.profile(ctx)
	b.info(ctx)
	b.relays(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-info.C:
			b.profile(ctx)
			b.info(ctx)
		case <-h.renew:
			b.info(ctx)
		case <-look.C:
			b.relays(ctx)
		}
	}
}

// Renew implements market: the info event is published anew.
func (h *house) Renew() {
	select {
	case h.renew <- struct{}{}:
	default: // it is about to be
	}
}

// board is what was published of us. The publisher's goroutine owns it.
type board struct {
	h       *house
	listed  []string
	greeted bool
}

// publish hands an event to the relays. Those that are down get it when they are back, so a failure needs no retry
// before the next interval. Those that lose it get it again.
func (b *board) publish(ctx context.Context, e nostr.Event) bool {
	b.h.notices.put(e)
	n, err := b.h.pool.Publish(ctx, e)
	if err != nil && ctx.Err() == nil {
		b.h.log.Debug("publish", "kind", e.Kind, "err", err)
	}
	return n > 0
}

// profile is published once per start, if the operator has set anything of it.
func (b *board) profile(ctx context.Context) {
	c := b.h.config
	p := nostrio.Profile{Name: c.Name, About: c.About, Website: c.Website, Picture: c.Picture}
	if b.greeted || p.Empty() {
		return
	}
	p.CreatedAt = b.h.notices.stamp(nostrio.KindProfile)
	b.greeted = b.publish(ctx, p.Event(b.h.key))
}

// info tells clients how to talk to us, at what price and within which limits.
func (b *board) info(ctx context.Context) {
	info, err := b.h.node.GetInfo(ctx)
	if err != nil {
		b.h.log.Debug("info event", "err", err)
		info = b.h.self
	}
	e := b.h.infoEvent(info)
	e.CreatedAt = b.h.notices.stamp(nostrio.KindInfo)
	b.publish(ctx, e.Event(b.h.key))
}

func (h *house) infoEvent(node lightning.Info) nostrio.InfoEvent {
	c, r := h.config, h.Rules()
	return nostrio.InfoEvent{
		Version: version, CommitHash: commit(), Name: c.Name, MinAmount: r.MinOrder, MaxAmount: r.MaxOrder,
		PendingLife: c.OrderLife, WaitingLife: c.WaitingLife, FiatCodes: c.FiatCurrencies,
		MaxOrdersResponse: c.OrdersPerResponse, Fee: r.FeeRate, FeePayer: r.FeePayer,
		Work: c.PoW, FirstWork: c.PoWFirstContact, Way: orders.Direct,
		HoldWindow: c.WaitingLife, HoldCLTV: int(c.HoldCLTV), InvoiceWindow: c.InvoiceWindow,
		Node: nostrio.NodeInfo{
			Version: node.Version, PubKey: node.ID, Alias: node.Alias, Chains: []string{"bitcoin"}, Networks: h.networks(),
			URIs: uris(node),
		},
	}
}

// uris are the node's addresses as other nodes dial them.
func uris(i lightning.Info) (list []string) {
	for _, a := range i.Addresses {
		list = append(list, fmt.Sprintf("%s@%s", i.ID, net.JoinHostPort(a.Address, strconv.Itoa(int(a.Port)))))
	}
	return list
}

// relays publishes the list of connected relays when it is not what it was.
func (b *board) relays(ctx context.Context) {
	var now []string
	for _, r := range b.h.pool.Status() {
		if r.Connected {
			now = append(now, r.URL)
		}
	}
	slices.Sort(now)
	if len(now) == 0 || slices.Equal(now, b.listed) {
		return
	}
	e := nostrio.RelayList{Relays: now, CreatedAt: b.h.notices.stamp(nostrio.KindRelayList)}
	if b.publish(ctx, e.Event(b.h.key)) {
		b.listed = now
	}
}

// publishRates publishes what a bitcoin costs each time that the sources have said so, if the operator wants that.
func (h *house) publishRates(ctx context.Context) error {
	b := &board{h: h}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.book.Changed():
		}
		if h.config.PublishRates {
			b.rates(ctx)
		}
	}
}

func (b *board) rates(ctx context.Context) {
	s := b.h.book.Snapshot()
	e := nostrio.RatesEvent{Rates: map[string]nostrio.PerBTC{}, Sources: s.Sources, Interval: b.h.config.PriceInterval}
	for code, p := range s.Rates {
		e.Rates[code] = nostrio.PerBTC(p)
	}
	e.CreatedAt = b.h.notices.stamp(nostrio.KindRates)
	b.publish(ctx, e.Event(b.h.key))
}
