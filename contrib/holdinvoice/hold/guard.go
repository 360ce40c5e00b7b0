package hold

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Guard is the second role: it stands behind the holder in the hook chain and does nothing
// as long as the holder lives, since the holder never passes one of its own hashes on. To
// be asked for such a hash means that the holder is dead; then the guard opens the store
// that the holder left and becomes the holder, without its commands.
type Guard struct {
	log     *slog.Logger
	out     Outlet
	clock   Clock
	version string
	node    Node
	open    func() (*Store, error)
	client  *clnio.Client // the node, where it is a socket

	jobs   jobs
	alarm  chan struct{} // capacity one: something waits for the store
	unsure chan struct{} // capacity one: something waits for the list of what is alive
	driven bool          // Step is called, nothing runs by itself

	mu      sync.Mutex
	alive   map[Hash]State // hashes of which the holder said that they are not over
	waiting []orphan
	store   *Store
	h       *Holder // nil while on watch
	listed  bool    // the datastore was read
	height  Height
	ctx     context.Context // of the process; the holder that the guard becomes runs in it
}

// orphan is a hook call whose holder is dead. The node bounds their number: a channel has
// 483 at most.
type orphan struct {
	hash Hash
	call
	err error // of reading it
}

// GuardConfig is what a guard lives on; see Config for what is not explained here.
type GuardConfig struct {
	Log     *slog.Logger
	Node    Node
	Out     Outlet
	Clock   Clock
	Version string
	// Open opens the dead holder's store. It may fail as long as the file is locked.
	Open func() (*Store, error)
}

// NewGuard returns a guard for a driver that calls Step. It asks the node which hashes are
// alive.
func NewGuard(ctx context.Context, c GuardConfig) *Guard {
	g := newGuard(c)
	g.driven = true
	g.wakeUp(ctx)
	return g
}

func newGuard(c GuardConfig) *Guard {
	if c.Clock == nil {
		c.Clock = SystemClock()
	}
	g := &Guard{
		log: c.Log, out: c.Out, clock: c.Clock, version: c.Version, node: c.Node, open: c.Open,
		jobs:   jobs{clock: c.Clock, log: c.Log},
		alarm:  make(chan struct{}, 1),
		unsure: make(chan struct{}, 1),
		alive:  map[Hash]State{},
	}
	g.jobs.add("names", 0, nil, g.checkNames)
	g.jobs.add("take over", never, g.alarm, g.takeOver)
	g.jobs.add("waiting", tickTime, g.unsure, g.watchWaiting)
	return g
}

// Step does what is due by the clock, see Holder.Step.
func (g *Guard) Step(ctx context.Context) {
	g.jobs.step(ctx)
	if h := g.holder(); h != nil {
		h.Step(ctx)
	}
}

// Due is when Step has something to do, see Holder.Due.
func (g *Guard) Due() time.Duration {
	next := g.jobs.due()
	if h := g.holder(); h != nil {
		next = min(next, h.Due())
	}
	return next
}

// Call runs one of the guard's commands, see Holder.Call.
func (g *Guard) Call(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	return runMethod(ctx, g.methods(), method, params)
}

// holder is what the guard has become, or nil.
func (g *Guard) holder() *Holder {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.h
}

func (g *Guard) manifest() manifest {
	return manifest{
		Options:       []option{},
		Methods:       calls(g.methods()),
		Subscriptions: []string{"block_added", "shutdown", Topic},
		Hooks:         []manifestHook{{Name: "htlc_accepted", After: []string{"holdinvoice"}}},
		NonNumericIDs: true,
		CanCheck:      true,
	}
}

func (g *Guard) methods() []method {
	return []method{
		{"holdguard-version", "Say which plugin this is, and whether it took over.", nil, g.rpcVersion},
		{"holdguard-settle", "As holdinvoicesettle, when the guard took over.", []param{byHash, preimage, waitTime}, g.standby((*Holder).rpcSettle)},
		{"holdguard-cancel", "As holdinvoicecancel, when the guard took over.", []param{byHash, reason}, g.standby((*Holder).rpcCancel)},
		{"holdguard-list", "As holdinvoicelist, when the guard took over.", []param{byState, start, limit}, g.standby((*Holder).rpcList)},
	}
}

// standby runs a holder's command if this guard is the holder by now.
func (g *Guard) standby(run func(*Holder, context.Context, args) (any, error)) func(context.Context, args) (any, error) {
	return func(ctx context.Context, a args) (any, error) {
		h := g.holder()
		if h == nil {
			return nil, clnio.Errorf(codeWrongState, "guard is on watch: use the holder's command")
		}
		return run(h, ctx, a)
	}
}

