package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"

	"github.com/mostro-cln/mostro/orders"
)

// probe is an exchange for tests of the shell: its answers depend on what it is asked, so that a test reaches each edge.
type probe struct {
	shell shell
	c     Config

	mu      sync.Mutex
	heights []uint32
	hold    chan struct{} // Orders with start 1 waits for it
}

// Order ids on which the probe does something special.
var (
	idKnown  = orders.OrderID{0x11}
	idPanics = orders.OrderID{0x22}
	idFaults = orders.OrderID{0x33}
	idPrints = orders.OrderID{0x44}
	// All digits, as lightning-cli would send bare if it had no hyphens.
	idDigits = orders.OrderID{0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12}
)

func startProbe(_ context.Context, c Config, _ *Node, s shell) (exchange, error) {
	if c.Name == "refuse" {
		return nil, errors.New("open the store: it is newer\nthan this program")
	}
	if c.Name == "panic" {
		panic("a fault at start")
	}
	s.Log.Info("probe is up", "name", c.Name)
	return &probe{shell: s, c: c, hold: make(chan struct{})}, nil
}

func (p *probe) Overview(context.Context) (overview, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	inOrder := true
	for i := 1; i < len(p.heights); i++ {
		inOrder = inOrder && p.heights[i] > p.heights[i-1]
	}
	return overview{Version: "probe", Network: p.c.Network, Fee: p.c.Fee.Decimal(), Relays: []relayState{}, HoldCLTV: p.c.HoldCLTV,
		Orders: map[string]int{"blocks": len(p.heights)}, Open: inOrder}, nil
}

func (p *probe) Orders(ctx context.Context, _ orders.Status, start uint64, limit int) ([]numberedOrder, error) {
	if start == 1 {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return []numberedOrder{{Index: start, Order: orders.Order{ID: idKnown, PaymentMethod: "<face & face>"}}}, nil
}

func (p *probe) Order(_ context.Context, id orders.OrderID) (orderRecord, error) {
	switch id {
	case idPanics:
		panic("a fault in a method")
	case idFaults:
		return orderRecord{}, errors.New("read order: disk says no")
	case idPrints:
		fmt.Println("a library prints", map[string]int{"to": 1})
		long := strings.Repeat("x", 100_000)
		log.Print(long)
		p.shell.Log.Info(long + "\nsecond line")
		return orderRecord{Order: orders.Order{ID: id}}, nil
	case idKnown, idDigits:
		return orderRecord{Order: orders.Order{ID: id, Status: orders.Pending}}, nil
	}
	return orderRecord{}, errNoOrder
}

func (p *probe) Hear(topic string, params json.RawMessage) {
	switch topic {
	case "block_added":
		var b struct {
			Height uint32 `json:"height"`
		}
		if json.Unmarshal(params, &b) == nil {
			p.mu.Lock()
			p.heights = append(p.heights, b.Height)
			p.mu.Unlock()
		}
	case "channel_state_changed":
		panic("a fault in a notification")
	case "invoice_payment":
		close(p.hold)
	}
}

func (p *probe) Close(context.Context) error {
	p.shell.Log.Info("probe is down")
	return nil
}
