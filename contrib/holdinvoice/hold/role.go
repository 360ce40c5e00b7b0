package hold

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
	log     *slog.Logger
	out     Outlet
	version string
	client  *clnio.Client
	store   *Store
	h       *Holder
}

func newHoldRole(log *slog.Logger, out Outlet, version string) *holdRole {
	return &holdRole{log: log, out: out, version: version, h: newHolder(Config{Log: log, Out: out})}
}

func (r *holdRole) manifest() manifest {
	return manifest{
		Options:       holderOptions(),
		Methods:       calls(r.methods()),
		Subscriptions: []string{"block_added", "shutdown", "channel_state_changed"},
		Hooks:         []manifestHook{{Name: "htlc_accepted", Before: []string{"offers", "keysend"}}},
		Topics:        []manifestNote{{Topic}},
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
	keep, more := p.readKeep()
	for _, c := range append(complaints, more...) {
		r.log.Warn(c)
	}
	var err error
	if r.store, err = OpenStore(filepath.Join(p.Config.Dir, databaseName), StoreOptions{Wait: lockWait}); err != nil {
		return err
	}
	if err := r.store.SetLimits(l); err != nil {
		return err
	}
	r.h, err = New(ctx, Config{
		Log: r.log, Node: r.client, Out: r.out, Vault: r.store,
		Limits: l, Keep: keep, Late: !p.Config.Startup, Version: r.version,
	})
	return err
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

func (r *holdRole) begin(ctx context.Context) { r.h.Start(ctx) }

// hook answers payments of other people at once and judges ours beside.
func (r *holdRole) hook(id, params json.RawMessage) {
	c := r.h.knows(params)
	if c == nil {
		answer(r.out, id, replyContinue)
		return
	}
	go r.h.accept(c, id, params)
}

func (r *holdRole) note(topic string, params json.RawMessage) { r.h.Note(topic, params) }

func (r *holdRole) end() {
	if r.client != nil {
		r.client.Close()
	}
	if r.store != nil {
		r.store.Close()
	}
}

// wakeUp loads the vault and learns the height. Only a vault that cannot be read stops it.
func (h *Holder) wakeUp(ctx context.Context) error {
	all, err := h.vault.Live()
	if err != nil {
		return err
	}
	height, err := h.vault.Height()
	if err != nil {
		return err
	}
	h.load(all, height)
	if _, err := h.seal.Ready(ctx); err != nil {
		h.log.Warn("preimages cannot be opened yet", "err", err)
	}
	soon, cancel := h.clock.Limit(ctx, 10*time.Second)
	defer cancel()
	if err := h.askHeight(soon); err != nil {
		h.log.Warn("height is not known", "err", err)
	}
	return nil
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