func (g *Guard) rpcVersion(context.Context, args) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return struct {
		Version string `json:"version"`
		API     int    `json:"api"`
		Role    string `json:"role"`
		Standby bool   `json:"standby"` // true: the holder is dead and we hold
		Watched int    `json:"watched"`
		Waiting int    `json:"waiting"` // calls held without the store
	}{g.version, api, "guard", g.h != nil, len(g.alive), len(g.waiting)}, nil
}

func (g *Guard) init(ctx context.Context, p initParams) error {
	keepCrashes(p.Config.Dir, "holdinvoice-guard.crash")
	path := filepath.Join(p.Config.Dir, databaseName)
	g.open = func() (*Store, error) { return OpenStore(path, StoreOptions{Wait: lockWait}) }
	g.client = dial(p)
	g.client.Prefix = "holdguard"
	g.node = g.client
	g.wakeUp(ctx)
	return nil
}

// wakeUp learns what is alive.
func (g *Guard) wakeUp(ctx context.Context) {
	if err := g.readAlive(ctx); err != nil {
		g.log.Error("guard does not know what to watch yet", "err", err)
	}
}

// readAlive adds what the datastore says is alive. Only states that are not over are there.
func (g *Guard) readAlive(ctx context.Context) error {
	alive, err := readMirror(ctx, g.clock, g.node)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listed = true
	for h, s := range alive {
		if _, newer := g.alive[h]; !newer {
			g.alive[h] = s
		}
	}
	g.sort()
	return nil
}

// sort lets the strangers go that waited for the list. The caller holds g.mu.
func (g *Guard) sort() {
	g.waiting = slices.DeleteFunc(g.waiting, func(o orphan) bool {
		if _, alive := g.alive[o.hash]; alive {
			g.log.Error("holder is dead: the guard holds its payment", "hash", o.hash)
			wake(g.alarm)
			return false
		}
		answer(g.out, o.ID, replyContinue)
		return true
	})
}

func (g *Guard) begin(ctx context.Context) {
	g.mu.Lock()
	g.ctx = ctx
	g.mu.Unlock()
	g.jobs.start(ctx)
}

// checkNames complains if no plugin has the file name that our place in the chain refers to.
func (g *Guard) checkNames(ctx context.Context, _ bool) time.Duration {
	ctx, cancel := g.clock.Limit(ctx, rpcTimeout)
	defer cancel()
	var out struct {
		Plugins []struct {
			Name string `json:"name"`
		} `json:"plugins"`
	}
	if err := g.node.Call(ctx, "plugin", map[string]string{"subcommand": "list"}, &out); err != nil {
		g.log.Debug("plugins cannot be listed", "err", err)
		return over
	}
	for _, p := range out.Plugins {
		if filepath.Base(p.Name) == "holdinvoice" {
			return over
		}
	}
	g.log.Warn("no plugin's file is named holdinvoice: the guard may stand before the holder")
	return over
}

func (g *Guard) hook(id, params json.RawMessage) { g.HTLC(id, params) }

// HTLC takes a call of the hook, see Holder.HTLC. It lets strangers pass and keeps what the
// dead holder left; everything, as long as it does not know which is which.
func (g *Guard) HTLC(id, params json.RawMessage) {
	hash, ok := hookHash(params)
	g.mu.Lock()
	h := g.h
	_, alive := g.alive[hash]
	keep := h == nil && ok && (alive || !g.listed)
	if keep {
		k, err := readCall(id, params)
		g.waiting = append(g.waiting, orphan{hash, k, err})
	}
	g.mu.Unlock()
	switch {
	case keep && alive:
		g.log.Error("holder is dead: the guard holds its payment", "hash", hash)
		wake(g.alarm)
	case keep:
		wake(g.unsure)
	case h == nil:
		answer(g.out, id, replyContinue)
	default:
		g.pass(h, id, params)
	}
}

// wake fills a channel of capacity one, if it is not full already.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pass is the holder's hook.
func (g *Guard) pass(h *Holder, id, params json.RawMessage) {
	c := h.knows(params)
	if c == nil {
		answer(g.out, id, replyContinue)
		return
	}
	g.run(func() { h.accept(c, id, params) })
}

// run does it beside the caller, or here and now for a driver.
func (g *Guard) run(f func()) {
	if g.driven {
		f()
		return
	}
	go f()
}

// takeOver opens the store, as soon as the kernel took the lock from the dead holder, and
// goes on where it stopped. Until then everything stays held.
func (g *Guard) takeOver(ctx context.Context, _ bool) time.Duration {
	s, err := g.open()
	if err == nil {
		err = g.become(ctx, s)
	}
	if err != nil {
		g.log.Error("guard holds payments without the store", "err", err)
		g.letGo(ctx)
		return 2 * time.Second
	}
	return over
}

