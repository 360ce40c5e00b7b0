package hold

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// faultKind is what happens at a boundary: a commit, a command of the node, an answer.
type faultKind int

const (
	fine       faultKind = iota
	notDone              // it fails and is not done
	butDone              // it looks failed and is done
	dieBefore            // the process dies before it
	dieAfter             // the process dies when it is done
	faultKinds           // their number
)

var faultNames = [faultKinds]string{"fine", "failed and not done", "failed but done", "died before", "died after"}

// sim is everything that a holder lives with, from one seed and in one goroutine: the node,
// its peers, the chain, the clock, the disk, the standby, the callers. Whatever breaks a
// promise lands in broken.
type sim struct {
	simNode
	t    *testing.T
	rng  *rand.Rand
	path string

	holder *simProc // nil: dead
	guard  *simProc
	pipe   []piped // said by the plugins and not yet read by the node
	holds  []*simHold
	byHash map[Hash]*simHold

	fault   func(s *sim, n int, what string) faultKind // nil: nothing fails
	points  int                                        // boundaries so far
	clean   bool                                       // no fault since the last tick
	plant   plant
	keep    time.Duration
	broken  []string
	story   []string
	counts  map[string]int
	pumpNow bool // the node reads at once
	death   death
	starts  int
}

// plant changes the holder as a careless change of its code would. See planted_test.go.
type plant struct {
	name   string
	limits Limits
	decide func(Invoice, offer, situation) verdict
	vault  func(s *sim, v *Store) Vault
	node   func(method string, result any)
}

// death is what becomes of the node when the holder dies.
type death int

const (
	guardTakes death = iota // nothing: the guard is asked next
	nodeToo                 // it dies at the same moment, and has not read the last words
	nodeNext                // it stops then: the plugin is important
)

// piped is a message on its way from a plugin to the node.
type piped struct {
	from *simProc
	m    clnio.Message
}

// simProc is one plugin's process.
type simProc struct {
	s     *sim
	name  string
	dead  bool
	store *Store
	h     *Holder
	g     *Guard
}

var errDead = errors.New("the process is dead")

func newSim(t *testing.T, seed uint64, channels int) *sim {
	s := &sim{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), path: filepath.Join(t.TempDir(), databaseName),
		byHash: map[Hash]*simHold{}, counts: map[string]int{}, clean: true, keep: KeepRecords, pumpNow: true,
		simNode: simNode{
			clock: &handClock{wall: simEpoch}, height: 100_000, seen: 100_000,
			alive: map[string]string{}, calls: map[string]*simHTLC{}, income: map[Hash]Msat{},
		},
	}
	for i := range channels {
		s.chans = append(s.chans, &simChan{name: fmt.Sprintf("%dx1x0", 100+i), state: "CHANNELD_NORMAL", up: true})
	}
	return s
}

func (s *sim) tell(format string, args ...any) {
	if len(s.story) > 4000 {
		s.story = slices.Delete(s.story, 0, 2000)
	}
	s.story = append(s.story, fmt.Sprintf("%8s block %d  ", s.clock.elapsed.Round(time.Second), s.height)+fmt.Sprintf(format, args...))
}

func (s *sim) breach(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	s.tell("BROKEN: %s", what)
	s.broken = append(s.broken, what)
}

// at is one boundary.
func (s *sim) at(p *simProc, what string) faultKind {
	if p.dead {
		return dieBefore
	}
	s.points++
	if s.fault == nil {
		return fine
	}
	k := s.fault(s, s.points, what)
	if k != fine {
		s.clean = false
		s.counts[faultNames[k]]++
		s.tell("%s: %s %s", what, p.name, faultNames[k])
	}
	return k
}

// perform does f as the boundary has it; wrap makes the error of a fault.
func (s *sim) perform(p *simProc, what string, f func() error, wrap func(done bool) error) error {
	if p.dead {
		return errDead
	}
	switch s.at(p, what) {
	case notDone:
		return wrap(false)
	case butDone:
		_ = f()
		return wrap(true)
	case dieBefore:
		p.dead = true
		return errDead
	case dieAfter:
		_ = f()
		p.dead = true
		return errDead
	}
	return f()
}

// commit is the boundary of the disk.
func (p *simProc) commit(commit func() error) error {
	return p.s.perform(p, "commit", commit, func(bool) error { return errBroken })
}

// Call is the boundary of the node's commands.
func (p *simProc) Call(_ context.Context, method string, params, result any) error {
	return p.s.perform(p, method, func() error {
		var in commandParams
		if params != nil {
			if err := json.Unmarshal(marshaled(params), &in); err != nil {
				return clnio.Errorf(clnio.CodeInvalidParams, "%s: %s", method, err)
			}
		}
		out, err := p.s.command(method, in)
		if err != nil || result == nil {
			return err
		}
		if err := json.Unmarshal(marshaled(out), result); err != nil {
			return err
		}
		if p.s.plant.node != nil {
			p.s.plant.node(method, result)
		}
		return nil
	}, func(done bool) error {
		if done || p.s.rng.IntN(2) == 0 {
			return fmt.Errorf("%s: %w", method, clnio.ErrUnknownOutcome)
		}
		return fmt.Errorf("%s: %w", method, clnio.ErrNotSent)
	})
}

