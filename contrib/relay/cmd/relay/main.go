// Command relay runs a small in-memory Nostr relay, for demos and tests. Its events are gone when it ends.
//
//	relay -listen 127.0.0.1:7000
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/mostro-cln/mostro/contrib/relay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:7000", "address to listen at; port 0 takes any free one")
	name := flags.String("name", "", "name in the information document")
	auth := flags.Bool("auth", false, "ask clients for AUTH (NIP-42)")
	verbose := flags.Bool("v", false, "log more")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "relay: unexpected %q\n", flags.Arg(0))
		return 2
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	srv, err := relay.New(relay.Config{Name: *name, RequireAuth: *auth, Log: log}).Listen(ctx, *listen)
	if err != nil {
		fmt.Fprintf(stderr, "relay: %v\n", err)
		return 1
	}
	defer srv.Close()
	fmt.Fprintf(stdout, "listening at %s\n", srv.URL) // scripts read the port from this line
	<-ctx.Done()
	return 0
}
