package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Binaries are the programs that a node runs.
type Binaries struct {
	Mostro, Holdinvoice, Guard string // paths; Guard is a copy of Holdinvoice under another name
}

// BinariesIn returns the programs as `make build` leaves them.
func BinariesIn(dir string) Binaries {
	return Binaries{
		Mostro: filepath.Join(dir, "mostro"), Holdinvoice: filepath.Join(dir, "holdinvoice"), Guard: filepath.Join(dir, "holdinvoice-guard"),
	}
}

// Sim is the simulated node in this process, with real plugin processes.
type Sim struct {
	cfg  simln.Config
	bin  Binaries
	opts map[string]any
	env  []string
	rpc  *clnio.Client

	mu   sync.Mutex
	node *simln.Node
}

// SimConfig says what simulated node to run.
type SimConfig struct {
	Dir     string
	Number  byte // of one of several nodes: each has keys of its own
	Bin     Binaries
	Options map[string]any // of the exchange's plugin
	Env     []string       // of all plugins, beside our own
	Grace   time.Duration  // that plugins have when the node is killed; 0: enough for them to see it
	Log     io.Writer
}

// NewSim starts a simulated node.
func NewSim(ctx context.Context, c SimConfig) (*Sim, error) {
	s := &Sim{bin: c.Bin, opts: c.Options, env: c.Env, cfg: simln.Config{
		Dir: c.Dir, Log: c.Log, NodeSecret: [32]byte{c.Number, 42}, StopTimeout: 10 * time.Second, KillGrace: c.Grace,
		Plugins: []simln.Plugin{
			{Path: c.Bin.Holdinvoice, Important: true, Env: c.Env},
			{Path: c.Bin.Guard, Env: c.Env},
			{Path: c.Bin.Mostro, Options: c.Options, Env: c.Env},
		},
	}}
	return s, s.Start(ctx)
}

// Start implements Node.
func (s *Sim) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := simln.Start(ctx, s.cfg)
	if err != nil {
		return fmt.Errorf("start the simulated node: %w", err)
	}
	s.node = n
	s.rpc = clnio.NewClient(n.RPCPath())
	return nil
}

func (s *Sim) now() (*simln.Node, *clnio.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node, s.rpc
}

// Call implements Node.
func (s *Sim) Call(ctx context.Context, method string, params, result any) error {
	_, rpc := s.now()
	return rpc.Call(ctx, method, params, result)
}

// Mine implements Node.
func (s *Sim) Mine(_ context.Context, blocks int) error {
	n, _ := s.now()
	n.Mine(uint32(blocks))
	return nil
}

// Kill implements Node.
func (s *Sim) Kill(context.Context) error {
	n, rpc := s.now()
	n.Kill()
	return rpc.Close()
}

// Stop implements Node.
func (s *Sim) Stop(context.Context) error {
	n, rpc := s.now()
	n.Stop()
	return rpc.Close()
}

// Alive implements Node.
func (s *Sim) Alive() bool {
	n, _ := s.now()
	select {
	case <-n.Died():
		return false
	default:
		return true
	}
}

// KillPlugin implements Node.
func (s *Sim) KillPlugin(ctx context.Context, name string) error {
	n, _ := s.now()
	return n.KillPlugin(ctx, name)
}

// StartExchange implements Node.
func (s *Sim) StartExchange(ctx context.Context) error {
	n, _ := s.now()
	return n.StartPlugin(ctx, simln.Plugin{Path: s.bin.Mostro, Options: s.opts, Env: s.env})
}

// StopExchange implements Node.
func (s *Sim) StopExchange(ctx context.Context) error {
	return s.Call(ctx, "plugin", map[string]any{"subcommand": "stop", "plugin": s.bin.Mostro}, nil)
}

// RPCPath is the node's socket.
func (s *Sim) RPCPath() string {
	n, _ := s.now()
	return n.RPCPath()
}

