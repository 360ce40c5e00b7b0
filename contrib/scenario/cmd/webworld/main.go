// Command webworld is the world in which the web client is tested: two relays, a simulated Lightning node with the real
// plugins, one of which serves the page, and wallets of other people. It prints where everything is as one line of
// JSON, takes commands over HTTP on loopback, and ends with its standard input.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/contrib/scenario"
)

func main() {
	bin := flag.String("bin", "bin", "folder with the built plugins")
	wait := flag.Int("wait", 900, "seconds that a party may take for its next step")
	pow := flag.Int("pow", 0, "proof of work that the exchange asks for, bits")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *wait, *pow); err != nil {
		fmt.Fprintln(os.Stderr, "webworld:", err)
		os.Exit(1)
	}
}

// addresses is what webworld prints.
type addresses struct {
	Page    string   `json:"page"`    // where the plugin serves the web client
	Control string   `json:"control"` // where commands are taken
	Relays  []string `json:"relays"`
	Mostro  string   `json:"mostro"` // public key, hex
	Log     string   `json:"log"`
}

func run(ctx context.Context, bin string, wait, pow int) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // whoever started us has gone
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "web") // short: it holds a unix socket
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c := &control{}
	var urls []string
	for range 2 {
		srv, err := relay.Listen(context.WithoutCancel(ctx), "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer srv.Close()
		c.relays = append(c.relays, srv)
		urls = append(urls, srv.URL)
	}
	market, err := scenario.NewPriceServer()
	if err != nil {
		return err
	}
	defer market.Close()
	page, err := freePort()
	if err != nil {
		return err
	}
	c.sim, err = scenario.NewSim(ctx, scenario.SimConfig{Dir: dir, Bin: scenario.BinariesIn(bin), Log: log, Options: map[string]any{
		"mostro-relays": strings.Join(urls, ","), "mostro-web-listen": page, "mostro-name": "Simulated",
		"mostro-price-sources": market.Option(), "mostro-expiration-seconds": fmt.Sprint(wait), "mostro-pow": fmt.Sprint(pow),
		"mostro-info-interval-seconds": "10",
	}})
	if err != nil {
		return err
	}
	defer c.sim.Close()
	c.world = &scenario.World{Node: c.sim, Relays: urls}
	started, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	if err := c.world.Start(started); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: c.handler(), ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(l) // until Close
	defer srv.Close()
	out := addresses{Page: "http://" + page + "/", Control: "http://" + l.Addr().String(), Relays: urls, Mostro: c.world.Mostro, Log: log.Name()}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// freePort is an address of loopback that nobody listens at now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

var errRelay = errors.New("there is no such relay")
