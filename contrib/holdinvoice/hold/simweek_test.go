package hold

import (
	"flag"
	"os"
	goruntime "runtime"
	"slices"
	"testing"
	"time"
)

var simWeek = flag.Int("sim.week", 0, "how many holds the simulated week has; 0: a few thousand")

// weekDay is what is measured at the end of a day.
type weekDay struct {
	made, inMemory, held int
	file                 int64 // bytes
	heap                 int64 // bytes of the plugins alone
}

// A week with a steady stream of holds, of which nothing stays but the tombs: memory and the
// file are on the last day what they were when the first records were pruned.
func TestWeekOfHoldsLeavesNothing(t *testing.T) {
	holds := 1500 / simShare
	if *simWeek > 0 {
		holds = *simWeek
	}
	s := newSim(t, 7, 20)
	defer s.shutdown()
	s.keep = 24 * time.Hour
	s.startNode()
	const minutes = 7 * 24 * 60
	var days []weekDay
	var active []*plan
	made := 0
	for minute := 1; minute <= minutes && len(s.broken) == 0; minute++ {
		for made < holds*minute/minutes {
			active = append(active, s.weekHold(made))
			made++
		}
		if minute%10 == 0 {
			s.mine(1)
		}
		active = slices.DeleteFunc(active, s.weekGoOn)
		s.clock.pass(time.Minute)
		if minute%5 == 0 || len(active) > 0 && s.holder.h.Due() <= s.clock.elapsed {
			s.tick()
		}
		if minute%(24*60) == 0 {
			day := s.measure(made)
			s.killNode() // the node starts anew every day
			day.heap -= heapNow()
			s.startNode()
			days = append(days, day)
			t.Logf("day %d: %+v", len(days), day)
		}
	}
	if len(s.broken) > 0 {
		t.Fatalf("%s", s.explain(7, 40))
	}
	first, last := days[2], days[6]
	tombs := int64(last.made-first.made) * 250
	if last.file > first.file+first.file/4+tombs {
		t.Errorf("the file grows: %d bytes on day 3, %d on day 7", first.file, last.file)
	}
	if last.inMemory > first.inMemory+first.inMemory/2 {
		t.Errorf("%d invoices in memory on day 3, %d on day 7", first.inMemory, last.inMemory)
	}
	if last.heap > first.heap+first.heap/2+1<<20 {
		t.Errorf("the heap grows: %d bytes on day 3, %d on day 7", first.heap, last.heap)
	}
	t.Logf("%d holds in a week: %v", made, s.counts)
}

// weekHold begins a hold that is paid within some minutes or never, and decided within hours.
func (s *sim) weekHold(i int) *plan {
	want := []string{"settle", "settle", "settle", "cancel"}[s.rng.IntN(4)]
	d := s.invite(i, 7, want, Msat(1+s.rng.IntN(100))*1_000_000, 90, 900)
	s.holds = s.holds[:0] // each is checked at its own end
	now := s.clock.elapsed
	p := &plan{simHold: d, payAt: now + time.Duration(s.rng.IntN(10))*time.Minute, parts: 1 + s.rng.IntN(3)}
	p.decideAt = p.payAt + time.Duration(1+s.rng.IntN(300))*time.Minute
	if s.rng.IntN(5) == 0 {
		p.tries = 1 // never pays
	}
	d.make()
	return p
}

// weekGoOn does what is due, and says whether the hold is over and forgotten.
func (s *sim) weekGoOn(d *plan) (over bool) {
	now := s.clock.elapsed
	switch {
	case !d.created:
		d.make()
	case now >= d.payAt && d.tries == 0:
		d.tries++
		for i := range d.parts {
			part := d.amount / Msat(d.parts)
			if i == 0 {
				part = d.amount - part*Msat(d.parts-1)
			}
			d.pay(s.chans[s.rng.IntN(len(s.chans))], part, d.amount, 91+Height(6*s.rng.IntN(4)), "")
		}
	case d.accepted && now >= d.decideAt && d.decided == "":
		d.decide()
	}
	if !d.said.Final() || now < d.payAt+8*time.Hour {
		return false
	}
	v := d.look()
	in := s.income[d.pre.Hash()]
	if v.State == Settled && in < d.amount || v.State == Canceled && in > 0 || !v.Confirmed {
		s.breach("%s: ended as %s, confirmed %v, with %d msat", d.label, v.State, v.Confirmed, in)
	}
	s.counts[string(v.State)]++
	delete(s.income, d.pre.Hash())
	delete(s.byHash, d.pre.Hash())
	return true
}

// measure looks at what there is.
func (s *sim) measure(made int) weekDay {
	info, err := os.Stat(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	return weekDay{made, s.holder.h.alive(), len(s.held()), info.Size(), heapNow()}
}

// heapNow is what is alive.
func heapNow() int64 {
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