// Close implements Node.
func (s *Sim) Close() {
	n, rpc := s.now()
	if n == nil {
		return
	}
	n.Stop()
	rpc.Close()
}

type simWallet struct {
	s    *Sim
	name string
}

// Wallet implements Node.
func (s *Sim) Wallet(ctx context.Context, name string, sats orders.Sats) (Wallet, error) {
	w := &simWallet{s, name}
	if _, _, err := w.Balance(ctx); err == nil {
		return w, nil
	}
	err := s.Call(ctx, "sim-wallet-new", map[string]any{"name": name, "msat": sats.Msats()}, nil)
	return w, err
}

func (w *simWallet) Invoice(ctx context.Context, amount orders.Sats, label string) (string, error) {
	var r struct {
		Bolt11 string `json:"bolt11"`
	}
	err := w.s.Call(ctx, "sim-wallet-invoice", map[string]any{
		"wallet": w.name, "amount_msat": amount.Msats(), "label": label, "expiry": 7 * 86400,
	}, &r)
	return r.Bolt11, err
}

func (w *simWallet) Offer(ctx context.Context, _ string) (string, error) {
	var r struct {
		Offer string `json:"offer"`
	}
	err := w.s.Call(ctx, "sim-wallet-offer", map[string]any{"wallet": w.name}, &r)
	return r.Offer, err
}

func (w *simWallet) Pay(ctx context.Context, bolt11 string) error {
	return w.s.Call(ctx, "sim-wallet-pay", map[string]any{"wallet": w.name, "bolt11": bolt11}, nil)
}

func (w *simWallet) Forge(ctx context.Context, bolt11 string, f Fault) error {
	p := map[string]any{"wallet": w.name, "bolt11": bolt11}
	switch f {
	case WrongSecret:
		p["wrong_secret"] = true
	case WrongTotal:
		i, err := simln.DecodeInvoice(bolt11)
		if err != nil {
			return err
		}
		p["total_msat"] = i.Amount * 3
	case WrongNextHop:
		p["next_scid"] = "999x1x1"
	}
	return w.s.Call(ctx, "sim-wallet-pay", p, nil)
}

func (w *simWallet) Payment(ctx context.Context, bolt11 string) (PaymentState, error) {
	i, err := simln.DecodeInvoice(bolt11)
	if err != nil {
		return "", err
	}
	var r struct {
		Status PaymentState `json:"status"`
	}
	err = w.s.Call(ctx, "sim-wallet-status", map[string]any{"wallet": w.name, "payment_hash": fmt.Sprintf("%x", i.PaymentHash)}, &r)
	return r.Status, err
}

func (w *simWallet) Balance(ctx context.Context) (spendable, locked orders.Msats, err error) {
	var r struct {
		Available orders.Msats `json:"available_msat"`
		Locked    orders.Msats `json:"locked_msat"`
	}
	err = w.s.Call(ctx, "sim-wallet-balance", map[string]any{"wallet": w.name}, &r)
	return r.Available, r.Locked, err
}

// FailPayouts lets every attempt to pay one invoice fail at its payee.
func (s *Sim) FailPayouts(ctx context.Context, bolt11 string) error {
	i, err := simln.DecodeInvoice(bolt11)
	if err != nil {
		return err
	}
	return s.Call(ctx, "sim-pay-script", map[string]any{"match": fmt.Sprintf("%x", i.PaymentHash), "mode": "fail", "code": 203}, nil)
}

// Audit checks that no msat has come or gone on the simulated network.
func (s *Sim) Audit(ctx context.Context) error {
	var r struct {
		Sum    orders.Msats `json:"total_msat"`
		Minted orders.Msats `json:"minted_msat"`
	}
	if err := s.Call(ctx, "sim-audit", map[string]any{}, &r); err != nil {
		return err
	}
	if r.Sum != r.Minted || r.Sum == 0 {
		return errors.New("msats are not conserved: there were " + r.Minted.String() + ", there are " + r.Sum.String())
	}
	return nil
}
