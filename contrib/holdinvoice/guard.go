package main

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

// guard is the second role: it stands behind the holder in the hook chain and does nothing
// as long as the holder lives, since the holder never passes one of its own hashes on. To
// be asked for such a hash means that the holder is dead; then the guard opens the store
// that the holder left and becomes the holder, without its commands.
type guard struct {
	log    *slog.Logger
	out    outlet
	client *clnio.Client
	dir    string

	mu      sync.Mutex
	alive   map[Hash]State // hashes of which the holder said that they are not over
	waiting []clnio.Message
	store   *store
	h       *holder // nil while on watch
	opening bool
	listed  bool // the datastore was read
	height  Height
	ctx     context.Context // of the process, given by begin
}

func newGuard(log *slog.Logger, out outlet) *guard {
	return &guard{log: log, out: out, alive: map[Hash]State{}}
}

func (g *guard) manifest() manifest {
	return manifest{
		Options:       []option{},
		Methods:       calls(g.methods()),
		Subscriptions: []string{"block_added", "shutdown", topic},
		Hooks:         []manifestHook{{Name: "htlc_accepted", After: []string{"holdinvoice"}}},
		NonNumericIDs: true,
		CanCheck:      true,
	}
}

func (g *guard) methods() []method {
	return []method{
		{"holdguard-version", "Say which plugin this is, and whether it took over.", nil, g.rpcVersion},
		{"holdguard-settle", "As holdinvoicesettle, when the guard took over.", []param{byHash, preimage, waitTime}, g.standby((*holder).rpcSettle)},
		{"holdguard-cancel", "As holdinvoicecancel, when the guard took over.", []param{byHash, reason}, g.standby((*holder).rpcCancel)},
		{"holdguard-list", "As holdinvoicelist, when the guard took over.", []param{byState, start, limit}, g.standby((*holder).rpcList)},
	}
}

// standby runs a holder's command if this guard is the holder by now.
func (g *guard) standby(run func(*holder, context.Context, args) (any, error)) func(context.Context, args) (any, error) {
	return func(ctx context.Context, a args) (any, error) {
		g.mu.Lock()
		h := g.h
		g.mu.Unlock()
		if h == nil {
			return nil, clnio.Errorf(codeWrongState, "guard is on watch: use the holder's command")
		}
		return run(h, ctx, a)
	}
}

func (g *guard) rpcVersion(context.Context, args) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return struct {
		Version string `json:"version"`
		API     int    `json:"api"`
		Role    string `json:"role"`
		Standby bool   `json:"standby"` // true: the holder is dead and we hold
		Watched int    `json:"watched"`
		Waiting int    `json:"waiting"` // calls held without the store
	}{version, api, "guard", g.h != nil, len(g.alive), len(g.waiting)}, nil
}

func (g *guard) init(ctx context.Context, p initParams) error {
	keepCrashes(p.Config.Dir, "holdinvoice-guard.crash")
	g.dir = p.Config.Dir
	g.client = dial(p)
	g.client.Prefix = "holdguard"
	if err := g.readAlive(ctx); err != nil {
		g.log.Error("guard does not know what to watch yet", "err", err)
	}
	return nil
}

// readAlive adds what the datastore says is alive. Only states that are not over are there.
func (g *guard) readAlive(ctx context.Context) error {
	alive, err := readMirror(ctx, g.client)
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
	return nil
}

func (g *guard) begin(ctx context.Context) {
	g.mu.Lock()
	g.ctx = ctx
	g.mu.Unlock()
	go g.checkNames(ctx)
	go g.watchWaiting(ctx)
}

// checkNames complains if no plugin has the file name that our place in the chain refers to.
func (g *guard) checkNames(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	var out struct {
		Plugins []struct {
			Name string `json:"name"`
		} `json:"plugins"`
	}
	if err := g.client.Call(ctx, "plugin", map[string]string{"subcommand": "list"}, &out); err != nil {
		g.log.Debug("plugins cannot be listed", "err", err)
		return
	}
	for _, p := range out.Plugins {
		if filepath.Base(p.Name) == "holdinvoice" {
			return
		}
	}
	g.log.Warn("no plugin's file is named holdinvoice: the guard may stand before the holder")
}

