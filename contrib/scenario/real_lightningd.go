package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// lightningd is one node of the network. Its directory and port outlive its process.
type lightningd struct {
	name  string
	dir   string
	port  int
	chain *bitcoind
	rpc   *clnio.Client // connects anew by itself
	env   []string      // beside our own

	mu sync.Mutex
	d  *daemon
	id string // public key, hex; known after the first start
}

// nodeOptions make a node of a test network quick: blocks are seen within a second, gossip and reconnections don't
// wait, and few blocks make a deadline.
const nodeOptions = `network=regtest
log-level=debug
log-file=log
disable-dns
autoconnect-seeker-peers=0
allow-deprecated-apis=false
developer
dev-bitcoind-poll=1
dev-fast-gossip
dev-fast-reconnect
dev-allow-localhost
cltv-delta=6
cltv-final=5
watchtime-blocks=5
`

// maxSocketPath is what a Unix socket's address can hold on Linux, without its last NUL.
const maxSocketPath = 107

// newLightningd makes a node's directory with its config. Extra are further lines, for plugins and their options.
func newLightningd(chain *bitcoind, dir, name string, extra ...string) (*lightningd, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	n := &lightningd{name: name, dir: filepath.Join(dir, name), port: port, chain: chain}
	socket := filepath.Join(n.dir, "regtest", "lightning-rpc")
	if len(socket) > maxSocketPath {
		return nil, fmt.Errorf("%s: the path of its socket would have %d bytes, the limit is %d: use a shorter directory", name, len(socket), maxSocketPath)
	}
	n.rpc = clnio.NewClient(socket)
	lines := nodeOptions + fmt.Sprintf("alias=%s\nbind-addr=127.0.0.1:%d\nbitcoin-datadir=%s\nbitcoin-rpcport=%d\n", name, port, chain.dir, chain.port)
	if len(extra) > 0 {
		lines += strings.Join(extra, "\n") + "\n"
	}
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return nil, err
	}
	return n, os.WriteFile(filepath.Join(n.dir, "config"), []byte(lines), 0o600)
}

// logPath is the node's log.
func (n *lightningd) logPath() string { return filepath.Join(n.dir, "regtest", "log") }

func (n *lightningd) process() *daemon {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.d
}

func (n *lightningd) alive() bool {
	d := n.process()
	return d != nil && d.alive()
}

// start runs the node and waits until it is up and in step with the chain.
func (n *lightningd) start(ctx context.Context) error {
	if n.alive() {
		return fmt.Errorf("start %s: it runs", n.name)
	}
	d, err := launchWith(n.env, filepath.Join(n.dir, "out"), "lightningd", "--lightning-dir="+n.dir)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.d = d
	n.mu.Unlock()
	if err := n.synced(ctx); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	return nil
}

type nodeState struct {
	ID        string `json:"id"`
	Height    uint32 `json:"blockheight"`
	Bitcoind  string `json:"warning_bitcoind_sync"`
	Lightning string `json:"warning_lightningd_sync"`
}

// synced waits until the node is at the tip of the chain.
func (n *lightningd) synced(ctx context.Context) error {
	tip, err := n.chain.height(ctx)
	if err != nil {
		return err
	}
	var s nodeState
	err = until(ctx, fmt.Sprintf("%s is at block %d", n.name, tip), func() (bool, error) {
		if !n.alive() {
			return true, nil
		}
		s = nodeState{}
		if err := n.rpc.Call(ctx, "getinfo", nil, &s); err != nil {
			return false, err
		}
		if s.Height < tip || s.Bitcoind+s.Lightning != "" {
			return false, fmt.Errorf("it is at %d %s%s", s.Height, s.Bitcoind, s.Lightning)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if !n.alive() {
		return fmt.Errorf("%s ended: %s", n.name, tail(n.process().out, 5))
	}
	n.mu.Lock()
	n.id = s.ID
	n.mu.Unlock()
	return nil
}

func (n *lightningd) key() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}

// kill ends the node as a power cut would.
func (n *lightningd) kill(ctx context.Context) error {
	d := n.process()
	if d == nil {
		return nil
	}
	if err := d.kill(ctx); err != nil {
		return fmt.Errorf("kill %s: %w", n.name, err)
	}
	return nil
}

// cut ends the node and all that it has started at once, so that nobody can react to anybody's end.
func (n *lightningd) cut(ctx context.Context) error {
	d := n.process()
	if err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("cut %s: %w", n.name, err)
	}
	<-d.end
	return d.gone(ctx)
}

// freeze stops the clock for the node and all that belongs to it: its connections stay, and nothing answers. Only kill
// ends that.
func (n *lightningd) freeze() error {
	if err := syscall.Kill(-n.process().cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("freeze %s: %w", n.name, err)
	}
	return nil
}

// stop ends the node as `lightning-cli stop` does.
func (n *lightningd) stop(ctx context.Context) error {
	err := n.rpc.Call(ctx, "stop", nil, nil)
	if err != nil && !errors.Is(err, clnio.ErrUnknownOutcome) { // the answer may be cut off
		return fmt.Errorf("stop %s: %w", n.name, err)
	}
	select {
	case <-n.process().end:
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", n.name, ctx.Err())
	}
	return n.process().gone(ctx)
}

// channel is a row of listpeerchannels.
type channel struct {
	Peer      string       `json:"peer_id"`
	State     string       `json:"state"`
	Connected bool         `json:"peer_connected"`
	Again     *bool        `json:"reestablished"` // null where the peer is away
	Scid      string       `json:"short_channel_id"`
	Ours      orders.Msats `json:"to_us_msat"`
	Spendable orders.Msats `json:"spendable_msat"`
	HTLCs     []struct {
		Hash   orders.Hash `json:"payment_hash"`
		State  string      `json:"state"`
		Status string      `json:"status"`
	} `json:"htlcs"`
}

// usable: a payment can go through now.
func (c *channel) usable() bool {
	return c.State == "CHANNELD_NORMAL" && c.Connected && (c.Again == nil || *c.Again)
}

// channels lists the channels with a peer, or all when peer is nil.
func (n *lightningd) channels(ctx context.Context, peer *lightningd) ([]channel, error) {
	var params any
	if peer != nil {
		params = map[string]any{"id": peer.key()}
	}
	var r struct {
		Channels []channel `json:"channels"`
	}
	if err := n.rpc.Call(ctx, "listpeerchannels", params, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	return r.Channels, nil
}

// connect makes a connection to another node, unless there is one.
func (n *lightningd) connect(ctx context.Context, to *lightningd) error {
	err := n.rpc.Call(ctx, "connect", map[string]any{"id": to.key(), "host": "127.0.0.1", "port": to.port}, nil)
	if err != nil {
		return fmt.Errorf("connect %s to %s: %w", n.name, to.name, err)
	}
	return nil
}
