package orders

import "sync"

// knownKeys are the trade keys of orders that have not ended, for the spam gate. A key is known from the moment that
// its order is committed.
type knownKeys struct {
	mu      sync.RWMutex
	keys    map[PubKey]int       // how many orders it takes part in
	orders  map[OrderID][]PubKey // whose keys are counted for it
	solvers map[PubKey]bool
}

func (k *knownKeys) note(o *Order) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys, k.orders = make(map[PubKey]int), make(map[OrderID][]PubKey)
	}
	k.drop(o.ID)
	for _, p := range []*Party{&o.Maker, &o.Taker} {
		if p.Here() && (!o.Status.Final() || o.Status == Success && !p.Rated) {
			k.keys[p.Trade]++
			k.orders[o.ID] = append(k.orders[o.ID], p.Trade)
		}
	}
}

func (k *knownKeys) drop(id OrderID) {
	for _, key := range k.orders[id] {
		if k.keys[key]--; k.keys[key] == 0 {
			delete(k.keys, key)
		}
	}
	delete(k.orders, id)
}

func (k *knownKeys) setSolvers(all []Solver) {
	set := make(map[PubKey]bool, len(all))
	for _, v := range all {
		set[v.Key] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.solvers = set
}

// Known reports whether the trade key takes part in an order that has not ended, or is a solver's or an admin's.
func (e *Engine) Known(key PubKey) bool {
	e.keys.mu.RLock()
	defer e.keys.mu.RUnlock()
	return e.keys.keys[key] > 0 || e.keys.solvers[key] || e.rules.Load().admin(key)
}

// load fills what the engine keeps in memory: the operator's settings and the keys of open orders. Finished orders cost
// nothing at start.
func (e *Engine) load() error {
	if err := e.loadSettings(); err != nil {
		return err
	}
	return e.read(func(t *tx) {
		e.keys.setSolvers(t.solvers())
		t.each(openBucket, nil, func(k, _ []byte) bool {
			if o, ok := t.order(OrderID(k)); ok {
				e.keys.note(o)
			}
			return true
		})
	})
}
