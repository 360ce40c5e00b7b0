package sim

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// Options say what to simulate.
type Options struct {
	Seed    uint64        // of the first world
	Trades  int           // that are to be lived through; 0: no matter
	Worlds  int           // at most; 0: no matter
	Until   time.Duration // no new world begins after it; 0: no matter
	Workers int           // 0: one a processor
	Dir     string        // for the worlds' files; empty: memory, if there is a file system for that

	quiet bool // no story
}

// Result is what came of it.
type Result struct {
	Worlds, Trades, Orders, Paid, Steps int
	First, Last                         uint64 // seeds
	Faults, Rows                        map[string]int
	AllRows                             int
	Violation                           *Violation
	Seed                                uint64 // of the violation
	Story                               []string
	Took                                time.Duration
}

// one is what came of one world.
type one struct {
	seed                        uint64
	trades, orders, paid, steps int
	faults, rows                map[string]int
	violation                   *Violation
	story                       []string
	err                         error
}

// Run simulates world after world, the next seed each, on all processors. What comes out depends on the options alone,
// and with Until on the speed of the machine: worlds count in the order of their seeds.
func Run(o Options) (Result, error) {
	begun := time.Now()
	if o.Dir == "" {
		o.Dir = inMemory()
	}
	workers := o.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	next, results, stop := make(chan uint64), make(chan one, workers), make(chan struct{})
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for seed := range next {
				results <- live(seed, o.Dir, false)
			}
		})
	}
	go func() {
		defer close(next)
		for seed := o.Seed; o.Worlds == 0 || seed < o.Seed+uint64(o.Worlds); seed++ {
			if o.Until != 0 && time.Since(begun) > o.Until {
				return
			}
			select {
			case next <- seed:
			case <-stop:
				return
			}
		}
	}()
	go func() {
		wg.Wait()
		close(results)
	}()
	r := Result{First: o.Seed, Last: o.Seed, Faults: map[string]int{}, Rows: map[string]int{}, AllRows: len(orders.RowNames())}
	err := r.collect(o, results, sync.OnceFunc(func() { close(stop) }))
	if err == nil && r.Violation != nil && !o.quiet {
		err = r.tellStory(o.Dir)
	}
	r.Took = time.Since(begun)
	return r, err
}

// inMemory is a directory that is no disk, or else empty: the usual one for temporary files.
func inMemory() string {
	const dir = "/dev/shm"
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return dir
	}
	return ""
}

// collect takes the worlds in the order of their seeds and stops when there are enough trades, or something is wrong.
func (r *Result) collect(o Options, results <-chan one, stop func()) (err error) {
	early := map[uint64]one{}
	want, enough := o.Seed, false
	for x := range results {
		early[x.seed] = x
		for !enough {
			y, ok := early[want]
			if !ok {
				break
			}
			delete(early, want)
			want++
			if err = y.err; err == nil {
				r.add(&y)
			}
			enough = err != nil || r.Violation != nil || o.Trades != 0 && r.Trades >= o.Trades
		}
		if enough {
			stop()
		}
	}
	stop()
	return err
}

func (r *Result) add(x *one) {
	r.Worlds++
	r.Last = x.seed
	r.Trades += x.trades
	r.Orders += x.orders
	r.Paid += x.paid
	r.Steps += x.steps
	for k, n := range x.faults {
		r.Faults[k] += n
	}
	for k, n := range x.rows {
		r.Rows[k] += n
	}
	if x.violation != nil {
		r.Violation, r.Seed = x.violation, x.seed
	}
}

// live lives through one world.
func live(seed uint64, dir string, tells bool) (x one) {
	x.seed = seed
	w, err := newWorld(seed, dir, tells)
	if err != nil {
		x.err = err
		return x
	}
	defer w.close()
	w.run()
	return one{
		seed: seed, trades: w.trades, orders: len(w.orders), paid: w.settled, steps: w.steps, faults: w.faults, rows: w.rows, violation: w.wrongs, story: w.story,
	}
}

// tellStory lives through the bad world once more, aloud. The same must come of it.
func (r *Result) tellStory(dir string) error {
	x := live(r.Seed, dir, true)
	if x.err != nil {
		return x.err
	}
	r.Story = x.story
	if x.violation == nil || *x.violation != *r.Violation {
		return fmt.Errorf("seed %d is not the same twice: %v, then %v", r.Seed, r.Violation, x.violation)
	}
	return nil
}

// Missed are the rows of the life cycle that no input took.
func (r *Result) Missed() (names []string) {
	for _, n := range orders.RowNames() {
		if r.Rows[n] == 0 {
			names = append(names, n)
		}
	}
	return names
}

// Table lists the faults by kind.
func (r *Result) Table() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(&b, "%10d  %s\n", r.Faults[k], k)
	}
	return b.String()
}

// Summary is one line for programs.
func (r *Result) Summary() string {
	faults := 0
	for _, n := range r.Faults {
		faults += n
	}
	lost, double, stuck, other := 0, 0, 0, 0
	if v := r.Violation; v != nil {
		switch v.Invariant {
		case "conserved", "books-match-node", "settle-after-release", "canceled-never-settles", "chain-takes-nothing", "pays-a-buyer", "pays-the-amount", "payout-after-proof":
			lost = 1
		case "paid-once", "one-payment-alive":
			double = 1
		case "ends", "outbox-drains", "hold-ends":
			stuck = 1
		default:
			other = 1
		}
	}
	seconds := r.Took.Seconds()
	return fmt.Sprintf("sim: trades=%d orders=%d paid=%d worlds=%d seeds=%d..%d steps=%d faults=%d rows=%d/%d lost=%d double=%d stuck=%d violations=%d seconds=%.1f trades_per_second=%.0f",
		r.Trades, r.Orders, r.Paid, r.Worlds, r.First, r.Last, r.Steps, faults, r.AllRows-len(r.Missed()), r.AllRows, lost, double, stuck, lost+double+stuck+other, seconds, float64(r.Trades)/max(seconds, 0.001))
}
