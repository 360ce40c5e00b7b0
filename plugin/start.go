package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// startExchange is the starter of the real program.
func startExchange(ctx context.Context, c Config, n *Node, s shell) (exchange, error) {
	info, err := n.GetInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the node who it is: %w", err)
	}
	return &closedBook{config: c, info: info, since: time.Now()}, nil
}

// closedBook answers for an exchange that has no orders.
type closedBook struct {
	config Config
	info   nodeInfo
	since  time.Time
}

func (b *closedBook) Overview(context.Context) (overview, error) {
	return overview{Version: version, NodeID: b.info.ID, NodeVersion: b.info.Version, Network: b.info.Network,
		BlockHeight: b.info.BlockHeight, Fee: b.config.Fee.Decimal(), FeePayer: string(b.config.FeePayer),
		MinOrder: b.config.MinOrder.Msats(), MaxOrder: b.config.MaxOrder.Msats(), HoldCLTV: b.config.HoldCLTV,
		Relays: []relayState{}, Orders: map[string]int{}, StartedAt: b.since.Unix()}, nil
}

func (b *closedBook) Orders(orders.Query) ([]orders.Order, []byte, error) { return nil, nil, nil }

func (b *closedBook) Story(orders.OrderID) (orders.Story, bool, error) {
	return orders.Story{}, false, nil
}

func (b *closedBook) Hear(string, json.RawMessage) {}

func (b *closedBook) Close(context.Context) error { return nil }
