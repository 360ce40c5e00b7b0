package orders

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	oneSeed   = flag.Uint64("seed", 0, "TestRandomTrades: run this seed alone")
	seedCount = flag.Uint64("seeds", 0, "TestRandomTrades: run so many seeds, not as many as 3 seconds allow")
	stepCount = flag.Int("steps", 150, "TestRandomTrades: steps of each seed")
)

// Random people, a random node, random failures and crashes: whatever happens, the store is sound after each step, and
// when the storm is over everything drains, with the sats where they belong.
func TestRandomTrades(t *testing.T) {
	first, count, until := uint64(1), *seedCount, time.Now().Add(3*time.Second)
	switch {
	case *oneSeed != 0:
		first, count = *oneSeed, 1
	case count == 0:
		count = 60
	}
	ends, disputes := map[Status]int{}, map[string]int{}
	for seed := first; seed < first+count; seed++ {
		if *seedCount == 0 && seed > first+10 && time.Now().After(until) {
			break
		}
		if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { newStorm(t, seed).run(*stepCount, ends, disputes) }) {
			t.Fatalf("run it again: go test ./orders -run TestRandomTrades -seed %d -steps %d", seed, *stepCount)
		}
	}
	t.Logf("orders ended: %v; of them disputed, and by whose verdict: %v", ends, disputes)
}

// storm is one run. Everything in it follows from its seed.
type storm struct {
	*world
	seedNo    uint64
	rng       *rand.Rand
	sea       *stormNode
	people    []*person
	officials []*trader // an admin, and solvers of both levels
	keys      []*trader // one for each trade key that was used
	ids       []OrderID
	ended     map[OrderID]Status
	past      []Input
	late      []Input // reports that were read at the node and not told yet
	story     []string
	crashed   bool
	rogue     bool // the holder may settle by itself
}

// person is an identity with as many trade keys as it needs.
type person struct {
	identity PubKey
	index    int64
	private  bool
}

func newStorm(t *testing.T, seed uint64) *storm {
	s := &storm{
		world: newWorld(t, func(r *Rules) { r.FeePayer = []FeePayer{FeeBySeller, FeeSplit}[seed%2] }), seedNo: seed,
		rng: rand.New(rand.NewPCG(seed, 1)), ended: map[OrderID]Status{}, rogue: seed%5 == 0,
	}
	s.sea = &stormNode{
		rng: s.rng, crash: s.crash, wrong: s.wrong, bill: s.bill, secrets: s.secrets, holds: map[Hash]*stormHold{},
		pays: map[Hash]*stormPay{}, told: map[OrderID]bool{}, letters: map[Seed]string{}, stamps: map[OrderID]Announcement{}, cases: map[DisputeID]DisputeNote{},
	}
	for i := range 5 {
		s.people = append(s.people, &person{identity: s.freshKey(), private: i%3 == 2})
	}
	s.officials = []*trader{s.official(serverKey), s.solver(LevelReadWrite), s.solver(LevelReadWrite), s.solver(LevelRead)}
	s.commit = s.commitSomehow
	return s
}

var errDisk = errors.New("the disk has a fault")

// commitSomehow is the disk: now and then a commit fails, or fails and is done all the same.
func (s *storm) commitSomehow(commit func() error) error {
	switch s.rng.IntN(60) {
	case 0:
		s.say("a commit fails")
		return errDisk
	case 1:
		s.say("a commit fails and is done")
		return errors.Join(commit(), errDisk)
	}
	return commit()
}

func (s *storm) say(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf(format, args...))
}

func (s *storm) wrong(format string, args ...any) {
	s.t.Helper()
	from := max(0, len(s.story)-60)
	s.t.Fatalf("%s\n\nwhat happened last:\n%s", fmt.Sprintf(format, args...), strings.Join(s.story[from:], "\n"))
}

func (s *storm) run(steps int, ends map[Status]int, disputes map[string]int) {
	for i := range steps {
		s.step()
		if s.crashed {
			s.rise()
		}
		s.checkAll(i%50 == 49)
	}
	s.commit = nil
	s.drain()
	s.checkAll(true)
	s.checkSums()
	for _, id := range s.ids {
		o := s.order(id)
		ends[o.Status]++
		switch d := o.Dispute; {
		case d == nil:
		case d.Verdict == nil:
			disputes["none"]++
		default:
			disputes[string(d.Verdict.By.Role)]++
		}
	}
}

// step is one thing that happens.
func (s *storm) step() {
	switch n := s.rng.IntN(100); {
	case n < 31:
		s.client()
	case n < 36:
		s.officially()
	case n < 68:
		s.carrySome()
	case n < 78:
		s.nodeMoves()
	case n < 86:
		s.tells(s.rng.IntN(3) == 0)
	case n < 89:
		s.tellLate()
	case n < 95:
		s.timePasses()
	case n < 97:
		s.again()
	case n < 98:
		s.sea.restart()
		s.say("the node restarts")
	default:
		s.crash()
	}
}

