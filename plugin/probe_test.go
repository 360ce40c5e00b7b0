package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// probe is an exchange for tests of the shell: its answers depend on what it is asked, so that a test reaches each edge.
type probe struct {
	ctx   context.Context
	shell shell
	c     Config
	store *orders.Store
	e     *orders.Engine

	mu      sync.Mutex
	heights []uint32
	hold    chan struct{} // Orders with slowLimit waits for it
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

func startProbe(ctx context.Context, c Config, _ *lightning.Node, s shell) (exchange, error) {
	if c.Name == "refuse" {
		return nil, errors.New("open the store: it is newer\nthan this program")
	}
	if c.Name == "panic" {
		panic("a fault at start")
	}
	store, err := orders.Open(filepath.Join(c.DataDir, "probe.db"), [32]byte{1}, lockWait)
	if err != nil {
		return nil, err
	}
	e, err := orders.NewEngine(store, c.rules(), s.Log)
	if err != nil {
		return nil, err
	}
	s.Log.Info("probe is up", "name", c.Name)
	return &probe{ctx: ctx, shell: s, c: c, store: store, e: e, hold: make(chan struct{})}, nil
}

func (p *probe) Exchange() *orders.Engine               { return p.e }
func (p *probe) Height(context.Context) (uint32, error) { return 800, nil }
func (p *probe) Renew()                                 {}

func (p *probe) Relays() []nostrio.RelayStatus {
	return []nostrio.RelayStatus{{URL: "wss://relay.example", Connected: true, Since: time.Unix(1000, 0), LastError: "a\nfault"}}
}

func (p *probe) Doctor(context.Context) (diagnosis, error) {
	return diagnose(vitals{now: time.Unix(2_000_000_000, 0), c: &p.c, rules: p.e.Rules(), free: -1}), nil
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

// slowLimit is the limit with which Orders waits until the test lets it go.
const slowLimit = 77

func (p *probe) Orders(q orders.Query) ([]orders.Order, []byte, error) {
	if q.Limit == slowLimit {
		select {
		case <-p.hold:
		case <-p.ctx.Done():
			return nil, nil, p.ctx.Err()
		}
	}
	o := orders.Order{ID: idKnown, Status: q.Status, Premium: int64(q.Limit), PaymentMethod: "<face & face>", CreatedAt: 9007199254740993}
	return []orders.Order{o}, append([]byte{0x99}, q.Before...), nil
}

func (p *probe) Story(id orders.OrderID) (orders.Story, bool, error) {
	switch id {
	case idPanics:
		panic("a fault in a method")
	case idFaults:
		return orders.Story{}, false, errors.New("read order: disk says no")
	case idPrints:
		fmt.Println("a library prints", map[string]int{"to": 1})
		long := strings.Repeat("x", 100_000)
		log.Print(long)
		p.shell.Log.Info(long + "\nsecond line")
		return orders.Story{Order: orders.Order{ID: id}}, true, nil
	case idKnown, idDigits:
		return orders.Story{Order: orders.Order{ID: id, Status: orders.Pending}}, true, nil
	}
	return orders.Story{}, false, nil
}

func (p *probe) Reconcile(_ context.Context, repair bool) (reconciled, error) {
	return newReconciled([]lightning.Found{{Finding: lightning.Finding{What: "nothing is as it was", Action: "look", Alarm: true}, Hash: orders.Hash{1}}}, 7, repair), nil
}

func (p *probe) Backup(_ context.Context, path string) (backup, error) {
	if path == "/taken" {
		return backup{}, os.ErrExist
	}
	return backup{path, 1}, nil
}

func (p *probe) CheckStore(context.Context) (storeCheck, error) {
	return storeCheck{Problems: []string{"a page is damaged"}, Orders: 1}, nil
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
	p.e.Close()
	return p.store.Close()
}
