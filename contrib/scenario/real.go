package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/mostro-cln/mostro/orders"
	"golang.org/x/sync/errgroup"
)

// Real is a network of real programs from PATH: bitcoind, and three lightningd with channels between them.
//
//	seller ══ exchange ══ buyer
//
// The exchange's node runs our plugins. All wallets of sellers are on one node and all other ones on another: what
// belongs to whom is kept by invoice and payment, and Audit compares that with the channels.
type Real struct {
	cfg                     RealConfig
	bin                     Binaries // copies of ours, which can be replaced while they run
	chain                   *bitcoind
	exchange, seller, buyer *lightningd

	mu      sync.Mutex
	wallets map[string]*realWallet
	opening map[*lightningd]orders.Msats // what each had in its channels when all were open
}

// RealConfig says what network to run.
type RealConfig struct {
	Dir      string // for everything; a short path, since sockets are in it
	Bin      Binaries
	Options  map[string]any // of the exchange's plugin
	Env      []string       // of the exchange's node and its plugins, beside our own
	RustHold string         // path of another hold plugin to use instead of ours and its guard; empty: ours
}

// Programs are what a real network needs in PATH.
var Programs = []string{"bitcoind", "bitcoin-cli", "lightningd"}

// Missing returns those Programs that are not in PATH.
func Missing() (names []string) {
	for _, p := range Programs {
		if _, err := exec.LookPath(p); err != nil {
			names = append(names, p)
		}
	}
	return names
}

// NewReal starts a network with open channels. On an error nothing of it runs any more.
func NewReal(ctx context.Context, c RealConfig) (*Real, error) {
	r := &Real{cfg: c, wallets: map[string]*realWallet{}, opening: map[*lightningd]orders.Msats{}}
	if err := r.build(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("start a network: %w", err)
	}
	return r, nil
}

