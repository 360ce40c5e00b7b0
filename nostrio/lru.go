package nostrio

import "container/list"

// lru is a bounded map that forgets what was used longest ago. It is not safe for concurrent use; whoever owns one
// holds its own lock.
type lru[K comparable, V any] struct {
	max   int
	order *list.List // of lruItem, most recently used first
	at    map[K]*list.Element
}

type lruItem[K comparable, V any] struct {
	key K
	val V
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, order: list.New(), at: make(map[K]*list.Element)}
}

func (c *lru[K, V]) get(k K) (v V, ok bool) {
	e, ok := c.at[k]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(lruItem[K, V]).val, true
}

// put sets k and reports whether it was there before.
func (c *lru[K, V]) put(k K, v V) (had bool) {
	if e, ok := c.at[k]; ok {
		e.Value = lruItem[K, V]{k, v}
		c.order.MoveToFront(e)
		return true
	}
	c.at[k] = c.order.PushFront(lruItem[K, V]{k, v})
	if c.order.Len() > c.max {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.at, last.Value.(lruItem[K, V]).key)
	}
	return false
}

func (c *lru[K, V]) remove(k K) {
	if e, ok := c.at[k]; ok {
		c.order.Remove(e)
		delete(c.at, k)
	}
}

func (c *lru[K, V]) len() int { return c.order.Len() }
