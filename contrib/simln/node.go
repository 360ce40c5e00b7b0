package simln

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Version is the Core Lightning release whose behaviour is modelled.
const Version = "v26.06.6"

// Config says what node to run. Only Dir is needed.
type Config struct {
	Dir     string // the lightning-dir; a node started again on it goes on where the last one stopped
	Network string // bitcoin, testnet, signet or regtest (the default)
	Plugins []Plugin
	Options map[string]any // by option name, for whichever plugin declares it; see Plugin.Options
	Log     io.Writer      // the node's log with the plugins' stderr; nil: discarded

	NodeSecret      [32]byte // everything secret is derived from it
	NodeBalance     Msat     // the node's channel balance when Dir is new; default 0.1 BTC
	Height          uint32   // block height when Dir is new; default 200
	OfflineBlocks   uint32   // blocks that were mined while the node was off
	CLTVFinal       uint32   // default 18 on bitcoin, 10 elsewhere
	AllowDeprecated bool     // lightningd's allow-deprecated-apis
	Developer       bool     // plugins are started with --developer

	FeeBase  Msat          // routing fee of an outgoing payment, once each;
	FeePPM   uint64        // and by amount; default 1000 msat and 100 ppm, if both are zero
	NoFees   bool          // really no routing fee
	PayDelay time.Duration // how long a payment without a script is under way; default 20 ms

	PluginTimeout time.Duration // for getmanifest and init; default 60 s
	StopTimeout   time.Duration // for plugins to exit after shutdown; default 30 s
	KillGrace     time.Duration // how long a plugin may outlive a killed node; default 2 s
	SyncDelay     time.Duration // from the HTLC replay to the first block and the peers; default 50 ms
}

// Plugin is a plugin binary as given to lightningd by plugin= or important-plugin=.
type Plugin struct {
	Path      string
	Options   map[string]any // string, integer, bool or []string (an option with "multi"); true for a flag
	Important bool
	Env       []string // added to the environment
	Args      []string // only for test binaries that play a plugin: lightningd gives none
}

// Death says why a node is no longer there. Code is the exit code of the process it stands for.
type Death struct {
	Reason string
	Code   int
}

const (
	mssgFatal    = "FATAL SIGNAL 6"
	exitFatal    = 134 // 128 + SIGABRT
	exitKilled   = 137 // 128 + SIGKILL
	rescanBlocks = 30
)

// Node is one run of the simulated lightningd. Like the original it does one thing at a time: everything
// that happens to it is a function given to do, which runs alone and then commits.
type Node struct {
	cfg    Config
	dir    string // network dir
	log    *logger
	clock  clock
	secret [32]byte
	key    *secp256k1.PrivateKey
	id     string

	mu      sync.Mutex // guards everything below
	st      *state
	live    []*htlc  // see liveHTLCs
	after   []func() // what the running transaction wants to say to the world once it is committed
	height  uint32   // what the node has processed in this run
	syncing bool
	online  bool // peers are connected
	warnBtc bool // bitcoind is not in sync, switched by hand

	startup       bool
	phaseDone     chan struct{} // closed when all plugins have answered getmanifest, then init
	plugins       []*plugin
	pluginIndex   int
	everyPlugin   []*plugin // also the dead ones, whose processes must be reaped
	hooks         map[string]*hookChain
	nextID        uint64
	commands      map[string]*builtin
	sets          map[string]*htlcSet // incomplete multi-part payments by hash
	waiters       []*waiter
	indexWaiters  []*indexWaiter
	attempts      []*attempt
	heightWaiters []*heightWaiter
	listener      net.Listener
	conns         map[*rpcConn]bool
	stopWaiters   []*command
	faults        map[string]*fault // by method

	stopping bool
	stopCode int
	dead     bool
	death    Death
	diedCh   chan struct{}
}

type fatalError struct{ msg string }

// Start runs a node until all plugins have answered init and all held HTLCs have been replayed. Ctx bounds
// only the start. The error tells why there is no node: a plugin's option clash, an unknown option, a plugin
// that must not fail, or a fatal hook reply in the replay.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	n, err := newNode(cfg)
	if err != nil {
		return nil, err
	}
	if err := n.boot(ctx); err != nil {
		n.Kill()
		return nil, err
	}
	return n, nil
}

