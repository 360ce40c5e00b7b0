package orders

import "sync"

// knownKeys are the trade keys of orders that have not ended, for the spam gate. A key is known from the moment that
// its order is committed.
type knownKeys struct {
	mu   sync.RWMutex
	keys map[PubKey]map[OrderID]bool
}

func (k *knownKeys) note(o *Order) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = make(map[PubKey]map[OrderID]bool)
	}
	for _, p := range []*Party{&o.Maker, &o.Taker} {
		if !p.Here() {
			continue
		}
		if !o.Status.Final() || o.Status == Success && !p.Rated {
			if k.keys[p.Trade] == nil {
				k.keys[p.Trade] = make(map[OrderID]bool)
			}
			k.keys[p.Trade][o.ID] = true
			continue
		}
		delete(k.keys[p.Trade], o.ID)
		if len(k.keys[p.Trade]) == 0 {
			delete(k.keys, p.Trade)
		}
	}
}

// Known reports whether the trade key takes part in an order that has not ended.
func (e *Engine) Known(key PubKey) bool {
	e.keys.mu.RLock()
	defer e.keys.mu.RUnlock()
	return len(e.keys.keys[key]) > 0
}

// load fills what the engine keeps in memory: the keys of open orders. Finished orders cost nothing at start.
func (e *Engine) load() error {
	return e.read(func(t *tx) {
		t.each(openBucket, nil, func(k, _ []byte) bool {
			if o, ok := t.order(OrderID(k)); ok {
				e.keys.note(o)
			}
			return true
		})
	})
}
