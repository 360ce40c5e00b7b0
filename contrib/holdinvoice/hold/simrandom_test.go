package hold

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this seed of the simulation alone, and print its story")
	simSeeds = flag.Int("sim.seeds", 0, "how many seeds of the simulation to run")
)

// weather is how much goes wrong.
type weather struct {
	faults   int // in 10000 boundaries
	deaths   int // of node, holder or guard, in 10000 moments
	closings int // of channels, likewise
	jumps    int // of the clock, likewise
}

var storm = weather{faults: 200, deaths: 60, closings: 1, jumps: 20}

// plan is what payer and caller of one hold will do.
type plan struct {
	*simHold
	payAt    time.Duration // by Elapsed; moves when the payer tries again
	tries    int
	decideAt time.Duration
	parts    int
	forge    bool
	opposite bool // asks for the other end too, afterwards
}

// runRandom lives through some hours with as many holds, and then until all of them ended.
func runRandom(t *testing.T, seed uint64, holds int, hours time.Duration, w weather, p plant) *sim {
	s := newSim(t, seed, 4)
	s.plant, s.pumpNow = p, false
	plans := make([]*plan, holds)
	for i := range plans {
		plans[i] = s.plan(i, seed, hours)
	}
	slices.SortFunc(plans, func(a, b *plan) int { return int(a.payAt - b.payAt) })
	s.startNode()
	s.fault = func(s *sim, _ int, what string) faultKind {
		if s.rng.IntN(10_000) >= w.faults {
			return fine
		}
		s.drawDeath()
		if s.holder == nil && s.rng.IntN(20) > 0 { // two deaths at once lose everything, and show nothing
			return notDone + faultKind(s.rng.IntN(2))
		}
		return notDone + faultKind(s.rng.IntN(int(faultKinds-notDone)))
	}
	for s.clock.elapsed < hours && len(s.broken) == 0 {
		s.happen(w)
		for _, d := range plans {
			s.goOn(d)
		}
		s.wait(time.Duration(1+s.rng.IntN(60)) * time.Second)
	}
	s.windUp(plans)
	return s
}

// plan draws what one hold is to be.
func (s *sim) plan(i int, seed uint64, hours time.Duration) *plan {
	wants := []string{"settle", "settle", "settle", "cancel", "cancel", ""}
	amount := Msat(1+s.rng.IntN(100)) * 1_000_000
	d := s.invite(i, seed, wants[s.rng.IntN(len(wants))], amount, Height(40+s.rng.IntN(100)), int64(600+s.rng.IntN(3*3600)))
	at := time.Duration(s.rng.Int64N(int64(hours * 3 / 4)))
	return &plan{
		simHold: d, payAt: at, decideAt: at + time.Duration(s.rng.Int64N(int64(hours))),
		parts: 1 + s.rng.IntN(4), forge: s.rng.IntN(4) == 0, opposite: s.rng.IntN(5) == 0,
	}
}

// wait lets time go by, now and then in a jump of the wall clock too.
func (s *sim) wait(d time.Duration) { s.pass(d, d) }

// happen is what the world does by itself.
func (s *sim) happen(w weather) {
	chance := func(n int) bool { return s.rng.IntN(10_000) < n }
	switch {
	case chance(500):
		s.mine(1)
	case chance(30):
		s.tell("blocks in a burst")
		s.mine(2 + s.rng.IntN(12))
	case chance(50):
		back := Height(1 + s.rng.IntN(3))
		s.tell("reorg of %d blocks", back)
		for h := s.height - back; h <= s.height; h++ {
			s.block(h)
		}
	}
	for _, ch := range s.chans {
		if chance(150) && ch.state == "CHANNELD_NORMAL" {
			ch.up = !ch.up
			s.tell("channel %s up: %v", ch.name, ch.up)
		}
		if chance(w.closings) && ch.state == "CHANNELD_NORMAL" {
			s.tell("channel %s goes to the chain", ch.name)
			ch.close()
			s.counts["channels closed"]++
		}
	}
	if chance(w.jumps) {
		jump := time.Duration(s.rng.IntN(7201)-3600) * time.Second
		s.tell("wall clock jumps by %s", jump)
		s.clock.wall = s.clock.wall.Add(jump)
		s.counts["clock jumps"]++
	}
	if s.holder == nil && chance(200) {
		s.mendNow()
	}
	if chance(w.deaths) {
		s.kill(s.rng.IntN(4))
	}
}

// drawDeath says what the next death of the holder means. Without a guard the plugin had
// better be important, and mostly is.
func (s *sim) drawDeath() {
	s.death = death(s.rng.IntN(3))
	if s.guard == nil && s.death == guardTakes && s.rng.IntN(20) > 0 {
		s.death = nodeNext
	}
}

// kill ends a process, or the node.
func (s *sim) kill(which int) {
	s.drawDeath()
	switch {
	case which == 0 && s.holder != nil:
		s.holder.dead = true
		s.reap()
	case which == 1 && s.guard != nil && s.holder != nil:
		s.guard.dead = true
		s.reap()
	case which == 2:
		s.pump()
		s.mendNow()
	default:
		s.mendNow()
	}
}

