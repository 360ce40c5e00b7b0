// Command interop lets two people trade with mostro-cli, the Mostro project's own client, over a relay that others have
// written: the exchange is our plugins on a simulated node, all the rest is as it would be anywhere. It prints what they
// type and what they see, and a table of it at the end; it exits with 1 if anything went another way than the table of
// stories says.
//
//	interop -bin bin
//
// It needs mostro-cli and nostr-rs-relay, which are published on crates.io. Where they are not in PATH it says so, and that
// is no failure. With -relay own the relay is ours. Any other relay will not do: mostro-cli subscribes with "limit": 0, and
// where a relay sends stored events all the same (NIP-01 leaves it free), it takes an old message for the answer.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/mostro-cln/mostro/contrib/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("interop", flag.ContinueOnError)
	flags.SetOutput(stderr)
	bin := flags.String("bin", "bin", "directory with mostro, holdinvoice and holdinvoice-guard")
	cli := flags.String("cli", "", "path of mostro-cli; from PATH if not given")
	server := flags.String("relay", "", "path of nostr-rs-relay, or \"own\" for ours; from PATH if not given")
	pick := flags.String("run", "", "tell only stories whose name fits this regular expression")
	transport := flags.String("transport", "", "what the client must speak, nip44 or gift-wrap; by default it finds out by itself. mostro-cli 0.16.0 knows both, 0.16.3 only nip44")
	verbose := flags.Bool("v", false, "print all that the client says, not its last lines")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	re, err := regexp.Compile(*pick)
	if err != nil {
		fmt.Fprintln(stderr, "interop: -run:", err)
		return 2
	}
	client := find(*cli, "mostro-cli")
	if *server != own {
		*server = find(*server, "nostr-rs-relay")
	}
	if client == "" || *server == "" {
		fmt.Fprintln(stdout, "interop: skipped, since PATH has no", missing(client, *server)+".")
		return 0
	}
	t := &tour{bin: *bin, client: client, pick: re, verbose: *verbose, out: stdout}
	if *transport != "" {
		t.env = append(t.env, "TRANSPORT="+*transport)
	}
	if err := t.all(ctx, *server); err != nil {
		fmt.Fprintln(stderr, "interop:", err)
		return 1
	}
	return 0
}

// own stands for our relay instead of a path.
const own = "own"

// find returns the path that was given, or where PATH has the program; empty if there is none.
func find(given, name string) string {
	path, err := exec.LookPath(cmp.Or(given, name))
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil { // the programs run elsewhere
		return ""
	}
	return path
}

func missing(client, relay string) string {
	var list []string
	if client == "" {
		list = append(list, "mostro-cli")
	}
	if relay == "" {
		list = append(list, "nostr-rs-relay")
	}
	return strings.Join(list, ", ")
}

// tour is one run over all stories.
type tour struct {
	bin     string
	client  string // path of mostro-cli
	pick    *regexp.Regexp
	verbose bool
	out     io.Writer

	dir   string
	sim   *scenario.Sim
	world *scenario.World
	env   []string // what every client needs to know of this world
	rows  []row
}

// startLimit is how long all programs together may take to come up.
const startLimit = time.Minute

// all starts the world, tells the stories, and prints what came of them.
func (t *tour) all(ctx context.Context, server string) (err error) {
	begun := time.Now()
	if t.bin, err = filepath.Abs(t.bin); err != nil {
		return err
	}
	if t.dir, err = os.MkdirTemp("/tmp", "mostro-interop-"); err != nil { // not $TMPDIR: a socket's path is short
		return err
	}
	defer func() {
		if err != nil {
			fmt.Fprintln(t.out, "All logs are kept in", t.dir)
			return
		}
		err = os.RemoveAll(t.dir)
	}()
	start, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	r, err := openRelay(start, server, t.dir)
	if err != nil {
		return err
	}
	defer r.stop()
	rates, err := listenRates(t.dir)
	if err != nil {
		return err
	}
	defer rates.Close()
	log, err := os.Create(filepath.Join(t.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	market, err := scenario.NewPriceServer()
	if err != nil {
		return err
	}
	defer market.Close()
	if t.sim, err = scenario.NewSim(start, scenario.SimConfig{
		Dir: t.dir, Bin: scenario.BinariesIn(t.bin), Log: log,
		Options: map[string]any{"mostro-relays": r.url, "mostro-price-sources": market.Option(), "mostro-admins": officials[admin].pubkey},
	}); err != nil {
		return err
	}
	defer t.sim.Close()
	t.world = &scenario.World{Node: t.sim, Relays: []string{r.url}}
	if err := t.world.Start(start); err != nil {
		return err
	}
	t.env = append(t.env, "MOSTRO_PUBKEY="+t.world.Mostro, "RELAYS="+r.url)
	t.env = append(t.env, rates.Env()...)
	if err := t.introduce(ctx, r); err != nil {
		return err
	}
	return errors.Join(t.tellAll(ctx), t.report(time.Since(begun)), t.sim.Audit(ctx))
}

// introduce prints who takes part.
func (t *tour) introduce(ctx context.Context, r relay) error {
	version, err := exec.CommandContext(ctx, t.client, "--version").Output()
	if err != nil {
		return fmt.Errorf("mostro-cli --version: %w", err)
	}
	fmt.Fprintf(t.out, "The client is %s, the relay %s at %s.\n", firstLine(string(version)), r.name, r.url)
	fmt.Fprintln(t.out, "The exchange is", t.world.Mostro)
	return nil
}