func newNode(cfg Config) (*Node, error) {
	cfg.Network = cmp.Or(cfg.Network, "regtest")
	prefix := bolt11Prefix(cfg.Network)
	if prefix == "" {
		return nil, fmt.Errorf("unknown network %q", cfg.Network)
	}
	cfg.NodeBalance = cmp.Or(cfg.NodeBalance, 10_000_000_000)
	cfg.Height = cmp.Or(cfg.Height, 200)
	if cfg.CLTVFinal == 0 {
		cfg.CLTVFinal = 10
		if cfg.Network == "bitcoin" {
			cfg.CLTVFinal = 18
		}
	}
	if cfg.FeeBase == 0 && cfg.FeePPM == 0 && !cfg.NoFees {
		cfg.FeeBase, cfg.FeePPM = 1000, 100
	}
	cfg.PayDelay = cmp.Or(cfg.PayDelay, 20*time.Millisecond)
	cfg.PluginTimeout = cmp.Or(cfg.PluginTimeout, 60*time.Second)
	cfg.StopTimeout = cmp.Or(cfg.StopTimeout, 30*time.Second)
	cfg.KillGrace = cmp.Or(cfg.KillGrace, 2*time.Second)
	cfg.SyncDelay = cmp.Or(cfg.SyncDelay, 50*time.Millisecond)
	dir, err := filepath.Abs(filepath.Join(cfg.Dir, cfg.Network))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make network directory: %w", err)
	}
	n := &Node{
		cfg: cfg, dir: dir, log: &logger{w: cfg.Log}, secret: cfg.NodeSecret,
		key:     deriveKey(cfg.NodeSecret, "node key"),
		startup: true, online: true, hooks: newHookChains(), commands: builtins(),
		sets: map[string]*htlcSet{}, faults: map[string]*fault{}, conns: map[*rpcConn]bool{}, diedCh: make(chan struct{}),
	}
	n.id = pubHex(n.key)
	n.nextID = mathrand.Uint64N(1_000_000) // ids of two runs must not meet: a replay comes under a new one
	return n, n.openDisk()
}

func (n *Node) openDisk() error {
	st, fresh, err := openState(filepath.Join(n.dir, "simln.journal"))
	if err != nil {
		return err
	}
	n.st, n.live = st, st.htlcs
	m := st.meta
	if fresh {
		m.ChainHeight, m.NodeHeight = n.cfg.Height, n.cfg.Height
		m.NodeBalance, m.Minted = n.cfg.NodeBalance, n.cfg.NodeBalance
		m.NextScid = 1
		n.height = n.cfg.Height
		n.openChannel("hub")
	} else {
		m.ChainHeight += n.cfg.OfflineBlocks
		n.height = m.NodeHeight - min(m.NodeHeight, rescanBlocks)
		n.syncing, n.online = true, false
	}
	n.clock.offset = time.Duration(m.ClockOffset) * time.Second
	st.put(m)
	return st.journal.commit()
}

func bolt11Prefix(network string) string {
	return map[string]string{"bitcoin": "bc", "testnet": "tb", "signet": "tbs", "regtest": "bcrt"}[network]
}

// boot follows lightningd's order: manifests, options, RPC socket, init, replay of held HTLCs, peers, blocks.
func (n *Node) boot(ctx context.Context) error {
	n.phaseDone = make(chan struct{})
	n.do(func() {
		n.logf(levelInfo, "lightningd", "simln, modelled on %s", Version)
		for _, p := range n.cfg.Plugins {
			if err := n.startPlugin(p, nil); err != nil {
				n.fatal("error starting plugin '%s': %v", p.Path, err)
			}
		}
		n.checkManifests()
	})
	if err := n.waitPhase(ctx, "getmanifest"); err != nil {
		return err
	}
	if err := n.checkOptions(); err != nil {
		return err
	}
	if err := n.listen(); err != nil {
		return err
	}
	n.phaseDone = make(chan struct{})
	n.do(func() {
		n.configurePlugins()
		n.checkInitted()
	})
	if err := n.waitPhase(ctx, "init"); err != nil {
		return err
	}
	n.do(n.replayHTLCs)
	if n.syncing {
		n.clock.after(n.cfg.SyncDelay, func() { n.do(n.catchUp) })
	}
	return n.stillUp()
}

func (n *Node) waitPhase(ctx context.Context, what string) error {
	select {
	case <-n.phaseDone:
	case <-n.diedCh:
	case <-ctx.Done():
		return fmt.Errorf("wait for the plugins' %s: %w", what, context.Cause(ctx))
	}
	return n.stillUp()
}

// stillUp is the end of a start that an important plugin or a fatal error has ended.
func (n *Node) stillUp() error {
	n.mu.Lock()
	down := n.stopping || n.dead
	n.mu.Unlock()
	if !down {
		return nil
	}
	<-n.diedCh
	return errors.New(n.Death().Reason)
}

// do runs f as one transaction: alone, and committed before anything that f queued in after leaves the node.
// It returns false if the node is dead or died in f.
func (n *Node) do(f func()) (alive bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead {
		return false
	}
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fatal, ok := r.(fatalError)
		if !ok {
			panic(r)
		}
		n.logf(levelBroken, "lightningd", "%s", fatal.msg)
		n.logf(levelBroken, "lightningd", mssgFatal+" (version %s)", Version)
		n.die(Death{Reason: mssgFatal + ": " + fatal.msg, Code: exitFatal}) // uncommitted changes are lost with it
		alive = false
	}()
	f()
	n.serveWaiters()
	if err := n.st.journal.commit(); err != nil {
		n.fatal("error committing transaction: %v", err)
	}
	for len(n.after) > 0 {
		run := n.after
		n.after = nil
		for _, g := range run {
			g()
		}
	}
	return true
}

