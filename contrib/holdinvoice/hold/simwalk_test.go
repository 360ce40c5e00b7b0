package hold

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var simWalk = flag.Bool("sim.walk", false, "try every way to go on after a death at every boundary")

// invite makes a hold for the simulation; nobody has heard of it yet.
func (s *sim) invite(n int, seed uint64, want string, amount Msat, cltv Height, expiry int64) *simHold {
	d := &simHold{s: s, pre: simPreimage(seed, n), label: fmt.Sprintf("hold-%d", n), want: want, amount: amount, cltv: cltv, expiry: expiry}
	s.holds = append(s.holds, d)
	s.byHash[d.pre.Hash()] = d
	return d
}

// mend does what an operator does when the holder is dead: after a while he starts the node
// again. Until then the guard holds.
func (s *sim) mend() {
	if s.holder != nil {
		return
	}
	s.pass(30*time.Second, time.Second)
	s.killNode()
	s.startNode()
}

// insist asks until it is done, as callers do.
func (s *sim) insist(what string, f func() bool) {
	for range 6 {
		if f() {
			return
		}
		s.mend()
		s.pass(5*time.Second, time.Second)
	}
	s.breach("%s does not succeed", what)
}

// payment is what a payer sends, and sends again if he got it back.
type payment struct {
	d     *simHold
	parts []planned
}

type planned struct {
	ch     *simChan
	amount Msat
	blocks Height
}

func (s *sim) payAll(list []payment) {
	for range 3 {
		missing := 0
		for _, p := range list {
			if p.d.accepted {
				continue
			}
			missing++
			for _, part := range p.parts {
				p.d.pay(part.ch, part.amount, p.d.amount, part.blocks, "")
			}
		}
		if missing == 0 {
			return
		}
		s.mend()
		s.pass(2*time.Second, time.Second)
		s.pass(148*time.Second, 10*time.Second)
		s.mend()
	}
}

// walkScript is the life of seven hold invoices that ends in the same way however often
// something fails once.
func walkScript(s *sim) {
	settled := s.invite(1, 1, "settle", 50_000_000, 60, 3600)
	canceled := s.invite(2, 1, "cancel", 20_000_000, 60, 3600)
	unpaid := s.invite(3, 1, "", 10_000_000, 60, 900)
	twice := s.invite(4, 1, "settle", 30_000_000, 90, 3600)
	forgotten := s.invite(5, 1, "", 40_000_000, 60, 3600)
	late := s.invite(6, 1, "settle", 5_000_000, 60, 3600)
	offline := s.invite(7, 1, "settle", 60_000_000, 120, 3600)
	a, b, c := s.chans[0], s.chans[1], s.chans[2]

	s.startNode()
	for _, d := range s.holds {
		s.insist("make "+d.label, d.make)
	}
	settled.pay(b, 10_000_000, 50_000_000, 80, "secret")
	twice.pay(a, 10_000_000, 30_000_000, 91, "")
	s.payAll([]payment{
		{settled, []planned{{a, 20_000_000, 61}, {b, 30_000_000, 67}}},
		{canceled, []planned{{a, 20_000_000, 61}}},
		{forgotten, []planned{{b, 25_000_000, 71}, {c, 15_000_000, 65}}},
		{late, []planned{{a, 5_000_000, 61}}},
		{offline, []planned{{c, 20_000_000, 123}, {c, 20_000_000, 123}, {c, 20_000_000, 130}}},
	})
	s.payAll([]payment{{twice, []planned{{b, 30_000_000, 91}}}}) // the part alone was given back
	c.up = false
	for _, d := range []*simHold{settled, canceled, twice, offline} {
		s.insist("end "+d.label, d.decide)
		s.mend()
	}
	s.pass(time.Minute, time.Second)
	s.mend()
	c.up = true
	s.mine(1)
	s.pass(15*time.Minute, 15*time.Second) // nobody pays one of them
	s.mend()
	s.mine(37) // 23 blocks are left of one
	s.pass(2*time.Second, time.Second)
	s.insist("end "+late.label, late.decide)
	for range 12 {
		s.mine(1)
		s.pass(2*time.Second, time.Second)
		s.mend()
	}
	s.pass(5*time.Minute, 5*time.Second)
	s.mend()
	s.pass(time.Minute, 5*time.Second)
	if unpaid.taken() != 0 || !late.tooLate {
		s.breach("the script went another way")
	}
	s.checkEnd()
}

// outcomes of all holds, for comparison.
func (s *sim) outcomes() string {
	var b strings.Builder
	for _, d := range s.holds {
		b.WriteString(d.outcome())
		b.WriteByte('\n')
	}
	return b.String()
}

// shutdown closes the files.
func (s *sim) shutdown() {
	for _, p := range []*simProc{s.holder, s.guard} {
		if p != nil {
			p.close()
		}
	}
}

// runWalk runs the script with one fault.
func runWalk(t *testing.T, at int, kind faultKind, what death) (s *sim, where string) {
	s = newSim(t, 1, 3)
	s.death = what
	if at > 0 {
		s.fault = func(_ *sim, n int, name string) faultKind {
			if n != at {
				return fine
			}
			where = name
			return kind
		}
	}
	walkScript(s)
	return s, where
}

// Every commit, every command of the node and everything that is said to it, one by one: it
// fails and is not done, fails and is done, the process dies before it or after it; and after
// a death the node dies with it, or stops because of it, or goes on with the guard. The end
// must be that of the undisturbed run. The three ways to go on after a death take turns, or
// are all tried with -sim.walk.
func TestCrashWalk(t *testing.T) {
	s, _ := runWalk(t, 0, fine, guardTakes)
	want, points := s.outcomes(), s.points
	s.shutdown()
	if len(s.broken) > 0 {
		t.Fatalf("undisturbed: %s\n%s", strings.Join(s.broken, "\n"), strings.Join(s.story, "\n"))
	}
	t.Logf("%d boundaries; undisturbed end:\n%s", points, want)
	if points < 150 {
		t.Fatalf("only %d boundaries", points)
	}
	deaths := []string{"the guard takes over", "the node dies with it", "the node stops then"}
	runs, failed, met := 0, 0, map[string]int{}
	for at := 1; at <= points; at += simShare {
		for kind := notDone; kind < faultKinds; kind++ {
			for what := guardTakes; what <= nodeNext; what++ {
				turn := *simWalk || what == death(at+int(kind))%(nodeNext+1)
				if kind < dieBefore && what != guardTakes || kind >= dieBefore && !turn {
					continue
				}
				s, where := runWalk(t, at, kind, what)
				runs++
				met[where]++
				got := s.outcomes()
				s.shutdown()
				if got == want && len(s.broken) == 0 {
					continue
				}
				if failed++; failed > 3 {
					continue
				}
				tail := s.story[max(0, len(s.story)-60):]
				t.Errorf("boundary %d (%s) %s, %s:\n%s\ngot:\n%swant:\n%s\n%s", at, where, faultNames[kind], deaths[what],
					strings.Join(s.broken, "\n"), got, want, strings.Join(tail, "\n"))
			}
		}
	}
	t.Logf("%d runs, %d failed, by boundary: %v", runs, failed, met)
}