// Write is the boundary of what a plugin says. A write that fails is a node that is gone.
func (p *simProc) Write(v any) error {
	m, ok := v.(clnio.Message)
	if !ok {
		return nil
	}
	what := "answer"
	if m.Method != "" {
		what = "notification"
	}
	return p.s.perform(p, what, func() error {
		if m.Method == "" {
			p.s.checkAnswer(p, m)
		} else {
			p.s.checkNote(p, m)
		}
		p.s.pipe = append(p.s.pipe, piped{p, m})
		return nil
	}, func(bool) error { p.dead = true; return errDead })
}

// startHolder starts the holder's process; it may die at once.
func (s *sim) startHolder(startup bool) {
	p := &simProc{s: s, name: "holder"}
	store, err := OpenStore(s.path, StoreOptions{NoSync: true, Commit: p.commit})
	if err != nil {
		s.t.Fatal(err)
	}
	p.store = store
	var v Vault = store
	if s.plant.vault != nil {
		v = s.plant.vault(s, store)
	}
	p.h, err = New(context.Background(), Config{
		Log: silent, Node: p, Out: p, Vault: v, Clock: s.clock, Limits: s.plant.limits, Keep: s.keep, Late: !startup,
	})
	if err != nil && !p.dead {
		s.t.Fatal(err)
	}
	if s.plant.decide != nil {
		p.h.decide = s.plant.decide
	}
	s.holder = p
}

func (s *sim) startGuard() {
	p := &simProc{s: s, name: "guard"}
	p.g = NewGuard(context.Background(), GuardConfig{
		Log: silent, Node: p, Out: p, Clock: s.clock,
		Open: func() (*Store, error) {
			if s.holder != nil {
				return nil, errors.New("the holder has the file")
			}
			store, err := OpenStore(s.path, StoreOptions{NoSync: true, Commit: p.commit})
			if err == nil {
				p.store = store
			}
			return store, err
		},
	})
	s.guard = p
}

// ctx is never asked.
var simCtx = context.Background()

// do runs something on the plugins, then everything that follows at once.
func (s *sim) do(f func()) {
	f()
	s.reap()
	if s.pumpNow || s.rng.IntN(3) > 0 {
		s.pump()
	}
}

// reap takes note of the processes that died.
func (s *sim) reap() {
	if p := s.guard; p != nil && p.dead {
		s.guard = nil
		p.close()
		s.tell("guard is dead")
		s.counts["guard deaths"]++
		s.orphans(p)
	}
	if p := s.holder; p != nil && p.dead {
		s.counts["holder deaths"]++
		if s.death == nodeNext {
			p.close()
			s.holder = nil
			s.pump()
		}
		if s.death != guardTakes {
			s.killNode()
			s.startNode()
			return
		}
		s.holder = nil
		p.close()
		s.tell("holder is dead")
		s.orphans(p)
	}
}

func (p *simProc) close() {
	p.dead = true
	if p.store != nil {
		p.store.Close()
	}
	if p.g != nil && p.g.store != nil {
		p.g.store.Close()
	}
}

// orphans gives the calls of a dead plugin to the next in the chain. What it said before its
// death is read first.
func (s *sim) orphans(p *simProc) {
	s.pump()
	for _, h := range s.held() {
		if h.at == p {
			s.next(h, p)
		}
	}
	s.reap()
}

// ask begins a hook call.
func (s *sim) ask(h *simHTLC) {
	if s.holder != nil {
		s.put(h, s.holder)
		return
	}
	s.next(h, nil)
}

func (s *sim) put(h *simHTLC, p *simProc) {
	delete(s.calls, h.call)
	s.serial++
	h.call, h.at, h.due, h.told = fmt.Sprintf(`"cln:htlc_accepted#%d"`, s.serial), p, 0, false
	s.calls[h.call] = h
	id, params := json.RawMessage(h.call), s.params(h)
	if p.h != nil {
		p.h.HTLC(id, params)
		return
	}
	p.g.HTLC(id, params)
}

// next passes a call on: to the guard, then to the node, which knows no invoice of ours.
func (s *sim) next(h *simHTLC, from *simProc) {
	if s.guard != nil && from != s.guard {
		s.put(h, s.guard)
		return
	}
	delete(s.calls, h.call)
	for _, r := range s.rows {
		if r.hash == h.hold.pre.Hash() && r.status == "unpaid" {
			s.breach("%s: the node was paid by itself", h.hold.label)
		}
	}
	if h.hold.accepted && (from == nil || from.dead) {
		s.tell("%s: given back, no plugin is there", h.hold.label)
		h.hold.abandoned = true
	}
	s.finish(h, "fail")
}