// crash ends the process: what it has not committed is lost.
func (s *storm) crash() {
	s.say("crash")
	s.crashed = true
	s.e.Close()
}

// rise starts it again, now and then with the file read anew.
func (s *storm) rise() {
	s.crashed = false
	if s.rng.IntN(10) == 0 {
		s.restart()
		return
	}
	e, err := NewEngine(s.store, s.rules, s.e.log)
	if err != nil {
		s.wrong("restart: %v", err)
	}
	s.e = e
}

func (s *storm) timePasses() {
	by := s.rng.Int64N(90)
	switch s.rng.IntN(24) {
	case 0:
		by = -s.rng.Int64N(4000)
	case 1, 2:
		by = 901
	case 3:
		by = 3601
	case 4:
		by = 86_401 * s.rng.Int64N(3)
	}
	s.now += by
	s.sea.pass(max(by, 0))
	s.say("%d s pass", by)
	if s.rng.IntN(6) > 0 {
		s.tick()
	}
}

func (s *storm) tick() {
	if err := s.e.Tick(s.t.Context(), s.now, s.seed); err != nil && !errors.Is(err, ErrNotDone) {
		s.wrong("tick: %v", err)
	}
}

func (s *storm) stormPorts() Ports {
	return Ports{
		Escrow: s.sea, Payer: s.sea, Courier: s.sea, Resolver: s.sea, NewSeed: s.seed,
		Now: func() time.Time { return time.Unix(s.now, 0) },
	}
}

// heads returns the rows that may go out now: the first of each lane, and whether others wait behind it.
func (s *storm) heads() (heads []*Row, more map[uint64]bool) {
	first := map[laneKey]*Row{}
	more = map[uint64]bool{}
	if err := s.e.read(func(t *tx) {
		for _, r := range t.rows() {
			k := laneKey{r.Order, r.Effect.Lane()}
			if f := first[k]; f != nil {
				more[f.Number] = true
				continue
			}
			first[k] = r
			heads = append(heads, r)
		}
	}); err != nil {
		s.wrong("read the outbox: %v", err)
	}
	return heads, more
}

// carrySome lets some of what is owed out.
func (s *storm) carrySome() {
	heads, more := s.heads()
	for range 1 + s.rng.IntN(4) {
		if len(heads) == 0 || s.crashed {
			return
		}
		i := s.rng.IntN(len(heads))
		s.carryRow(heads[i], more[heads[i].Number])
		heads = slices.Delete(heads, i, i+1)
	}
}

func (s *storm) carryRow(r *Row, more bool) (gone bool) {
	d := &dispatcher{e: s.e, p: s.stormPorts()}
	gone, _, err := d.carryOut(s.t.Context(), r, more)
	s.say("carry %d %s of %s: gone %v, %v", r.Number, effectKind(r.Effect), short(r.Order), gone, err)
	if err != nil && !errors.Is(err, errStorm) && !errors.Is(err, ErrStopped) && !errors.Is(err, ErrNotDone) {
		s.wrong("carry: %v", err)
	}
	return gone
}

func short(id OrderID) string { return id.String()[:8] }

// send does an input, until the disk takes it, and remembers it.
func (s *storm) send(in Input, who string) Outcome {
	out, err := s.e.Do(s.t.Context(), in)
	for errors.Is(err, ErrNotDone) {
		out, err = s.e.Do(s.t.Context(), in)
	}
	if err != nil {
		s.wrong("%s: %v", in.Act.On(), err)
	}
	s.past = append(s.past, in)
	s.say("%s by %s on %s: %q repeat %v", in.Act.On(), who, short(out.Order), out.Reason, out.Repeat)
	if out.Order.IsZero() {
		return out
	}
	if !slices.Contains(s.ids, out.Order) {
		s.ids = append(s.ids, out.Order)
	}
	if (in.Act.On() == OnRelease || in.Act.On() == OnAdminSettle) && out.Reason == "" {
		s.sea.told[out.Order] = true
	}
	return out
}

// tells is the watcher of the node: it reports how each hold differs from what we believe, at once or later.
func (s *storm) tells(later bool) {
	live, err := s.e.LiveHolds()
	if err != nil {
		s.wrong("live holds: %v", err)
	}
	for _, h := range live {
		act := s.differs(&h)
		if act == nil {
			continue
		}
		in := Input{ID: NodeID(act.On(), h.Hash[:]), At: s.now, Seed: s.seed(), Act: act}
		if later {
			s.late = append(s.late, in)
		} else {
			s.send(in, "node")
		}
	}
}

