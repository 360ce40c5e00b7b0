package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// These tests run the real binaries under the simulated lightningd: this one as the exchange, contrib/holdinvoice as
// the holder and its guard.

func mostroPlugin(t *testing.T) simln.Plugin {
	return simln.Plugin{
		Path: simtest.CopyOf(t, os.Args[0], "mostro"), Env: []string{"MOSTRO_AS_PLUGIN=real", "GORACE=atexit_sleep_ms=0"},
		Options: map[string]any{"mostro-relays": "ws://127.0.0.1:1", "mostro-fee": "0.01"},
	}
}

type sim struct{ *simtest.Sim }

// startSim is a node with the holder and the exchange.
func startSim(t *testing.T) sim {
	return sim{simtest.Run(t, append(simtest.Holder(t), mostroPlugin(t))...)}
}

// startBareSim is a node without plugins.
func startBareSim(t *testing.T) sim { return sim{simtest.Run(t)} }

func (s sim) client() *lightning.Node {
	n := lightning.NewNode(s.RPCPath())
	s.T.Cleanup(func() { n.Close() })
	return n
}

func TestSimOptionsMethodsAndRestartOfTheExchange(t *testing.T) {
	s := startSim(t)
	var info overview
	s.Must("mostro-info", nil, &info)
	if info.Network != "regtest" || info.NodeID != s.ID() || info.Fee != "0.01" || info.HoldCLTV != 215 {
		t.Errorf("got %+v", info)
	}
	var list orderList
	s.Must("mostro-listorders", map[string]any{"limit": 5}, &list)
	if list.Orders == nil || len(list.Orders) != 0 {
		t.Errorf("got %+v", list)
	}
	err := s.Call(t.Context(), "mostro-showorder", []any{"00000000-0000-0000-0000-000000000001"}, nil)
	var told *simln.RPCError
	if !errors.As(err, &told) || told.Code != codeOrderNotFound {
		t.Errorf("got %v", err)
	}
	if err := s.Call(t.Context(), "mostro-showorder", nil, nil); !errors.As(err, &told) || told.Code != -32602 {
		t.Errorf("got %v", err)
	}
	s.Must("check", map[string]any{"command_to_check": "mostro-listorders", "limit": 5}, nil)

	// It has no htlc_accepted hook, so it can be stopped and started while the node runs.
	mostro := s.Cfg.Plugins[2]
	if err := s.StopPlugin(t.Context(), mostro.Path); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := s.StartPlugin(t.Context(), mostro); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("ready after %v without a relay, want under a second", took)
	}
	s.Must("mostro-info", nil, &info)
}

func TestSimStopIsQuick(t *testing.T) {
	s := startSim(t)
	begun := time.Now()
	s.Stop()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestSimKeyIsTheNodesOwn(t *testing.T) {
	s := startSim(t)
	n := lightning.NewNode(s.RPCPath())
	defer n.Close()
	a, sealA, err := loadKeys(t.Context(), n, "")
	if err != nil {
		t.Fatal(err)
	}
	if own, seal, err := loadKeys(t.Context(), n, writeKey(t, vectorNsec, 0o600)); err != nil || own == a || seal != sealA {
		t.Errorf("key of a file: %v, %v, %v", own, seal, err)
	}
	s.Stop()
	s.Start()
	b, sealB, err := loadKeys(t.Context(), n, "")
	if err != nil || a != b || sealA != sealB || a == sealA {
		t.Errorf("keys %v %v, then %v %v, %v", a, sealA, b, sealB, err)
	}
}

// A wrong option ends neither the node nor its start.
func TestSimWrongOptionsLeaveTheNodeAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("runs binaries")
	}
	var log simtest.Buffer
	cfg := simln.Config{Dir: simtest.ShortDir(t), Plugins: []simln.Plugin{mostroPlugin(t)}, Log: &log}
	cfg.Plugins[0].Options["mostro-fee"] = "7"
	cfg.Plugins[0].Options["mostro-pow"] = "x"
	n, err := simln.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Kill()
	if err := n.Call(t.Context(), "mostro-info", nil, nil); err == nil {
		t.Error("the exchange runs")
	}
	if text := log.String(); !strings.Contains(text, "2 options to mend") || !strings.Contains(text, "mostro-pow") {
		t.Errorf("the log says %s", text)
	}
}

func TestSimReconcileByCommand(t *testing.T) {
	s := startSim(t)
	var made struct {
		PaymentHash string `json:"payment_hash"`
	}
	for _, label := range []string{"mostro/by-hand", "mostro/by-hand-too"} { // the pass at the start may take the first one
		s.Must("holdinvoice", map[string]any{"amount_msat": 1000, "label": label, "description": "x", "cltv": 200}, &made)
		var r reconciled
		if s.Must("mostro-reconcile", nil, &r); len(r.Findings) > 0 {
			break
		}
	}
	for _, c := range []struct {
		params any
		found  int
		done   bool
	}{{nil, 1, false}, {map[string]any{"repair": false}, 1, false}, {[]any{"true"}, 1, true}, {map[string]any{"repair": true}, 0, false}} {
		var r reconciled
		s.Must("mostro-reconcile", c.params, &r)
		if r.Findings == nil || len(r.Findings) != c.found {
			t.Fatalf("%v: got %+v", c.params, r)
		}
		for _, f := range r.Findings {
			if f.Done != c.done || !f.Alarm || f.Hash != made.PaymentHash || f.OrderID != "" || f.Error != "" {
				t.Errorf("%v: got %+v", c.params, f)
			}
		}
	}
	if err := s.Call(t.Context(), "mostro-reconcile", []any{"perhaps"}, nil); err == nil {
		t.Error("a third answer to yes or no")
	}
}