// letGo gives back what waits for a hash that is not alive any more by the node's word: the
// holder lives and has ended it, and only we had not heard.
func (g *Guard) letGo(ctx context.Context) {
	alive, err := readMirror(ctx, g.clock, g.node)
	if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(o orphan) bool {
		if _, yes := alive[o.hash]; yes {
			return false
		}
		delete(g.alive, o.hash)
		g.log.Warn("payment of an invoice that is over is given back", "hash", o.hash)
		answer(g.out, o.ID, replyUnknownDetails(o.Offer.Amount, g.height))
		return true
	})
}

func (g *Guard) become(ctx context.Context, s *Store) error {
	l, err := s.Limits()
	if err != nil {
		return errors.Join(err, s.Close())
	}
	h := newHolder(Config{Log: g.log, Node: g.node, Out: g.out, Vault: s, Clock: g.clock, Limits: l, Keep: -1, Version: g.version})
	h.quiet = true
	if err := h.wakeUp(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.store, g.h = s, h
	h.raise(g.height)
	if !g.driven {
		h.Start(g.ctx)
	}
	for _, o := range g.waiting {
		c := h.find(o.hash)
		if c == nil {
			g.log.Error("store does not know a hash that the datastore says is alive; given back", "hash", o.hash)
			answer(g.out, o.ID, replyUnknownDetails(o.Offer.Amount, h.chain.highest()))
			continue
		}
		g.run(func() { guarded(g.log, "hook", func() { h.acceptOne(c, o.call, o.err) }) })
	}
	g.waiting = nil
	g.log.Error("guard took over from the dead holder; restart lightningd when no payment is held")
	return nil
}

func (g *Guard) note(name string, params json.RawMessage) { g.Note(name, params) }

// Note takes a notification: block_added, or Topic from the holder. It keeps the list of
// live hashes and the height.
func (g *Guard) Note(name string, params json.RawMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch name {
	case "block_added":
		var p blockParams
		if err := json.Unmarshal(params, &p); err != nil {
			return
		}
		g.height = max(g.height, p.Block.Height)
		if g.h != nil {
			g.h.raise(p.Block.Height)
		}
	case Topic:
		n, ok := readNote(params)
		if !ok {
			g.log.Warn("holder's notification cannot be read")
			return
		}
		if n.State.Final() {
			delete(g.alive, n.Hash)
		} else {
			g.alive[n.Hash] = n.State
		}
	}
}

// readNote reads a holdinvoice_state notification. Nodes wrapped those of plugins in
// "payload" until v26.09.
func readNote(params json.RawMessage) (StateNote, bool) {
	for range 3 {
		var wrapped map[string]json.RawMessage
		if err := json.Unmarshal(params, &wrapped); err != nil {
			return StateNote{}, false
		}
		if inner, ok := wrapped[Topic]; ok {
			params = inner
		} else if inner, ok := wrapped["payload"]; ok {
			params = inner
		} else {
			break
		}
	}
	var n StateNote
	err := json.Unmarshal(params, &n)
	_, known := moves[n.State]
	return n, err == nil && known
}

// watchWaiting gives back what comes near its expiry while the store cannot be had, and
// reads the list of live hashes if init could not.
func (g *Guard) watchWaiting(ctx context.Context, _ bool) time.Duration {
	g.mu.Lock()
	g.waiting = slices.DeleteFunc(g.waiting, g.refuseDue)
	listed := g.listed
	g.mu.Unlock()
	if !listed {
		g.wakeUp(ctx)
	}
	return tickTime
}

// refuseDue answers a call that must not wait longer for the store. One whose settle was
// decided waits to the last block; an answer that comes later can stop the node. The caller
// holds g.mu.
func (g *Guard) refuseDue(o orphan) bool {
	left := int64(o.Offer.Expiry) - int64(g.height)
	due := left <= int64(Floors.CancelAt)
	if g.alive[o.hash] == Settling {
		due = left <= 0
	}
	if o.err == nil && !due {
		return false
	}
	g.log.Error("guard gives a payment back without the store", "hash", o.hash, "left", left)
	answer(g.out, o.ID, replyUnknownDetails(o.Offer.Amount, g.height))
	return true
}

func (g *Guard) end() {
	if g.client != nil {
		g.client.Close()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.store != nil {
		g.store.Close()
	}
}

// isGuard says whether a binary of that name plays the guard.
func isGuard(name string) bool { return strings.Contains(filepath.Base(name), "guard") }
