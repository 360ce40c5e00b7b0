package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// datastoreRoot is the key under which the node keeps {hash → state} for the guard.
const datastoreRoot = "holdinvoice-guard"

// mirror is what the node's datastore does not say yet: the last state per hash. The guard
// needs to know which hashes are alive; the truth about them is in the store.
type mirror struct {
	mu    sync.Mutex
	dirty map[Hash]State // at most one entry an invoice
	wake  chan struct{}  // capacity one
}

func (m *mirror) set(h Hash, s State) {
	m.mu.Lock()
	m.dirty[h] = s
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mirror) take() map[Hash]State {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dirty
	m.dirty = map[Hash]State{}
	return d
}

// putBack keeps what could not be told, unless something newer came.
func (m *mirror) putBack(h Hash, s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, newer := m.dirty[h]; !newer {
		m.dirty[h] = s
	}
}

// keepMirror tells the datastore of changes until ctx ends.
func (h *holder) keepMirror(ctx context.Context) {
	pause := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.told.wake:
		case <-after(pause):
		}
		pause = 0
		for hash, state := range h.told.take() {
			if state == Creating {
				continue
			}
			if err := h.mirrorNow(ctx, hash, state); err != nil {
				h.log.Warn("guard cannot be told yet", "hash", hash, "err", err)
				h.told.putBack(hash, state)
				pause = 5 * time.Second
			}
		}
	}
}

// after is time.After that never fires for zero.
func after(d time.Duration) <-chan time.Time {
	if d == 0 {
		return nil
	}
	return time.After(d)
}

// mirrorNow writes one state to the datastore; a final one is removed.
func (h *holder) mirrorNow(ctx context.Context, hash Hash, s State) error {
	key := []string{datastoreRoot, hash.String()}
	if !s.Final() {
		return h.rpc(ctx, "datastore", map[string]any{"key": key, "string": string(s), "mode": "create-or-replace"}, nil)
	}
	err := h.rpc(ctx, "deldatastore", map[string]any{"key": key}, nil)
	var refused *clnio.Error
	if errors.As(err, &refused) {
		return nil // it is not there, which is what we want
	}
	return err
}

// readMirror returns the hashes that the datastore says are alive.
func readMirror(ctx context.Context, n node) (map[Hash]State, error) {
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	var out struct {
		Datastore []struct {
			Key    []string `json:"key"`
			String string   `json:"string"`
		} `json:"datastore"`
	}
	if err := n.Call(ctx, "listdatastore", map[string]any{"key": []string{datastoreRoot}}, &out); err != nil {
		return nil, fmt.Errorf("read the hashes that are alive: %w", err)
	}
	alive := map[Hash]State{}
	for _, e := range out.Datastore {
		var h Hash
		if len(e.Key) == 2 && h.UnmarshalText([]byte(e.Key[1])) == nil {
			alive[h] = State(e.String)
		}
	}
	return alive, nil
}
