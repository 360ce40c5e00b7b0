// Command regtest tells the stories of package scenario on real programs: bitcoind and lightningd from PATH, our plugins
// from a directory. It ends with a table of the stories and the sums of all money that moved.
//
//	regtest -bin bin
//
// Without bitcoind or lightningd it says so, and that is no failure.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/contrib/scenario"
)

func main() {
	if scenario.IsListener() { // lightningd runs a copy of us as another plugin
		_ = scenario.Listener(os.Stdin, os.Stdout)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const (
	startLimit = 2 * time.Minute
	storyLimit = 3 * time.Minute
	logLines   = 40  // of the node's log, after a failure
	lineWidth  = 300 // of each; some hold whole onions
)

// tour is one run over all stories.
type tour struct {
	bin     scenario.Binaries
	crash   scenario.Binaries // with failpoints
	pick    *regexp.Regexp
	verbose bool
	kills   bool
	keep    bool
	out     io.Writer
	dir     string
	relay   string
	prices  string // the option that names our own source of prices

	results []result
	sums    []string
}

// result is how one story ended.
type result struct {
	name string
	took time.Duration
	err  error
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("regtest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	bin := flags.String("bin", "bin", "directory with mostro, holdinvoice and holdinvoice-guard")
	crash := flags.String("crash", "bin/crash", "directory with the same, built with the tag failpoints")
	pick := flags.String("run", "", "tell only stories whose name fits this regular expression")
	rust := flags.String("rust-hold", os.Getenv("RUST_HOLD"), "path of daywalker90's holdinvoice; by default RUST_HOLD or `holdinvoice` from PATH")
	kills := flags.Bool("kills", false, "kill every program at every step of a trade, not only at the dangerous ones")
	keep := flags.Bool("keep", false, "keep all logs, whatever happens")
	verbose := flags.Bool("v", false, "print every step")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	re, err := regexp.Compile(*pick)
	if err != nil {
		fmt.Fprintln(stderr, "regtest: -run:", err)
		return 2
	}
	if missing := scenario.Missing(); len(missing) > 0 {
		fmt.Fprintf(stdout, "regtest: skipped, since PATH has no %s.\n", strings.Join(missing, ", "))
		return 0
	}
	t := &tour{bin: scenario.BinariesIn(*bin), crash: scenario.BinariesIn(*crash), pick: re, verbose: *verbose, kills: *kills, keep: *keep, out: stdout}
	if err := t.all(ctx, *rust); err != nil {
		fmt.Fprintln(stderr, "regtest:", err)
		return 1
	}
	return 0
}

// all runs both networks, one after the other, and prints what came of it.
func (t *tour) all(ctx context.Context, rust string) (err error) {
	begun := time.Now()
	if t.dir, err = os.MkdirTemp("/tmp", "mostro-regtest-"); err != nil { // not $TMPDIR: a socket's path is short
		return err
	}
	srv, err := relay.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer srv.Close()
	t.relay = srv.URL
	market, err := scenario.NewPriceServer()
	if err != nil {
		return err
	}
	defer market.Close()
	t.prices = market.Option()

	err = t.network(ctx, t.config("ours"), func(r *scenario.Real) []scenario.Story {
		list := slices.Concat(scenario.Stories, scenario.Disputes, scenario.Operator, scenario.RealStories(r))
		if t.kills {
			list = append(list, scenario.Kills()...)
		}
		return list
	})
	points, perr := scenario.NewFailpoints(filepath.Join(t.dir, "points"))
	if perr != nil {
		return errors.Join(err, perr)
	}
	crash := t.config("crash")
	crash.Bin, crash.Env = t.crash, points.Env()
	maps.Copy(crash.Options, scenario.RealCrashOptions())
	err = errors.Join(err, t.network(ctx, crash, func(*scenario.Real) []scenario.Story { return scenario.RealCrashes(points) }))
	if path := t.findRust(rust); path != "" {
		rust := t.config("rust")
		rust.RustHold = path
		err = errors.Join(err, t.network(ctx, rust, scenario.RustStories))
	} else {
		fmt.Fprintln(t.out, "The stories with the Rust hold plugin are skipped: it is not in PATH.")
	}
	failed := t.report(time.Since(begun))
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d stories failed", failed, len(t.results)))
	}
	if err == nil && len(t.results) == 0 {
		err = errors.New("no story fits -run")
	}
	if err != nil || t.keep {
		fmt.Fprintln(t.out, "All logs are kept in", t.dir)
		return err
	}
	return os.RemoveAll(t.dir)
}

// findRust finds the other hold plugin; a program that is ours under its name is not it.
func (t *tour) findRust(given string) string {
	if given != "" {
		return given
	}
	path, err := exec.LookPath("holdinvoice")
	if err != nil {
		return ""
	}
	theirs, err1 := os.ReadFile(path)
	ours, err2 := os.ReadFile(t.bin.Holdinvoice)
	if err1 != nil || err2 != nil || bytes.Equal(theirs, ours) {
		return ""
	}
	return path
}

// config is that of a network with our plugins.
func (t *tour) config(name string) scenario.RealConfig {
	options := scenario.RealOptions()
	options["mostro-relays"] = t.relay
	options["mostro-price-sources"] = t.prices
	return scenario.RealConfig{Dir: filepath.Join(t.dir, name), Bin: t.bin, Options: options}
}

// network starts a network, tells its stories there, and adds up.
func (t *tour) network(ctx context.Context, c scenario.RealConfig, stories func(*scenario.Real) []scenario.Story) error {
	chosen := t.choose(stories(nil))
	if len(chosen) == 0 {
		return nil
	}
	start, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	r, err := scenario.NewReal(start, c)
	if err != nil {
		return err
	}
	defer r.Close()
	w := &scenario.World{Node: r, Relays: []string{t.relay}}
	if t.verbose {
		w.Say = t.out
	}
	if err := w.Start(start); err != nil {
		t.showLog(r)
		return err
	}
	for _, s := range t.choose(stories(r)) {
		t.tell(ctx, s, w, r)
	}
	return t.add(ctx, filepath.Base(c.Dir), r)
}

func (t *tour) choose(all []scenario.Story) (chosen []scenario.Story) {
	for _, s := range all {
		if t.pick.MatchString(s.Name) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// tell tells one story.
func (t *tour) tell(ctx context.Context, s scenario.Story, w *scenario.World, r *scenario.Real) {
	if t.verbose {
		fmt.Fprintf(t.out, "\n%s\n", s.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, storyLimit)
	defer cancel()
	begun := time.Now()
	err := s.Tell(ctx, w)
	w.Leave()
	t.results = append(t.results, result{s.Name, time.Since(begun), err})
	if err != nil {
		fmt.Fprintf(t.out, "FAILED  %s: %v\n", s.Name, err)
		t.showLog(r)
		return
	}
	fmt.Fprintf(t.out, "ok      %5.1fs  %s\n", time.Since(begun).Seconds(), s.Name)
}

func (t *tour) showLog(r *scenario.Real) {
	fmt.Fprintf(t.out, "The log of the exchange's node ends with:\n")
	for line := range strings.Lines(r.LogTail(logLines)) {
		line = strings.TrimRight(line, "\n")
		fmt.Fprintf(t.out, "    %s\n", line[:min(len(line), lineWidth)])
	}
}

// titles stand above the sums of the networks.
var titles = map[string]string{"crash": "With the crashes:\n", "rust": "With the Rust hold plugin:\n"}

// add checks the money of a whole network.
func (t *tour) add(ctx context.Context, name string, r *scenario.Real) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := r.Sum(ctx)
	if err != nil {
		return fmt.Errorf("add up: %w", err)
	}
	t.sums = append(t.sums, titles[name]+s.String())
	if err := s.Check(); err != nil {
		return fmt.Errorf("the sums do not add up: %w", err)
	}
	return nil
}

// report prints the table and the sums, and returns how many stories failed.
func (t *tour) report(took time.Duration) (failed int) {
	fmt.Fprintln(t.out)
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "story\tseconds\t")
	for _, r := range t.results {
		end := "ok"
		if r.err != nil {
			failed++
			end = "FAILED: " + r.err.Error()
		}
		fmt.Fprintf(table, "%s\t%.1f\t%s\n", r.name, r.took.Seconds(), end)
	}
	table.Flush()
	for _, s := range t.sums {
		fmt.Fprintf(t.out, "\n%s\n", s)
	}
	fmt.Fprintf(t.out, "\n%d stories, %d failed, %.0f seconds in all\n", len(t.results), failed, took.Seconds())
	return failed
}