// pump has the node read what the plugins said.
func (s *sim) pump() {
	for len(s.pipe) > 0 {
		m := s.pipe[0]
		s.pipe = s.pipe[1:]
		if m.m.Method == Topic {
			if s.guard != nil {
				s.guard.g.Note(Topic, m.m.Params)
			}
			continue
		}
		h := s.calls[string(m.m.ID)]
		if h == nil {
			continue // the node forgets what it did not ask, or asked another since
		}
		result, why := s.take(h, m.m.Result)
		switch {
		case why != "":
			s.breach("node down: %s", why)
		case result == "continue":
			s.next(h, m.from)
		case h.state != stateHeld:
			s.breach("node down: answer after the channel was forgotten")
		default:
			delete(s.calls, h.call)
			s.finish(h, result)
		}
	}
	s.reap()
}

// killNode ends everything at once; what was said and not read is lost.
func (s *sim) killNode() {
	s.tell("node is killed")
	s.counts["node deaths"]++
	s.pipe = nil
	for _, p := range []*simProc{s.holder, s.guard} {
		if p != nil {
			p.close()
		}
	}
	s.holder, s.guard = nil, nil
	clear(s.calls)
	for _, h := range s.held() {
		h.call, h.at = "", nil
	}
}

// startNode starts the node again: the plugins, the replay, then the blocks that it missed.
func (s *sim) startNode() {
	s.starts++
	this := s.starts
	s.seen = max(0, s.height-30)
	for _, ch := range s.chans {
		if s.rng.IntN(4) == 0 {
			ch.renamed++
			ch.name = fmt.Sprintf("%dx%dx0", 100+slices.Index(s.chans, ch), 1+ch.renamed)
		}
	}
	s.do(func() { s.startHolder(true) })
	if s.starts != this {
		return // it died on the way, and has started again
	}
	s.do(func() { s.startGuard() })
	list := s.held()
	s.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, h := range list {
		if s.starts != this {
			return
		}
		if h.state == stateHeld && h.at == nil {
			s.do(func() { s.ask(h) })
		}
	}
	for s.seen < s.height && s.starts == this {
		s.seen++
		s.block(s.seen)
	}
	s.tell("node is up")
}

// block tells the plugins of a block.
func (s *sim) block(height Height) {
	params := marshaled(map[string]any{"block_added": map[string]any{"height": height}})
	s.do(func() {
		if s.holder != nil {
			s.holder.h.Note("block_added", params)
		}
	})
	s.do(func() {
		if s.guard != nil {
			s.guard.g.Note("block_added", params)
		}
	})
}

// mine adds blocks.
func (s *sim) mine(n int) {
	for range n {
		s.height++
		s.deadlines()
		s.seen = s.height
		s.block(s.height)
	}
}

// pass lets time go by, and the plugins work in steps.
func (s *sim) pass(d, step time.Duration) {
	for end := s.clock.elapsed + d; ; {
		s.tick()
		if s.clock.elapsed >= end {
			return
		}
		s.clock.pass(min(step, end-s.clock.elapsed))
	}
}

// tick has the plugins do what is due by now.
func (s *sim) tick() {
	s.clean = true
	s.settleUp()
	s.do(func() {
		if s.holder != nil {
			s.holder.h.Step(simCtx)
		}
	})
	s.do(func() {
		if s.guard != nil {
			s.guard.g.Step(simCtx)
		}
	})
	s.checkDeadlines()
}

// call runs a command of the holder as a caller of the node does.
func (s *sim) call(method string, params any) (raw json.RawMessage, err error) {
	err = clnio.Errorf(clnio.CodePluginTerminated, "plugin is gone")
	p, run := s.holder, (func(context.Context, string, json.RawMessage) (json.RawMessage, error))(nil)
	switch {
	case p != nil:
		run = p.h.Call
	case s.guard != nil && s.guard.g.holder() != nil && (method == "holdinvoicesettle" || method == "holdinvoicecancel"):
		p, run, method = s.guard, s.guard.g.Call, "holdguard-"+method[len("holdinvoice"):]
		s.counts["commands of the guard"]++
	default:
		return nil, err
	}
	var out json.RawMessage
	var fault error
	s.do(func() { out, fault = run(simCtx, method, marshaled(params)) })
	if p.dead {
		return nil, err // the answer died with it
	}
	return out, fault
}

// simPreimage is the n-th hold's.
func simPreimage(seed uint64, n int) (p Preimage) {
	binary.BigEndian.PutUint64(p[:], seed)
	binary.BigEndian.PutUint64(p[8:], uint64(n))
	p[31] = 1
	return p
}
