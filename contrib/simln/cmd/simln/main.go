// Command simln runs a simulated lightningd with plugins; see package simln.
//
//	simln --dir DIR --plugin PATH[:important] … --option NAME[=VALUE] … --wallet NAME=SATS …
//
// It prints one line that begins with "ready" when plugins may be called, and ends with the exit code that
// lightningd would have: 0 after stop or a signal, 1 when an important plugin died, 134 after a fatal hook reply.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/mostro-cln/mostro/contrib/simln"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// listFlag is a flag that may be given more than once.
type listFlag []string

func (l *listFlag) String() string     { return strings.Join(*l, " ") }
func (l *listFlag) Set(v string) error { *l = append(*l, v); return nil }

type settings struct {
	cfg     simln.Config
	wallets []wallet
}

type wallet struct {
	name string
	sats uint64
}

func run(args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "simln:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	n, err := simln.Start(ctx, s.cfg)
	if err != nil {
		fmt.Fprintln(stderr, "simln:", err)
		return 1
	}
	if err := fund(ctx, n, s.wallets); err != nil {
		fmt.Fprintln(stderr, "simln:", err)
		n.Stop()
		return 1
	}
	fmt.Fprintf(stdout, "ready rpc=%s id=%s\n", n.RPCPath(), n.ID())
	select {
	case <-ctx.Done():
		n.Stop()
	case <-n.Died():
		n.Kill() // reaps what plugins are left
	}
	d := n.Death()
	if d.Code != 0 {
		fmt.Fprintln(stderr, "simln: node died:", d.Reason)
	}
	return d.Code
}

func parse(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("simln", flag.ContinueOnError)
	f.SetOutput(stderr)
	var plugins, options, wallets listFlag
	var height, offline, feeBase, balance uint64
	f.StringVar(&s.cfg.Dir, "dir", "", "lightning-dir; kept from run to run")
	f.StringVar(&s.cfg.Network, "network", "regtest", "bitcoin, testnet, signet or regtest")
	f.Var(&plugins, "plugin", "plugin binary, with :important after it for important-plugin; may be repeated")
	f.Var(&options, "option", "a plugin's option as NAME=VALUE, or NAME for a flag; may be repeated")
	f.Var(&wallets, "wallet", "a trader's wallet as NAME=SATS, made if it is not there; may be repeated")
	secret := f.String("secret", "", "node secret, 64 hex digits; default all zero")
	logFile := f.String("log-file", "", "write the node's log there instead of standard error")
	f.Uint64Var(&balance, "node-sats", 10_000_000, "the node's channel balance when the directory is new")
	f.Uint64Var(&height, "height", 200, "block height when the directory is new")
	f.Uint64Var(&offline, "offline-blocks", 0, "blocks that were mined while the node was off")
	f.Uint64Var(&feeBase, "fee-base", 1000, "routing fee of an outgoing payment in msat")
	f.Uint64Var(&s.cfg.FeePPM, "fee-ppm", 100, "routing fee in millionths of the amount")
	f.DurationVar(&s.cfg.PayDelay, "pay-delay", 0, "how long an outgoing payment takes (default 20ms)")
	f.BoolVar(&s.cfg.Developer, "developer", false, "start plugins with --developer")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if s.cfg.Dir == "" {
		return nil, errors.New("--dir is needed")
	}
	s.cfg.Height, s.cfg.OfflineBlocks = uint32(height), uint32(offline)
	s.cfg.FeeBase, s.cfg.NodeBalance = simln.Msat(feeBase), simln.Msat(balance*1000)
	s.cfg.NoFees = feeBase == 0 && s.cfg.FeePPM == 0
	s.cfg.Log = stderr
	if *logFile != "" {
		log, err := os.OpenFile(*logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		s.cfg.Log = log
	}
	if err := s.lists(plugins, options, wallets, *secret); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *settings) lists(plugins, options, wallets listFlag, secret string) error {
	for _, p := range plugins {
		path, important := strings.CutSuffix(p, ":important")
		s.cfg.Plugins = append(s.cfg.Plugins, simln.Plugin{Path: path, Important: important})
	}
	s.cfg.Options = map[string]any{}
	for _, o := range options {
		name, value, ok := strings.Cut(o, "=")
		switch old := s.cfg.Options[name].(type) {
		case []string:
			s.cfg.Options[name] = append(old, value)
		default:
			s.cfg.Options[name] = []string{value}
			if !ok {
				s.cfg.Options[name] = true
			}
		}
	}
	for _, w := range wallets {
		name, sats, _ := strings.Cut(w, "=")
		n, err := strconv.ParseUint(sats, 10, 50)
		if err != nil || name == "" {
			return fmt.Errorf("--wallet %s: want NAME=SATS", w)
		}
		s.wallets = append(s.wallets, wallet{name, n})
	}
	if secret != "" {
		b, err := hex.DecodeString(secret)
		if err != nil || len(b) != 32 {
			return errors.New("--secret: want 64 hex digits")
		}
		copy(s.cfg.NodeSecret[:], b)
	}
	return nil
}

// fund makes the wallets that are not there from an earlier run.
func fund(ctx context.Context, n *simln.Node, wallets []wallet) error {
	var have struct {
		Wallets []struct {
			Wallet string `json:"wallet"`
		} `json:"wallets"`
	}
	if err := n.Call(ctx, "sim-wallets", nil, &have); err != nil {
		return fmt.Errorf("list wallets: %w", err)
	}
	known := map[string]bool{}
	for _, w := range have.Wallets {
		known[w.Wallet] = true
	}
	for _, w := range wallets {
		if known[w.name] {
			continue
		}
		if err := n.Call(ctx, "sim-wallet-new", []any{w.name, w.sats * 1000}, nil); err != nil {
			return fmt.Errorf("make wallet %s: %w", w.name, err)
		}
	}
	return nil
}
