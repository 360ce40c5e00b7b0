package hold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// has says whether something about h is still to be told.
func (m *mirror) has(h Hash) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, dirty := m.dirty[h]
	return dirty
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

// keepMirror tells the datastore of changes.
func (h *Holder) keepMirror(ctx context.Context, _ bool) time.Duration {
	pause := never
	told := h.told.take()
	for _, hash := range sortedHashes(told) {
		state := told[hash]
		if state == Creating {
			continue
		}
		if err := h.mirrorNow(ctx, hash, state); err != nil {
			h.log.Warn("guard cannot be told yet", "hash", hash, "err", err)
			h.told.putBack(hash, state)
			pause = 5 * time.Second
		}
	}
	return pause
}

func sortedHashes[V any](m map[Hash]V) []Hash {
	return slices.SortedFunc(maps.Keys(m), func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
}

// mirrorNow writes one state to the datastore; a final one is removed.
func (h *Holder) mirrorNow(ctx context.Context, hash Hash, s State) error {
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
func readMirror(ctx context.Context, clock Clock, n Node) (map[Hash]State, error) {
	ctx, cancel := clock.Limit(ctx, rpcTimeout)
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
