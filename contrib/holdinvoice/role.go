package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// databaseName is the store's file in the node's directory of its network.
const databaseName = "holdinvoice.db"

// lockWait is how long a process that is going away may keep the store.
const lockWait = 20 * time.Second

// holdRole is the holder as a plugin.
type holdRole struct {
	log    *slog.Logger
	out    outlet
	client *clnio.Client
	store  *store
	h      *holder
}

func newHoldRole(log *slog.Logger, out outlet) *holdRole {
	return &holdRole{log: log, out: out, h: newHolder(log, nil, out, nil, limits{})}
}

func (r *holdRole) manifest() manifest {
	return manifest{
		Options:       holderOptions(),
		Methods:       calls(r.methods()),
		Subscriptions: []string{"block_added", "shutdown", "channel_state_changed"},
		Hooks:         []manifestHook{{Name: "htlc_accepted", Before: []string{"offers", "keysend"}}},
		Topics:        []manifestNote{{topic}},
		NonNumericIDs: true,
		CanCheck:      true,
	}
}

func (r *holdRole) methods() []method { return r.h.methods() }

// init opens the store and asks the node for what a hook call may need at once.
func (r *holdRole) init(ctx context.Context, p initParams) error {
	keepCrashes(p.Config.Dir, "holdinvoice.crash")
	r.client = dial(p)
	if err := r.alone(ctx); err != nil {
		return err
	}
	l, complaints := p.readLimits()
	for _, c := range complaints {
		r.log.Warn(c)
	}
	var err error
	if r.store, err = openStore(filepath.Join(p.Config.Dir, databaseName), lockWait); err != nil {
		return err
	}
	if err := r.store.SetLimits(l); err != nil {
		return err
	}
	r.h = newHolder(r.log, r.client, r.out, r.store, l)
	r.h.late = !p.Config.Startup
	return r.h.wakeUp(ctx, r.store)
}

// alone refuses to stand beside another plugin for the same commands: one of the two would
// never see its payments.
func (r *holdRole) alone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out struct {
		Help []struct {
			Command string `json:"command"`
		} `json:"help"`
	}
	if err := r.client.Call(ctx, "help", nil, &out); err != nil {
		r.log.Warn("commands of other plugins are not known", "err", err)
		return nil
	}
	own := map[string]bool{}
	for _, m := range r.methods() {
		own[m.name] = true
	}
	for _, c := range out.Help {
		name, _, _ := strings.Cut(c.Command, " ")
		if strings.HasPrefix(name, "holdinvoice") && !own[name] {
			return fmt.Errorf("another plugin has the command %q: load only one hold-invoice plugin", name)
		}
	}
	return nil
}

func (r *holdRole) begin(ctx context.Context) { r.h.begin(ctx) }

// hook answers payments of other people at once and judges ours beside.
func (r *holdRole) hook(id, params json.RawMessage) {
	hash, ok := hookHash(params)
	c := r.h.find(hash)
	if !ok || c == nil {
		answer(r.out, id, replyContinue)
		return
	}
	go r.h.accept(c, id, params)
}

func (r *holdRole) note(topic string, params json.RawMessage) {
	switch topic {
	case "block_added":
		r.h.block(params)
	case "channel_state_changed":
		r.h.kick()
	}
}

func (r *holdRole) end() {
	if r.client != nil {
		r.client.Close()
	}
	if r.store != nil {
		r.store.Close()
	}
}

// wakeUp loads the store and learns the height. Only a store that cannot be read stops it.
func (h *holder) wakeUp(ctx context.Context, s *store) error {
	all, err := s.All()
	if err != nil {
		return err
	}
	height, err := s.Height()
	if err != nil {
		return err
	}
	h.load(all, height)
	if _, err := h.seal.Ready(ctx); err != nil {
		h.log.Warn("preimages cannot be opened yet", "err", err)
	}
	soon, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := h.askHeight(soon); err != nil {
		h.log.Warn("height is not known", "err", err)
	}
	return nil
}

// begin starts the loops; each ends with ctx.
func (h *holder) begin(ctx context.Context) {
	for what, loop := range map[string]func(context.Context){
		"sync":    h.watchSync,
		"clock":   h.watchClock,
		"proofs":  h.confirm,
		"guard":   h.keepMirror,
		"recover": h.recoverHeld,
		"cleanup": h.dropUnfinished,
		"compare": h.dropStrangers,
	} {
		go h.keepRunning(ctx, what, loop)
	}
	for _, c := range h.all(func(inv *Invoice) bool { return !inv.State.Final() }) {
		c.mu.Lock()
		h.told.set(c.hash, c.inv.State)
		c.mu.Unlock()
	}
	h.kick()
}

// dial returns a client for the socket that init named.
func dial(p initParams) *clnio.Client {
	path := p.Config.RPCFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.Config.Dir, path)
	}
	c := clnio.NewClient(path)
	c.Prefix = "holdinvoice"
	return c
}

// keepCrashes has the runtime write a fatal error to a file, since the node drops most of
// what a plugin prints while it dies.
func keepCrashes(dir, name string) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	_ = debug.SetCrashOutput(f, debug.CrashOptions{}) // without it we only know less
}
