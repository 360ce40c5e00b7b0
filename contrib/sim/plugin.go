package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/contrib/holdinvoice/hold"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// holderPlugin is the hold plugin as the node runs it, with its guard if there is one: contrib/holdinvoice/hold, stepped.
type holderPlugin struct {
	w     *world
	disk  *disk
	store *hold.Store
	life  *life // of the holder's process
	h     *hold.Holder
	guard *hold.Guard
	guardLife
	notes []json.RawMessage // holdinvoice_state, not told yet
	// ill is the highest block at which the plugin was dead, or its disk failed.
	ill uint32
}

type guardLife struct {
	gLife  *life
	gStore *hold.Store
}

// lockWait is enough for a file that nobody has open.
const lockWait = time.Second

var errLocked = errors.New("the file is locked")

// life is that of one process.
type life struct{ over bool }

func (l *life) dead() bool { return l.over }

// outlet takes what one of the processes says.
type outlet struct {
	p    *holderPlugin
	life *life
}

func newHolderPlugin(w *world, path string) *holderPlugin {
	p := &holderPlugin{w: w}
	p.disk = &disk{
		w: w, path: path, what: "holder", mark: func() {},
		dead: func() bool { return p.life == nil || p.life.over }, die: func() { p.die() },
	}
	p.start(false)
	return p
}

// Write implements hold.Outlet.
func (o outlet) Write(v any) error {
	m, ok := v.(clnio.Message)
	switch {
	case !ok || o.life.over || o.p.w.node.dying:
		return errDead
	case m.Method == hold.Topic:
		o.p.notes = append(o.p.notes, m.Params)
		o.p.w.node.hears(m.Params)
		return nil
	case m.Method != "" || len(m.ID) == 0:
		return nil
	case o.p.w.of(1) && o.p.w.rng.IntN(3) == 0:
		o.p.w.node.fall("node: died before it stored an answer of the hold plugin")
		return errDead
	}
	o.p.w.node.answered(m)
	return nil
}

// start starts the processes. late: the node was running before.
func (p *holderPlugin) start(late bool) {
	p.life = &life{}
	l := p.life
	store, err := hold.OpenStore(p.disk.path, hold.StoreOptions{Wait: lockWait, NoSync: true, Commit: p.disk.commit})
	if err != nil {
		p.w.wrong("opens-after-a-crash", "the holder's store: %v", err)
		return
	}
	p.store = store
	node := rpc{n: p.w.node, what: "rpc of the holder", dead: l.dead, die: func() { p.die() }}
	p.h, err = hold.New(p.w.ctx, hold.Config{
		Log: p.w.log, Node: node, Out: outlet{p, l}, Vault: store, Clock: clock{p.w}, Late: late, Version: "sim",
	})
	p.w.must("start the holder", err)
	if p.w.plan.guard && (p.gLife == nil || p.gLife.over) {
		g := &life{}
		p.gLife = g
		p.guard = hold.NewGuard(p.w.ctx, hold.GuardConfig{
			Log: p.w.log, Out: outlet{p, g}, Clock: clock{p.w}, Version: "sim",
			Node: rpc{n: p.w.node, what: "rpc of the guard", dead: g.dead, die: func() {}},
			Open: func() (*hold.Store, error) {
				if p.store != nil {
					return nil, errLocked
				}
				s, err := hold.OpenStore(p.disk.path, hold.StoreOptions{Wait: lockWait, NoSync: true})
				p.gStore = s
				return s, err
			},
		})
	}
}

// alive says that the holder's process is there.
func (p *holderPlugin) alive() bool { return p.life != nil && !p.life.over && p.h != nil }

// watched says that the guard is there in its place.
func (p *holderPlugin) watched() bool { return p.gLife != nil && !p.gLife.over && p.guard != nil }

// die ends the holder's process, and the guard's with it if the whole node falls.
func (p *holderPlugin) die() {
	if p.life != nil {
		p.life.over = true
	}
	if p.w.node.dying && p.gLife != nil {
		p.gLife.over = true
	}
}

