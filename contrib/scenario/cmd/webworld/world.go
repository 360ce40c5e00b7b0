package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/nbd-wtf/go-nostr"
	"golang.org/x/sync/errgroup"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/contrib/scenario"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// settings are the command line's.
type settings struct {
	bin               string
	exchanges, relays int
	listen            string
	transports        string
	options           optionList
	verbose           bool

	ways []orders.Way // one for each exchange
}

func (s *settings) check(rest []string) error {
	addr, err := netip.ParseAddrPort(s.listen)
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected %q", rest[0])
	case s.exchanges < 1 || s.exchanges > 2:
		return fmt.Errorf("-exchanges: got %d, want 1 or 2", s.exchanges)
	case s.relays < 1 || s.relays > 5:
		return fmt.Errorf("-relays: got %d, want 1 to 5", s.relays)
	case err != nil || !addr.Addr().IsLoopback():
		return fmt.Errorf("-listen: got %q, want a loopback address and a port", s.listen)
	}
	for part := range strings.SplitSeq(s.transports, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > 2 {
			return fmt.Errorf("-transport: got %q, want 1 or 2, one for each exchange", part)
		}
		s.ways = append(s.ways, orders.Way(n))
	}
	for len(s.ways) < s.exchanges {
		s.ways = append(s.ways, s.ways[len(s.ways)-1])
	}
	return nil
}

// houses is what tells the exchanges apart.
var houses = []struct{ name, fee, payer string }{
	{"Alpha", "0.006", string(orders.FeeBySeller)},
	{"Beta", "0.01", string(orders.FeeSplit)},
}

// keyPair is a Nostr key as tests want it.
type keyPair struct {
	PubKey string `json:"pubkey"`
	Npub   string `json:"npub"`
	Nsec   string `json:"nsec"`
}

func newKeyPair() (k *nostrio.Key, secret [32]byte, p keyPair, err error) {
	rand.Read(secret[:])
	if k, err = nostrio.NewKey(secret); err != nil {
		return nil, secret, p, err
	}
	nsec, err := bech32.EncodeFromBase256("nsec", secret[:])
	return k, secret, keyPair{k.PubKey().String(), nostrio.Npub(k.PubKey()), nsec}, err
}

// exchange is one of the world's exchanges, and what is told of it.
type exchange struct {
	Number int `json:"exchange"`
	keyPair
	Name      string     `json:"name"`
	Fee       string     `json:"fee"`
	FeePayer  string     `json:"fee_payer"`
	Transport orders.Way `json:"transport"`
	Web       string     `json:"web"`
	NodeID    string     `json:"node_id"`
	RPCDir    string     `json:"rpc_dir"`
	RPCFile   string     `json:"rpc_file"`

	key    *nostrio.Key
	secret string // hex
	world  *scenario.World
	sim    *scenario.Sim
	judge  *judge
	turns  sync.Mutex // held while the exchange or its node is stopped or started
}

// about is the line that is printed.
type about struct {
	Control   string      `json:"control"`
	Relays    []string    `json:"relays"`
	Exchanges []*exchange `json:"exchanges"`
	Solvers   []keyPair   `json:"solvers"`
	Log       string      `json:"log"`
}

// world is everything that runs.
type world struct {
	about  about
	ctx    context.Context // the world's life
	end    context.CancelFunc
	say    *slog.Logger
	dir    string
	log    *os.File
	relays []*relay.Server
	prices *scenario.PriceServer

	tasks errgroup.Group // partners, late payments, pay services

	mu       sync.Mutex // guards all below
	wallets  map[string]bool
	payments map[string]*latePayment // by wallet and payment hash
	partners []*partnerState
}

// startLimit is what the start may take; it needs a few seconds.
const startLimit = time.Minute

func newWorld(ctx context.Context, s settings, stderr io.Writer) (w *world, err error) {
	say := slog.New(slog.DiscardHandler)
	if s.verbose {
		say = slog.New(slog.NewTextHandler(stderr, nil))
	}
	w = &world{say: say, wallets: map[string]bool{}, payments: map[string]*latePayment{}}
	w.ctx, w.end = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "webworld"); err != nil { // short: it holds unix sockets
		return nil, err
	}
	w.about.Log = filepath.Join(w.dir, "log")
	if w.log, err = os.Create(w.about.Log); err != nil {
		return nil, err
	}
	if w.prices, err = scenario.NewPriceServer(); err != nil {
		return nil, fmt.Errorf("start the source of prices: %w", err)
	}
	for range s.relays {
		srv, err := relay.Listen(context.WithoutCancel(ctx), "127.0.0.1:0") // it ends after the exchanges
		if err != nil {
			return nil, fmt.Errorf("start a relay: %w", err)
		}
		srv.SetFaults(relay.Faults{Alter: w.announce})
		w.relays = append(w.relays, srv)
		w.about.Relays = append(w.about.Relays, srv.URL)
	}
	for range 2 {
		_, _, pair, err := newKeyPair()
		if err != nil {
			return nil, fmt.Errorf("make a solver's key: %w", err)
		}
		w.about.Solvers = append(w.about.Solvers, pair)
	}
	return w, w.startExchanges(ctx, s)
}

