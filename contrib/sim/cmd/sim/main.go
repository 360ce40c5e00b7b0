// Command sim runs the simulation of the whole exchange; see contrib/sim.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"strings"

	"github.com/mostro-cln/mostro/contrib/sim"
)

func main() {
	os.Exit(run())
}

func run() int {
	o := sim.Options{}
	flag.Uint64Var(&o.Seed, "seed", 1, "the first world's seed; the next ones follow")
	flag.IntVar(&o.Trades, "trades", 20_000, "how many trades to live through; 0: until -for is over")
	flag.DurationVar(&o.Until, "for", 0, "begin no world after so long")
	flag.IntVar(&o.Workers, "workers", 0, "worlds at once; 0: one a processor")
	flag.StringVar(&o.Dir, "dir", "", "where the worlds have their files; empty: /dev/shm if it is there")
	lines := flag.Int("story", 80, "how many lines of a failure's story to print; 0: all")
	profile := flag.String("cpuprofile", "", "write a profile there")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer pprof.StopCPUProfile()
	}
	debug.SetGCPercent(400) // worlds are small, and there are many
	if hunting() {
		return hunt(o)
	}
	r, err := sim.Run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
	}
	report(&r, *lines)
	if err != nil || r.Violation != nil {
		return 1
	}
	return 0
}

func report(r *sim.Result, lines int) {
	if v := r.Violation; v != nil {
		story := r.Story
		if lines > 0 && len(story) > lines {
			fmt.Printf("… %d lines before; -story 0 prints all\n", len(story)-lines)
			story = story[len(story)-lines:]
		}
		fmt.Println(strings.Join(story, "\n"))
		fmt.Printf("\nseed %d, step %d: %s\n%s\nagain: make sim SEED=%d TRADES=1\n\n", r.Seed, v.Step, v.Invariant, v.What, r.Seed)
	}
	fmt.Print("faults by kind\n", r.Table())
	if missed := r.Missed(); len(missed) > 0 {
		fmt.Printf("rows of the life cycle that nothing took\n  %s\n", strings.Join(missed, "\n  "))
	}
	fmt.Println(r.Summary())
}