// hook lets strangers pass and takes what the dead holder left.
func (g *guard) hook(id, params json.RawMessage) {
	hash, ok := hookHash(params)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.h != nil {
		g.pass(id, hash, params)
		return
	}
	if _, alive := g.alive[hash]; !ok || !alive {
		answer(g.out, id, replyContinue)
		return
	}
	g.log.Error("holder is dead: the guard holds its payment", "hash", hash)
	g.waiting = append(g.waiting, clnio.Message{ID: id, Params: params})
	if !g.opening {
		g.opening = true
		go g.takeOver(g.ctx)
	}
}

// pass is the holder's hook. The caller holds g.mu.
func (g *guard) pass(id json.RawMessage, hash Hash, params json.RawMessage) {
	c := g.h.find(hash)
	if c == nil {
		answer(g.out, id, replyContinue)
		return
	}
	go g.h.accept(c, id, params)
}

// takeOver opens the store, as soon as the kernel took the lock from the dead holder, and
// goes on where it stopped. Until then everything stays held.
func (g *guard) takeOver(ctx context.Context) {
	for ctx.Err() == nil {
		s, err := openStore(filepath.Join(g.dir, databaseName), lockWait)
		if err == nil {
			err = g.become(ctx, s)
		}
		if err == nil {
			return
		}
		g.log.Error("guard holds payments without the store", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

func (g *guard) become(ctx context.Context, s *store) error {
	l, err := s.Limits()
	if err != nil {
		return errors.Join(err, s.Close())
	}
	h := newHolder(g.log, g.client, g.out, s, l)
	h.quiet = true
	if err := h.wakeUp(ctx, s); err != nil {
		return errors.Join(err, s.Close())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.store, g.h = s, h
	h.raise(g.height)
	h.begin(ctx)
	for _, m := range g.waiting {
		hash, _ := hookHash(m.Params)
		if h.find(hash) == nil {
			g.log.Error("store does not know a hash that the datastore says is alive; given back", "hash", hash)
			answer(g.out, m.ID, replyUnknownDetails(0, h.chain.highest()))
			continue
		}
		g.pass(m.ID, hash, m.Params)
	}
	g.waiting = nil
	g.log.Error("guard took over from the dead holder; restart lightningd when no payment is held")
	return nil
}

// note keeps the list of live hashes and the height.
func (g *guard) note(name string, params json.RawMessage) {
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
	case topic:
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
func readNote(params json.RawMessage) (stateNote, bool) {
	for range 3 {
		var wrapped map[string]json.RawMessage
		if err := json.Unmarshal(params, &wrapped); err != nil {
			return stateNote{}, false
		}
		if inner, ok := wrapped[topic]; ok {
			params = inner
		} else if inner, ok := wrapped["payload"]; ok {
			params = inner
		} else {
			break
		}
	}
	var n stateNote
	err := json.Unmarshal(params, &n)
	_, known := moves[n.State]
	return n, err == nil && known
}

// watchWaiting gives back what comes near its expiry while the store cannot be had, and
// reads the list of live hashes if init could not.
func (g *guard) watchWaiting(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		g.mu.Lock()
		g.waiting = slices.DeleteFunc(g.waiting, g.refuseDue)
		listed := g.listed
		g.mu.Unlock()
		if !listed {
			if err := g.readAlive(ctx); err != nil {
				g.log.Error("guard does not know what to watch yet", "err", err)
			}
		}
	}
}

// refuseDue answers a call that must not wait longer for the store. One whose settle was
// decided waits to the last block; an answer that comes later can stop the node. The caller
// holds g.mu.
func (g *guard) refuseDue(m clnio.Message) bool {
	o, err := readOffer(m.Params)
	hash, _ := hookHash(m.Params)
	left := int64(o.Expiry) - int64(g.height)
	due := left <= int64(floors.CancelAt)
	if g.alive[hash] == Settling {
		due = left <= 0
	}
	if err == nil && !due {
		return false
	}
	g.log.Error("guard gives a payment back without the store", "hash", hash, "left", left)
	answer(g.out, m.ID, replyUnknownDetails(o.Amount, g.height))
	return true
}

func (g *guard) end() {
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