// startExchanges makes all keys first: the relays look at them.
func (w *world) startExchanges(ctx context.Context, s settings) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for i := range s.exchanges {
		x := &exchange{Number: i, Name: houses[i].name, Fee: houses[i].fee, FeePayer: houses[i].payer, Transport: s.ways[i]}
		var secret [32]byte
		var err error
		if x.key, secret, x.keyPair, err = newKeyPair(); err != nil {
			return fmt.Errorf("make an exchange's key: %w", err)
		}
		x.secret = hex.EncodeToString(secret[:])
		w.about.Exchanges = append(w.about.Exchanges, x)
	}
	var all errgroup.Group
	for _, x := range w.about.Exchanges {
		all.Go(func() error {
			if err := w.start(ctx, x, s); err != nil {
				return fmt.Errorf("start the exchange %s: %w", x.Name, err)
			}
			return nil
		})
	}
	return all.Wait()
}

func (w *world) start(ctx context.Context, x *exchange, s settings) error {
	x.RPCDir = filepath.Join(w.dir, strconv.Itoa(x.Number))
	if err := os.Mkdir(x.RPCDir, 0o700); err != nil {
		return err
	}
	keyFile := filepath.Join(x.RPCDir, "nsec")
	if err := os.WriteFile(keyFile, []byte(x.Nsec+"\n"), 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	if x.judge, err = newJudge(w.about.Relays, x.PubKey); err != nil {
		return err
	}
	options := map[string]any{
		"mostro-admins": x.judge.t.Identity().String(),
		"mostro-relays": strings.Join(w.about.Relays, ","), "mostro-nsec-file": keyFile, "mostro-price-sources": w.prices.Option(),
		"mostro-name": x.Name, "mostro-fee": x.Fee, "mostro-fee-payer": x.FeePayer, "mostro-web-listen": "127.0.0.1:" + port,
	}
	maps.Copy(options, s.options)
	bin, err := filepath.Abs(s.bin)
	if err != nil {
		return err
	}
	if x.sim, err = scenario.NewSim(ctx, scenario.SimConfig{
		Dir: x.RPCDir, Number: byte(x.Number), Bin: scenario.BinariesIn(bin), Log: w.log, Options: options,
	}); err != nil {
		x.sim = nil
		return err
	}
	x.world = &scenario.World{Node: x.sim, Relays: w.about.Relays}
	if err := x.world.Start(ctx); err != nil {
		return err
	}
	x.RPCFile = x.sim.RPCPath()
	if x.Web, err = x.world.AwaitWeb(ctx); err != nil {
		return err
	}
	var info struct {
		NodeID string `json:"node_id"`
	}
	err = x.sim.Call(ctx, "mostro-info", nil, &info)
	x.NodeID = info.NodeID
	return err
}

// freePort is a port that the exchange keeps over its restarts, as a page's origin has to.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// announce is what the relays make of an exchange's info event: it asks for the transport that the command line named.
// Every exchange understands both; this lets a client be tried with either.
func (w *world) announce(e nostr.Event) nostr.Event {
	if e.Kind != nostrio.KindInfo {
		return e
	}
	for _, x := range w.about.Exchanges {
		if x.PubKey != e.PubKey {
			continue
		}
		for _, tag := range e.Tags {
			if len(tag) > 1 && tag[0] == "protocol_version" {
				tag[1] = strconv.Itoa(int(x.Transport))
			}
		}
		if err := e.Sign(x.secret); err != nil {
			w.say.Error("sign an info event", "err", err)
		}
	}
	return e
}

// close ends everything, last come first gone.
func (w *world) close() {
	w.end()
	_ = w.tasks.Wait() // each has told of its own error
	var all errgroup.Group
	for _, x := range w.about.Exchanges {
		if x.world != nil {
			x.world.Leave()
		}
		if x.judge != nil {
			x.judge.t.Close()
		}
		if x.sim != nil {
			all.Go(func() error {
				x.sim.Close()
				return nil
			})
		}
	}
	_ = all.Wait()
	for _, r := range w.relays {
		r.Close()
	}
	if w.prices != nil {
		w.prices.Close()
	}
	if w.log != nil {
		w.log.Close()
	}
	if w.dir != "" {
		os.RemoveAll(w.dir)
	}
}