func (r *Real) build(ctx context.Context) (err error) {
	dir := filepath.Join(r.cfg.Dir, "bin")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r.bin = BinariesIn(dir)
	for to, from := range map[string]string{r.bin.Mostro: r.cfg.Bin.Mostro, r.bin.Holdinvoice: r.cfg.Bin.Holdinvoice, r.bin.Guard: r.cfg.Bin.Guard} {
		if err := copyProgram(to, from); err != nil {
			return err
		}
	}
	if r.chain, err = startBitcoind(ctx, filepath.Join(r.cfg.Dir, "btc")); err != nil {
		return err
	}
	if r.exchange, err = newLightningd(r.chain, r.cfg.Dir, "exchange", r.pluginLines()...); err != nil {
		return err
	}
	r.exchange.env = r.cfg.Env
	if r.seller, err = newLightningd(r.chain, r.cfg.Dir, "seller"); err != nil {
		return err
	}
	if r.buyer, err = newLightningd(r.chain, r.cfg.Dir, "buyer"); err != nil {
		return err
	}
	g, together := errgroup.WithContext(ctx)
	for _, n := range r.nodes() {
		g.Go(func() error { return n.start(together) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := r.openChannels(ctx); err != nil {
		return err
	}
	for _, n := range r.nodes() {
		if r.opening[n], err = n.balance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pluginLines are the exchange's plugins and options as its operator writes them into lightningd's config.
func (r *Real) pluginLines() []string {
	lines := make([]string, 0, 3+len(r.cfg.Options))
	if r.cfg.RustHold != "" {
		lines = append(lines, "important-plugin="+r.cfg.RustHold)
	} else {
		lines = append(lines, "important-plugin="+r.bin.Holdinvoice, "plugin="+r.bin.Guard)
	}
	lines = append(lines, "plugin="+r.bin.Mostro)
	for _, name := range slices.Sorted(maps.Keys(r.cfg.Options)) {
		lines = append(lines, fmt.Sprintf("%s=%v", name, r.cfg.Options[name]))
	}
	return lines
}

// nodes are all nodes that exist.
func (r *Real) nodes() []*lightningd {
	return slices.DeleteFunc([]*lightningd{r.exchange, r.seller, r.buyer}, func(n *lightningd) bool { return n == nil })
}

// copyProgram puts a copy of a program in place of the old one, which may be running. More is added at its end.
func copyProgram(to, from string, more ...byte) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to+".new", append(raw, more...), 0o755); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

// Call implements Node.
func (r *Real) Call(ctx context.Context, method string, params, result any) error {
	return r.exchange.rpc.Call(ctx, method, params, result)
}

// Alive implements Node.
func (r *Real) Alive() bool { return r.exchange.alive() }

// Start implements Node. It returns when the channels can be used again.
func (r *Real) Start(ctx context.Context) error { return r.start(ctx, r.exchange) }

func (r *Real) start(ctx context.Context, n *lightningd) error {
	if err := n.start(ctx); err != nil {
		return err
	}
	return r.awaitChannels(ctx)
}

// Kill implements Node.
func (r *Real) Kill(ctx context.Context) error { return r.exchange.kill(ctx) }

// Cut ends the node and everything that belongs to it in one moment.
func (r *Real) Cut(ctx context.Context) error { return r.exchange.cut(ctx) }

// Stop implements Node.
func (r *Real) Stop(ctx context.Context) error { return r.exchange.stop(ctx) }

// KillPlugin implements Node. It returns when the node has noticed, unless that is the node's end.
func (r *Real) KillPlugin(ctx context.Context, name string) error {
	t, err := r.exchange.process().child(name)
	if err != nil {
		return fmt.Errorf("kill a plugin: %w", err)
	}
	if err := syscall.Kill(t.pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", t, err)
	}
	return until(ctx, "lightningd has seen the end of "+name, func() (bool, error) {
		there, err := hasPlugin(ctx, r, name)
		return !r.Alive() || err == nil && !there, err
	})
}

func hasPlugin(ctx context.Context, n Node, name string) (bool, error) {
	var list struct {
		Plugins []struct {
			Name string `json:"name"`
		} `json:"plugins"`
	}
	err := n.Call(ctx, "plugin", map[string]any{"subcommand": "list"}, &list)
	for _, p := range list.Plugins {
		if filepath.Base(p.Name) == name {
			return true, err
		}
	}
	return false, err
}

// StartExchange implements Node. The options come from the node's config, as they did when it started.
func (r *Real) StartExchange(ctx context.Context) error {
	return r.Call(ctx, "plugin", map[string]any{"subcommand": "start", "plugin": r.bin.Mostro}, nil)
}

// StopExchange implements Node.
func (r *Real) StopExchange(ctx context.Context) error {
	return r.Call(ctx, "plugin", map[string]any{"subcommand": "stop", "plugin": r.bin.Mostro}, nil)
}

// ReplaceExchange puts another build of the exchange in place of the one that runs; the next start takes it.
func (r *Real) ReplaceExchange() error {
	return copyProgram(r.bin.Mostro, r.cfg.Bin.Mostro, []byte("\nanother build\n")...)
}

// LogTail is the end of the exchange's node's log.
func (r *Real) LogTail(lines int) string { return tail(r.exchange.logPath(), lines) }

// Logged reports whether a line of the exchange's node's log holds all these words.
func (r *Real) Logged(words ...string) (bool, error) {
	raw, err := os.ReadFile(r.exchange.logPath())
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(raw)) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return true, nil
		}
	}
	return false, nil
}

// Close implements Node.
func (r *Real) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*goneLimit)
	defer cancel()
	var g errgroup.Group
	for _, n := range r.nodes() {
		n.rpc.Close()
		g.Go(func() error { return n.kill(ctx) })
	}
	_ = g.Wait() // what did not go by itself has been killed
	if r.chain != nil && r.chain.daemon != nil {
		_ = r.chain.kill(ctx)
	}
}

// balance is what the node owns in its channels, with nothing pending.
func (n *lightningd) balance(ctx context.Context) (sum orders.Msats, err error) {
	err = until(ctx, "nothing is pending at "+n.name, func() (bool, error) {
		rows, err := n.channels(ctx, nil)
		sum = 0
		for _, c := range rows {
			sum += c.Ours
			if len(c.HTLCs) > 0 {
				return false, errors.New("there is " + c.HTLCs[0].Hash.String())
			}
		}
		return err == nil, err
	})
	return sum, err
}