// bury closes what the dead have left open, and gives the guard, or nobody, what they held.
func (p *holderPlugin) bury() {
	if p.gLife != nil && p.gLife.over {
		p.dropGuard()
	}
	if p.life == nil || !p.life.over || p.h == nil {
		return
	}
	p.ill = max(p.ill, p.w.node.top)
	p.w.must("close the holder's store", p.store.Close())
	p.w.must("tear the holder's store", p.disk.mend())
	p.h, p.store = nil, nil
	if p.w.node.dying {
		return
	}
	p.tell()
	for _, h := range p.w.node.htlcs {
		if h.state == heldState && h.ch.state == normal && h.call != "" {
			p.w.node.ask(h, 0)
		}
	}
	if p.watched() {
		p.guard.Step(p.w.ctx) // it takes over at once, before anybody can start another holder
	}
}

func (p *holderPlugin) dropGuard() {
	if p.gStore != nil {
		p.w.must("close the guard's store", p.gStore.Close())
	}
	p.guard, p.gStore, p.gLife = nil, nil, nil
}

// guardHolds says that the guard has taken over: a new holder cannot start before the node does.
func (p *holderPlugin) guardHolds() bool { return p.gStore != nil }

// drop closes everything.
func (p *holderPlugin) drop() {
	if p.h != nil {
		p.store.Close()
	}
	p.dropGuard()
}

// htlc is a call of the hook: the holder's, else the guard's, else nobody's.
func (p *holderPlugin) htlc(id, params json.RawMessage) {
	switch {
	case p.w.node.dying:
	case p.alive():
		p.h.HTLC(id, params)
	case p.watched():
		p.guard.HTLC(id, params)
	default:
		p.w.node.answered(clnio.Message{ID: id, Result: json.RawMessage(`{"result":"continue"}`)})
	}
	p.tell()
}

// block tells of a block.
func (p *holderPlugin) block(height uint32) {
	note := fmt.Appendf(nil, `{"block_added":{"height":%d}}`, height)
	if p.alive() {
		p.h.Note("block_added", note)
	} else {
		p.ill = max(p.ill, height)
	}
	if p.watched() {
		p.guard.Note("block_added", note)
	}
	p.step()
}

// step lets the processes do what is due.
func (p *holderPlugin) step() {
	if p.alive() && p.h.Due() <= p.w.elapsed {
		p.h.Step(p.w.ctx)
	}
	if p.watched() && p.guard.Due() <= p.w.elapsed {
		p.guard.Step(p.w.ctx)
	}
	if p.disk.full && !p.w.calm {
		p.ill = max(p.ill, p.w.node.top)
	}
	p.tell()
}

// tell passes the holder's notifications on.
func (p *holderPlugin) tell() {
	for len(p.notes) > 0 {
		note := p.notes[0]
		p.notes = p.notes[1:]
		if p.watched() {
			p.guard.Note(hold.Topic, note)
		}
		p.w.house.poked = true
	}
}

// at is where an invoice stands at the holder, and the lowest expiry of its parts; empty if it is not known.
func (p *holderPlugin) at(hash orders.Hash) (state string, expiry uint32) {
	if !p.alive() {
		return "", 0
	}
	raw, err := p.h.Call(p.w.ctx, "holdinvoicelookup", fmt.Appendf(nil, `{"payment_hash":"%s"}`, hash))
	var s struct {
		State  string `json:"state"`
		Expiry uint32 `json:"htlc_expiry"`
	}
	if err != nil || json.Unmarshal(raw, &s) != nil {
		return "", 0
	}
	return s.State, s.Expiry
}

// command runs one of the holder's commands, for the exchange.
func (p *holderPlugin) command(method string, ps params) (json.RawMessage, error) {
	if !p.alive() {
		return nil, clnio.Errorf(clnio.CodeMethodNotFound, "Unknown command '%s'", method)
	}
	switch method {
	case "holdinvoice":
		p.w.checkWanted(ps.text("preimage"))
	case "holdinvoicesettle":
		p.w.checkMayEnd(ps.hash("payment_hash"))
	}
	raw, err := json.Marshal(map[string]any(ps))
	p.w.must("write parameters", err)
	if ps == nil {
		raw = []byte("{}")
	}
	out, err := p.h.Call(p.w.ctx, method, raw)
	if !p.alive() {
		return nil, clnio.Errorf(clnio.CodePluginTerminated, "Plugin terminated before replying to RPC call.")
	}
	if err != nil {
		if e, ok := err.(*clnio.Error); ok {
			return nil, e
		}
		return nil, clnio.Errorf(clnio.CodeInternal, "%s", err)
	}
	return out, nil
}
