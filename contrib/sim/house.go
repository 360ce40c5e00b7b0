package sim

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// house is the exchange's process: the parts that plugin/house.go puts together, without its loops.
type house struct {
	w    *world
	path string
	disk *disk

	up      bool
	over    bool // it died within this step
	poked   bool // the node has told it to look
	store   *orders.Store
	engine  *orders.Engine
	escrow  *lightning.Escrow
	payer   *lightning.Payer
	recon   *lightning.Reconciler
	stepper *orders.Stepper
	gate    *nostrio.Gate
	node    *lightning.Node

	left   [][32]byte // what the store may say when it is opened again
	marked [32]byte
}

func (h *house) dead() bool { return !h.up || h.over }

// die ends the process: what it has not committed is lost. The rest of the step runs into walls.
func (h *house) die() {
	if h.up {
		h.over = true
	}
}

// bury closes what a dead process has left open.
func (h *house) bury() {
	if !h.up || !h.over {
		return
	}
	w := h.w
	h.engine.Close()
	h.left = nil
	now, err := h.store.Digest()
	w.must("read the store", err)
	if h.disk.before != nil {
		h.left = append(h.left, h.marked)
	}
	h.left = append(h.left, now)
	w.must("close the store", h.store.Close())
	w.must("tear the store", h.disk.mend())
	h.up, h.over = false, false
	w.say("the exchange is down")
}

func (h *house) drop() {
	if h.up {
		h.engine.Close()
		h.store.Close()
	}
}

func (w *world) rules() orders.Rules {
	r := orders.DefaultRules()
	r.MaxOpenOrders = 40
	r.Admins = []orders.PubKey{serverKey().PubKey(), w.officials[0].pub}
	if w.plan.split {
		r.FeePayer = orders.FeeSplit
	}
	return r
}

// start is the start of the program.
func (h *house) start() {
	w := h.w
	if h.disk == nil {
		h.disk = &disk{w: w, path: h.path, what: "exchange", dead: h.dead, die: h.die}
		h.disk.mark = func() {
			var err error
			h.marked, err = h.store.Digest()
			w.must("read the store", err)
		}
	}
	var err error
	if h.store, err = orders.OpenWith(h.path, storeKey, time.Second, orders.StoreOptions{NoSync: true, Commit: h.disk.commit}); err != nil {
		w.wrong("opens-after-a-crash", "the exchange's store: %v", err)
		return
	}
	h.checkSame()
	if h.engine, err = orders.NewEngine(h.store, w.rules(), w.log); err != nil {
		w.wrong("opens-after-a-crash", "%v", err)
		h.store.Close()
		return
	}
	h.engine.OnRow(func(name string) { w.rows[name]++ })
	h.up, h.over = true, false
	socket := rpc{n: w.node, what: "rpc", dead: h.dead, die: h.die}
	h.node = lightning.NewNodeOver(socket, socket)
	h.escrow = lightning.NewEscrow(h.node, w.log, lightning.EscrowConfig{
		TradeTime: 24 * time.Hour, HoldCLTV: w.plan.cltv, ProofWait: -1, Lookups: 1,
	}, w.time)
	h.payer = lightning.NewPayer(h.node, w.log, lightning.Version{Major: 26, Minor: 6}, string(rune('a'+w.node.session)), w.time)
	h.recon = lightning.NewReconciler(h.engine, h.escrow, h.payer, w.log, w.time, w.newSeed)
	h.stepper, err = h.engine.NewStepper(orders.Ports{
		Escrow: h.escrow, Payer: h.payer, Resolver: &resolver{w}, Courier: &courier{w: w}, Now: w.time, NewSeed: w.newSeed,
		Elapsed: func() time.Duration { return w.elapsed },
	})
	w.must("read the outbox", err)
	h.gate = nostrio.NewGate(nostrio.GateConfig{
		Key: serverKey(), Known: h.engine.Known, Log: w.log, Workers: 1,
		PerAuthor: nostrio.Rate{Burst: 1e6, PerSecond: 1e6}, PerRelay: nostrio.Rate{Burst: 1e6, PerSecond: 1e6},
		Seen: func(id orders.EventID) bool {
			ok, err := h.engine.Seen(id)
			return ok || err != nil
		},
	})
	w.say("the exchange is up")
	w.learn()
	h.look()
}

