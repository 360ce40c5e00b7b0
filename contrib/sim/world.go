package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// begun is when every world begins, unix seconds.
const begun = 1_767_225_600

// world is one exchange with its node, its relays, its people and its bad luck. Everything in it follows from its seed:
// it reads no clock, and all of it runs in one goroutine, except that the engine has its writer, which is waited for.
type world struct {
	seed uint64
	plan plan
	ctx  context.Context
	log  *slog.Logger
	dir  string

	rng     *rand.Rand
	seeds   uint64
	now     int64         // the wall clock, unix seconds; it may jump
	elapsed time.Duration // since the start; it never jumps
	calm    bool          // nothing fails any more

	node   *node
	plugin *holderPlugin
	house  *house
	relays *relays
	people []*person
	// officials are an admin, two who may become solvers, and one who never does.
	officials []*tradeKey
	keys      map[orders.PubKey]*tradeKey
	used      []*tradeKey // in the order of their birth
	pool      []int       // of keyring, not used yet
	orders    []orders.OrderID
	facts     map[orders.OrderID]*fact
	past      []orders.Input
	late      []orders.Act // reports that were read at the node and not told yet
	letter    map[orders.Seed]string
	rests     map[orders.OrderID]orders.OrderID // parent → the one rest
	quoted    *orders.Quote
	gives     map[orders.Hash]string // which destination has given an invoice

	serials  uint64
	jumpAt   int             // the step at which the clock is set forward
	released *orders.OrderID // an order that is being settled
	mishaps  uint64          // all faults so far
	passing  []condition
	read     map[orders.OrderID]orders.Order // as of
	readAt   uint64                          // so many commits
	steps    int
	faults   map[string]int
	rows     map[string]int
	trades   int // orders that somebody took
	settled  int // payouts that arrived
	checks   int
	story    []string
	tells    bool
	wrongs   *Violation
	deadline int // steps after which the storm ends whatever was traded
}

// plan is what kind of day it is. It follows from the seed.
type plan struct {
	trades   int // orders that are to be taken before the storm ends
	trouble  int // port calls in a thousand that fail
	split    bool
	guard    bool // a guard stands by
	cltv     uint32
	rogue    bool // the holder's operator settles or cancels by hand
	disk     bool // commits fail
	relay    int  // of a hundred tries, how many a relay does not take
	crypto   int  // one trade key in so many speaks through real cryptography
	misbehav int  // of a hundred acts, how many are anything at all
}

// Violation is an invariant that did not hold.
type Violation struct {
	Invariant string
	What      string
	Step      int
}

func (v *Violation) Error() string {
	return fmt.Sprintf("%s: %s (step %d)", v.Invariant, v.What, v.Step)
}

var errDead = errors.New("the process is dead")

func newWorld(seed uint64, dir string, tells bool) (*world, error) {
	w := &world{
		seed: seed, ctx: context.Background(), rng: rand.New(rand.NewPCG(seed, 0x6d6f7374726f)), now: begun,
		keys: map[orders.PubKey]*tradeKey{}, facts: map[orders.OrderID]*fact{}, letter: map[orders.Seed]string{},
		gives: map[orders.Hash]string{}, rests: map[orders.OrderID]orders.OrderID{}, faults: map[string]int{}, rows: map[string]int{}, tells: tells,
	}
	w.log = slog.New(slog.DiscardHandler)
	if tells {
		w.log = slog.New(&teller{w: w})
	}
	w.plan = w.newPlan()
	w.deadline = 400 * w.plan.trades
	var err error
	if w.dir, err = os.MkdirTemp(dir, fmt.Sprintf("world-%d-", seed)); err != nil {
		return nil, fmt.Errorf("make room for a world: %w", err)
	}
	w.node = newNode(w)
	w.relays = newRelays(w)
	w.settle()
	w.appoint()
	w.plugin = newHolderPlugin(w, filepath.Join(w.dir, "holdinvoice.db"))
	w.house = &house{w: w, path: filepath.Join(w.dir, "mostro.db")}
	return w, nil
}

func (w *world) newPlan() plan {
	return plan{
		trades:   12 + w.rng.IntN(20),
		trouble:  []int{0, 10, 30, 60}[w.rng.IntN(4)],
		split:    w.rng.IntN(2) == 0,
		guard:    w.rng.IntN(3) > 0,
		cltv:     []uint32{60, 144, 144, 288}[w.rng.IntN(4)],
		rogue:    w.rng.IntN(5) == 0,
		disk:     w.rng.IntN(3) == 0,
		relay:    []int{0, 5, 20}[w.rng.IntN(3)],
		crypto:   24,
		misbehav: []int{2, 10, 30}[w.rng.IntN(3)],
	}
}

// close removes what the world has on disk.
func (w *world) close() {
	w.house.drop()
	w.plugin.drop()
	os.RemoveAll(w.dir)
}

// seed is 32 fresh bytes.
func (w *world) newSeed() orders.Seed {
	w.seeds++
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], w.seed)
	binary.BigEndian.PutUint64(b[8:], w.seeds)
	return orders.Seed(sum("seed", b[:]))
}

func (w *world) time() time.Time { return time.Unix(w.now, 0) }

// of says yes n times in a hundred, unless nothing fails any more.
func (w *world) of(n int) bool { return !w.calm && w.rng.IntN(100) < n }

// trouble says yes as often as this world's port calls fail.
func (w *world) trouble() bool { return !w.calm && w.rng.IntN(1000) < w.plan.trouble }

func (w *world) fault(kind string) {
	w.faults[kind]++
	w.mishaps++
	w.say("fault: %s", kind)
}

// say tells the story, if somebody listens.
func (w *world) say(format string, args ...any) {
	if w.tells {
		w.story = append(w.story, fmt.Sprintf("%5d %s ", w.steps, time.Unix(w.now, 0).UTC().Format("01-02 15:04:05"))+fmt.Sprintf(format, args...))
	}
}

// wrong notes the first invariant that does not hold. The world ends after the step.
func (w *world) wrong(invariant, format string, args ...any) {
	if w.wrongs == nil {
		w.wrongs = &Violation{invariant, fmt.Sprintf(format, args...), w.steps}
		w.say("VIOLATION of %s: %s", invariant, w.wrongs.What)
	}
}

// must is for what only a bug of the simulation or of the product can bring about.
func (w *world) must(what string, err error) {
	if err != nil {
		w.wrong("no-surprise", "%s: %v", what, err)
	}
}

// teller writes the product's own log into the story.
type teller struct {
	w    *world
	with []slog.Attr
}

func (t *teller) Enabled(context.Context, slog.Level) bool { return true }
func (t *teller) Handle(_ context.Context, r slog.Record) error {
	line := "      " + r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	t.w.say("%s", line)
	return nil
}
func (t *teller) WithAttrs(a []slog.Attr) slog.Handler { return t }
func (t *teller) WithGroup(string) slog.Handler        { return t }