// fatal ends the node as lightningd's fatal() does. It does not return.
func (n *Node) fatal(format string, args ...any) {
	panic(fatalError{fmt.Sprintf(format, args...)})
}

// then queues a message to the world for after the commit.
func (n *Node) then(f func()) { n.after = append(n.after, f) }

// die closes everything at once. The caller holds mu.
func (n *Node) die(d Death) {
	n.dead, n.death, n.after = true, d, nil
	n.clock.close()
	n.st.journal.f.Close()
	if n.listener != nil {
		n.listener.Close()
	}
	for c := range n.conns {
		c.abort()
	}
	for _, p := range n.plugins {
		p.closePipes()
	}
	close(n.diedCh)
}

// Died is closed when the node is gone, whatever the reason.
func (n *Node) Died() <-chan struct{} { return n.diedCh }

// Death tells why; it is for use after Died.
func (n *Node) Death() Death {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.death
}

// Kill is SIGKILL: nothing more is written to disk or to anyone, and the plugins read end of file.
// A plugin that is still there after Config.KillGrace is killed as well, so that tests leave nothing behind.
func (n *Node) Kill() {
	n.mu.Lock()
	if !n.dead {
		n.die(Death{Reason: "killed", Code: exitKilled})
	}
	n.mu.Unlock()
	n.reap()
}

// Stop is "lightning-cli stop": the plugins that subscribed to shutdown are told and waited for. Held HTLCs stay held.
func (n *Node) Stop() {
	n.do(func() { n.beginStop(0) })
	<-n.diedCh
	n.reap()
}

func (n *Node) reap() {
	n.mu.Lock()
	all := n.everyPlugin
	n.mu.Unlock()
	deadline := time.After(n.cfg.KillGrace)
	for _, p := range all {
		select {
		case <-p.exited:
		case <-deadline:
			deadline = closedTime
			p.process.Kill()
			<-p.exited
		}
	}
}

var closedTime = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// beginStop starts the orderly end of the process with an exit code. It is run by do.
func (n *Node) beginStop(code int) {
	if n.stopping {
		return
	}
	n.stopping, n.stopCode = true, code
	go n.shutdown()
}

func (n *Node) shutdown() {
	n.do(func() {
		if n.listener != nil {
			n.listener.Close()
		}
		for _, p := range append([]*plugin(nil), n.plugins...) {
			clear(p.pending) // nobody waits for these answers any more; HTLCs are replayed at the next start
			if p.state != pluginReady || !p.subscribed("shutdown") {
				n.dropPlugin(p)
				continue
			}
			n.notify(p, "shutdown", obj())
		}
	})
	deadline := time.Now().Add(n.cfg.StopTimeout)
	for _, p := range n.livePlugins() {
		select {
		case <-p.gone:
		case <-time.After(time.Until(deadline)):
			n.logf(levelDebug, "lightningd", "%s: failed to self-terminate in time, killing.", p.name)
		case <-n.diedCh:
			return
		}
	}
	n.do(func() {
		for _, c := range n.stopWaiters {
			c.reply(obj("result", "Shutdown complete"))
		}
	})
	n.flushConns()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.dead {
		reason := "stopped"
		if n.stopCode != 0 {
			reason = "stopped after the death of an important plugin"
		}
		n.die(Death{Reason: reason, Code: n.stopCode})
	}
}

func (n *Node) livePlugins() []*plugin {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*plugin(nil), n.plugins...)
}

// RPCPath is the path of the lightning-rpc socket.
func (n *Node) RPCPath() string { return filepath.Join(n.dir, "lightning-rpc") }

// Dir is the network directory, the plugins' working directory.
func (n *Node) Dir() string { return n.dir }

// ID is the node's public key in hex.
func (n *Node) ID() string { return n.id }

// AdvanceClock moves the simulated clock on; timers that fall due fire.
func (n *Node) AdvanceClock(d time.Duration) {
	n.do(func() {
		n.st.meta.ClockOffset += int64(d / time.Second)
		n.st.put(n.st.meta)
	})
	n.clock.advance(d)
}

func (n *Node) unixNow() uint64 { return uint64(n.clock.now().Unix()) }

// Log levels with the words that lightningd prints.
const (
	levelTrace   = "TRACE"
	levelDebug   = "DEBUG"
	levelInfo    = "INFO"
	levelUnusual = "UNUSUAL"
	levelBroken  = "**BROKEN**"
)

type logger struct {
	mu sync.Mutex
	w  io.Writer
}

func (n *Node) logf(level, source, format string, args ...any) {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	if n.log.w == nil {
		return
	}
	line := fmt.Sprintf(format, args...)
	fmt.Fprintf(n.log.w, "%s %-7s %s: %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), level, source, line)
}

func decodeHex32(s string) (out [32]byte, ok bool) {
	b, err := hex.DecodeString(s)
	return out, err == nil && copy32(&out, b) && s == strings.ToLower(s)
}