var storeKey = sha256.Sum256([]byte("store"))

// checkSame holds what the store says after a start against what it said before.
func (h *house) checkSame() {
	if len(h.left) == 0 {
		return
	}
	now, err := h.store.Digest()
	h.w.must("read the store", err)
	for _, d := range h.left {
		if d == now {
			return
		}
	}
	h.w.wrong("same-after-a-restart", "the store says something else than before the crash, one of %d states", len(h.left))
}

// ledgerBook is what the watch of the node's holds reports to. A report may be held up: the watch is a loop of its own, and
// much can happen between what it has read and what it tells.
type ledgerBook struct {
	lightning.EngineBook
	w *world
}

// Report implements lightning.Book.
func (b ledgerBook) Report(ctx context.Context, act orders.Act) error {
	if b.w.of(15) {
		b.w.late = append(b.w.late, act)
		b.w.fault("watch: a report is late")
		return nil
	}
	return b.tell(ctx, act)
}

func (b ledgerBook) tell(ctx context.Context, act orders.Act) error {
	err := b.EngineBook.Report(ctx, act)
	b.w.say("the watch: %s, %v", describe(act), err)
	if err == nil && !b.w.house.dead() {
		b.w.checkReported(act)
	}
	b.w.fresh()
	return err
}

func (h *house) book() ledgerBook {
	return ledgerBook{lightning.EngineBook{Engine: h.engine, Now: h.w.time, NewSeed: h.w.newSeed}, h.w}
}

// look is one round of the watch.
func (h *house) look() {
	if h.dead() {
		return
	}
	h.poked = false
	before := h.w.mishaps
	_, err := h.escrow.Look(h.w.ctx, h.book())
	h.w.say("the watch has looked: %v", err)
	if err == nil && before == h.w.mishaps && !h.dead() && h.w.plugin.alive() {
		h.w.checkDeadlines()
	}
}

// tellLate tells what the watch has read a while ago.
func (h *house) tellLate() {
	if h.dead() || len(h.w.late) == 0 {
		return
	}
	i := h.w.rng.IntN(len(h.w.late))
	act := h.w.late[i]
	h.w.late = append(h.w.late[:i], h.w.late[i+1:]...)
	_ = h.book().tell(h.w.ctx, act) // the next look says it again
}

// tick lets deadlines pass.
func (h *house) tick() {
	if h.dead() {
		return
	}
	err := h.engine.Tick(h.w.ctx, h.w.now, h.w.newSeed)
	h.w.say("tick: %v", err)
	h.w.fresh()
}

// reconcile is one pass of the comparison.
func (h *house) reconcile() {
	if h.dead() {
		return
	}
	found, _, err := h.recon.Pass(h.w.ctx, true)
	for _, f := range found {
		h.w.say("reconcile: %s: %s, done %v, %v", f.Hash.String()[:8], f.What, f.Done, f.Err)
	}
	h.w.say("reconcile: %d found, %v", len(found), err)
	h.w.fresh()
}

// carry lets out some of what is owed.
func (h *house) carry(some int) {
	for range some {
		if h.dead() {
			return
		}
		ready := h.stepper.Ready()
		if len(ready) == 0 {
			return
		}
		n := ready[h.w.rng.IntN(len(ready))]
		h.carryOne(n)
	}
}

// carryOne lets one row out.
func (h *house) carryOne(n uint64) (gone bool) {
	var row *orders.Row
	for _, r := range h.stepper.Owed() {
		if r.Number == n {
			row = r
		}
	}
	gone, err := h.stepper.Carry(h.w.ctx, n)
	h.w.say("carry %d: gone %v, %v", n, gone, err)
	h.w.fresh()
	if c, ok := row.Effect.(*orders.CancelHold); ok && gone && !h.dead() {
		h.w.checkRefund(c.Hash)
	}
	return gone
}

// carryAll lets out everything that may go.
func (h *house) carryAll() {
	for !h.dead() && h.w.wrongs == nil {
		moved := false
		for _, n := range h.stepper.Ready() {
			moved = h.carryOne(n) || moved
		}
		if !moved {
			return
		}
	}
}