// mendNow kills the node and starts it again.
func (s *sim) mendNow() {
	s.killNode()
	s.startNode()
}

// goOn does for one hold what is due.
func (s *sim) goOn(d *plan) {
	now := s.clock.elapsed
	switch {
	case now < d.payAt || d.said.Final() && d.decided != "":
		return
	case !d.created:
		d.make()
	case !d.accepted && d.waiting() == nil && now >= d.payAt && d.tries < 6 && !d.over():
		d.tries++
		d.payAt = now + 2*time.Minute
		s.payParts(d)
	}
	if s.rng.IntN(40) == 0 {
		d.look()
	}
	if now >= d.decideAt && (d.accepted || d.want == "cancel" && d.created) && d.decided == "" && !d.tooLate {
		d.decide()
	}
	if d.opposite && d.decided != "" {
		d.opposite = false
		d.contradict()
	}
}

// contradict asks for the other end of a hold whose end was taken.
func (d *simHold) contradict() {
	method := map[string]string{"settle": "holdinvoicecancel", "cancel": "holdinvoicesettle"}[d.decided]
	if _, err := d.s.call(method, []Hash{d.pre.Hash()}); err == nil {
		d.s.breach("%s: was told to %s, and then took the other", d.label, d.decided)
	}
}

// payParts sends a payment in parts over random channels, whole or not, with forged ones.
func (s *sim) payParts(d *plan) {
	total := d.amount
	if s.rng.IntN(5) == 0 {
		total += d.amount / 3 // the payer may give more
	}
	parts := d.parts
	whole := s.rng.IntN(5) > 0
	for left := total; parts > 0; parts-- {
		part := left / Msat(parts)
		left -= part
		if d.forge && s.rng.IntN(2) == 0 {
			d.pay(s.chans[s.rng.IntN(len(s.chans))], part, total, d.cltv+1, forgeryNames[s.rng.IntN(len(forgeryNames))])
		}
		if parts == 1 && !whole {
			return
		}
		blocks := d.cltv + 1 + Height(6*s.rng.IntN(5))
		if s.rng.IntN(8) == 0 {
			blocks = d.cltv - heightSlack // as short as may be
		}
		d.pay(s.chans[s.rng.IntN(len(s.chans))], part, total, blocks, "")
	}
}

// windUp stops all mischief and waits until everything is over.
func (s *sim) windUp(plans []*plan) {
	s.fault, s.pumpNow = nil, true
	if s.holder == nil {
		s.mendNow()
	}
	for _, ch := range s.chans {
		ch.up = true
	}
	for range 400 {
		s.wait(time.Minute)
		for _, d := range plans {
			if d.accepted && d.decided == "" && !d.tooLate && s.clock.elapsed >= d.decideAt {
				d.decide()
			}
		}
		if s.quiet() {
			break
		}
		s.mine(1)
	}
	s.wait(5 * time.Hour) // what was not paid
	for range 8 {
		s.wait(time.Minute)
	}
	s.checkEnd()
}

// quiet says that no HTLC is left.
func (s *sim) quiet() bool {
	for _, ch := range s.chans {
		if len(ch.htlcs) > 0 {
			return false
		}
	}
	return true
}

// explain is how a failure is shown.
func (s *sim) explain(seed uint64, tail int) string {
	return fmt.Sprintf("seed %d: %s\nagain: go test -run TestRandomHolds -sim.seed=%d ./contrib/holdinvoice/hold\n%s",
		seed, strings.Join(s.broken, "\n"), seed, strings.Join(s.story[max(0, len(s.story)-tail):], "\n"))
}

// Holds of every kind in a world that goes wrong all the time.
func TestRandomHolds(t *testing.T) {
	seeds := 40
	if testing.Short() || simShare > 1 {
		seeds = 10
	}
	if *simSeeds > 0 {
		seeds = *simSeeds
	}
	first := uint64(1)
	if *simSeed > 0 {
		first, seeds = *simSeed, 1
	}
	total := map[string]int{}
	points, failed := 0, 0
	for seed := first; seed < first+uint64(seeds); seed++ {
		s := runRandom(t, seed, 25, 12*time.Hour, storm, plant{})
		s.shutdown()
		points += s.points
		for what, n := range s.counts {
			total[what] += n
		}
		if *simSeed > 0 {
			fmt.Fprintln(os.Stderr, strings.Join(s.story, "\n"))
		}
		if len(s.broken) > 0 {
			if failed++; failed <= 3 {
				t.Errorf("%s", s.explain(seed, 80))
			}
		}
	}
	t.Logf("%d seeds, %d holds, %d boundaries, %d seeds failed: %v", seeds, 25*seeds, points, failed, total)
	if total["SETTLED"] == 0 || total["CANCELED"] == 0 || total["holder deaths"] == 0 || total["node deaths"] == 0 || total["commands of the guard"] == 0 {
		if seeds >= 10 {
			t.Errorf("not everything happened: %v", total)
		}
	}
}