func (s *storm) differs(h *Hold) Act {
	f := s.sea.holds[h.Hash]
	if h.State != HoldOpen && h.State != HoldAccepted || f == nil {
		return nil
	}
	switch {
	case f.state == HoldSettled:
		return HoldIsSettled{h.Hash}
	case f.state == HoldCanceled:
		return HoldIsCanceled{h.Hash, "at the node"}
	case f.state == HoldAccepted && h.State == HoldOpen:
		return HoldIsAccepted{h.Hash, f.amount + Msats(s.rng.Int64N(2000)), 1000}
	case f.state == HoldAccepted && s.rng.IntN(20) == 0:
		return EscrowNearing{h.Hash, 960, 40}
	case f.state == HoldAccepted && s.rng.IntN(50) == 0:
		return EscrowEnding{h.Hash, 970}
	}
	return nil
}

func (s *storm) tellLate() {
	if len(s.late) == 0 {
		return
	}
	i := s.rng.IntN(len(s.late))
	in := s.late[i]
	s.late = slices.Delete(s.late, i, i+1)
	in.At = s.now
	s.send(in, "node, late")
}

// nodeMoves: a seller pays, or the node does something by itself.
func (s *storm) nodeMoves() {
	if len(s.sea.hashes) == 0 {
		return
	}
	hash := s.sea.hashes[max(0, len(s.sea.hashes)-1-s.rng.IntN(6))]
	f := s.sea.holds[hash]
	switch n := s.rng.IntN(10); {
	case f.state == HoldOpen && n < 8:
		f.state = HoldAccepted
	case f.state == HoldAccepted && n == 0 && s.rng.IntN(3) == 0:
		f.state = HoldCanceled
	case f.state == HoldAccepted && n == 1 && s.rogue:
		f.state = HoldSettled
	default:
		return
	}
	s.say("the node: hold of %s is %s", short(f.order), f.state)
}

// again does an old input once more, as a relay or a watcher does. A client's is answered from the record.
func (s *storm) again() {
	if len(s.past) == 0 {
		return
	}
	in := s.past[s.rng.IntN(len(s.past))]
	if s.now-in.At > s.rules.SeenSeconds/2 {
		return
	}
	in.Seed, in.At = s.seed(), s.now
	before := s.dump()
	out, err := s.e.Do(s.t.Context(), in)
	for errors.Is(err, ErrNotDone) {
		out, err = s.e.Do(s.t.Context(), in)
	}
	s.say("again: %s: %+v %v", in.Act.On(), out, err)
	if err != nil {
		s.wrong("%s again: %v", in.Act.On(), err)
	}
	if in.From.Trade.IsZero() && !officialAct(in.Act) {
		return
	}
	if !out.Repeat || s.dump() != before {
		s.wrong("%s again: %+v, and the store has changed", in.Act.On(), out)
	}
}

// dump is a fingerprint of the whole store.
func (w *world) dump() (sum uint64) {
	w.t.Helper()
	if err := w.e.read(func(t *tx) { sum = fingerprint(t) }); err != nil {
		w.t.Fatal(err)
	}
	return sum
}

// fingerprint of all buckets except those named.
func fingerprint(t *tx, except ...[]byte) uint64 {
	var h maphash.Hash
	h.SetSeed(fingerprints)
	all := make([]byte, 0, 1<<16)
	for _, name := range allBuckets {
		if slices.ContainsFunc(except, func(b []byte) bool { return bytes.Equal(b, name) }) {
			continue
		}
		all = append(all[:0], name...)
		t.each(name, nil, func(k, v []byte) bool {
			all = binary.AppendUvarint(all, uint64(len(k)))
			all = append(all, k...)
			all = binary.AppendUvarint(all, uint64(len(v)))
			all = append(all, v...)
			return true
		})
		h.Write(all)
	}
	return h.Sum64()
}

var fingerprints = maphash.MakeSeed()

// checkAll looks at every order after each step, and at the whole file now and then.
func (s *storm) checkAll(whole bool) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := s.e.read(func(t *tx) {
		for _, id := range s.ids {
			o, ok := t.order(id)
			if !ok {
				bad("order %s is gone", id)
				continue
			}
			if was, final := s.ended[id]; final && was != o.Status {
				bad("order %s went from %s to %s", id, was, o.Status)
			}
			if o.Status.Final() {
				s.ended[id] = o.Status
			}
			t.checkOrder(o, bad)
		}
		t.checkIndexes(bad)
		t.checkHolds(bad)
	}); err != nil {
		errs = append(errs, err)
	}
	if whole {
		errs = append(errs, s.store.Check())
	}
	if err := errors.Join(errs...); err != nil {
		s.wrong("%v", err)
	}
}
