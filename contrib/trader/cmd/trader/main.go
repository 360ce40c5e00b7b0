// Command trader trades at a Mostro from the command line.
//
//	trader -relay wss://relay.example -mostro npub1… init
//	trader list
//	trader take 5c6f8a52 -invoice lnbc…
//	trader watch
//
// Init remembers the relays and the Mostro, so that later commands need not name them. An order may be named by the
// first characters of its id. The exit code is 0 when the Mostro did as asked, 1 when it did not, 2 when the command
// line makes no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/orders"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage is a command line that makes no sense.
var errUsage = errors.New("usage")

// app is what a command works with.
type app struct {
	ctx     context.Context
	out     io.Writer
	home    string
	timeout time.Duration
	config  settings
	trader  *trader.Trader // nil for init
}

type listFlag []string

func (l *listFlag) String() string     { return strings.Join(*l, ",") }
func (l *listFlag) Set(s string) error { *l = append(*l, s); return nil }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("trader", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { usage(stderr, flags) }
	var relays listFlag
	flags.Var(&relays, "relay", "relay `URL`; may be given several times")
	mostro := flags.String("mostro", "", "public key of the Mostro, hex or npub")
	home := flags.String("home", defaultHome(), "`directory` of the mnemonic and the trades")
	way := flags.Uint("way", 0, "transport: 1 gift wrap, 2 direct; 0: as the Mostro says")
	private := flags.Bool("private", false, "full privacy: show no identity, earn no reputation")
	timeout := flags.Duration("timeout", 20*time.Second, "how long to wait for relays and the Mostro")
	verbose := flags.Bool("v", false, "tell what goes on")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	a := &app{ctx: ctx, out: stdout, home: *home, timeout: *timeout}
	err := a.load(settings{Relays: relays, Mostro: *mostro, Way: orders.Way(min(*way, 3)), Private: *private})
	if err == nil {
		level := slog.LevelError
		if *verbose {
			level = slog.LevelDebug
		}
		err = a.dispatch(flags.Args(), slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})))
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "trader: %v; see trader -h\n", err)
		return 2
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintf(stderr, "trader: %s\n", clean(line))
	}
	return 1
}

func defaultHome() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ".mostro-trader"
	}
	return filepath.Join(dir, "mostro-trader")
}

// dispatch finds the command and gives it an open trader, if it wants one.
func (a *app) dispatch(args []string, log *slog.Logger) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command", errUsage)
	}
	c, ok := findCommand(args[0])
	if !ok {
		return fmt.Errorf("%w: no command %q", errUsage, args[0])
	}
	words, opts, err := c.parse(args[1:])
	if err != nil {
		return err
	}
	if c.run == nil {
		return a.initHome()
	}
	mnemonic, err := a.mnemonic()
	if err != nil {
		return err
	}
	a.trader, err = trader.New(trader.Config{
		Mnemonic: mnemonic, Relays: a.config.Relays, Mostro: a.config.Mostro, Way: a.config.Way,
		FullPrivacy: a.config.Private, StateFile: filepath.Join(a.home, "trades.json"), Patience: a.timeout, Log: log,
	})
	if err != nil {
		return err
	}
	defer a.trader.Close()
	return c.run(a, words, opts)
}

func usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintf(w, "trader [options] COMMAND\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-62s %s\n", c.usage, c.about)
	}
	fmt.Fprintf(w, "\nOptions, also kept by init:\n")
	flags.PrintDefaults()
}
