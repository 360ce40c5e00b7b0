package sim

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// The whole exchange, on many bad days. make sim does the same with more of them.
func TestTheExchangeLosesNothing(t *testing.T) {
	o := Options{Seed: 1, Trades: trades}
	if testing.Short() {
		o.Trades = 200
	}
	r, err := Run(o)
	if err != nil {
		t.Error(err)
	}
	if v := r.Violation; v != nil {
		t.Fatalf("%v\nmake sim SEED=%d TRADES=1\n%s", v, r.Seed, strings.Join(r.Story[max(0, len(r.Story)-60):], "\n"))
	}
	if r.Trades < o.Trades || r.Paid == 0 {
		t.Errorf("%d trades, %d payouts", r.Trades, r.Paid)
	}
	t.Log(r.Summary())
	if missed := r.Missed(); r.Trades >= 2000 && len(missed) > r.AllRows/6 {
		t.Errorf("%d of %d rows of the life cycle were not reached:\n%s", len(missed), r.AllRows, strings.Join(missed, "\n"))
	}
}

func TestASeedIsAWholeWorldAndAlwaysTheSame(t *testing.T) {
	for _, seed := range []uint64{3, 8, 21} {
		first := live(seed, inMemory(), true)
		again := live(seed, inMemory(), true)
		if first.err != nil || again.err != nil || first.violation != nil {
			t.Fatal(first.err, again.err, first.violation)
		}
		for i := range min(len(first.story), len(again.story)) {
			if first.story[i] != again.story[i] {
				t.Fatalf("seed %d, line %d of its story:\n%s\n%s", seed, i, first.story[i], again.story[i])
			}
		}
		if len(first.story) != len(again.story) || !maps.Equal(first.faults, again.faults) || first.trades != again.trades {
			t.Errorf("seed %d: %d lines and %d lines", seed, len(first.story), len(again.story))
		}
		if len(first.faults) < 10 {
			t.Errorf("seed %d: only %v went wrong", seed, first.faults)
		}
	}
}

func TestWorkersDoNotChangeWhatComesOut(t *testing.T) {
	one, err := Run(Options{Seed: 40, Worlds: 6, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	many, err := Run(Options{Seed: 40, Worlds: 6, Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	one.Took, many.Took = 0, 0
	if one.Summary() != many.Summary() || !maps.Equal(one.Faults, many.Faults) {
		t.Errorf("%s\n%s", one.Summary(), many.Summary())
	}
}

// What is checked must be able to fail: the world is told something untrue, and must notice.
func TestAnInvariantThatDoesNotHoldIsFoundAndTold(t *testing.T) {
	lies := map[string]func(*world){
		"conserved":        func(w *world) { w.node.sent++ },
		"books-match-node": func(w *world) { w.node.moves = append(w.node.moves, move{w.node.madeList[0].hash, 1000}) },
		"letters-are-told": func(w *world) {
			for _, k := range w.used {
				clear(k.heard)
			}
		},
		"book-is-true": func(w *world) { clear(w.relays.book) },
	}
	for _, name := range slices.Sorted(maps.Keys(lies)) {
		t.Run(name, func(t *testing.T) {
			w, err := newWorld(8, inMemory(), false)
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			w.run()
			if w.wrongs != nil {
				t.Fatal(w.wrongs)
			}
			lies[name](w)
			w.audit()
			if w.wrongs == nil || w.wrongs.Invariant != name {
				t.Errorf("found %v", w.wrongs)
			}
		})
	}
}

func TestEveryInvariantHasAMeaning(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range Invariants {
		if seen[i[0]] || i[1] == "" {
			t.Errorf("%q", i)
		}
		seen[i[0]] = true
	}
}
