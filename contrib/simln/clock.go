package simln

import (
	"container/heap"
	"sync"
	"time"
)

// clock is the node's time: the machine's, plus an offset that only grows. Timers that stand for the
// protocol's seconds (multi-part timeout, command timeouts) run on it and fire when the offset passes them.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
	timers timerHeap
	wake   *time.Timer
	closed bool
}

type timerEntry struct {
	at      time.Time
	fire    func()
	stopped bool
}

type timerHeap []*timerEntry

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, k int) bool { return h[i].at.Before(h[k].at) }
func (h timerHeap) Swap(i, k int)      { h[i], h[k] = h[k], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(*timerEntry)) }
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// after calls fire in a goroutine of its own once d has passed on this clock. The result stops it.
func (c *clock) after(d time.Duration, fire func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &timerEntry{at: time.Now().Add(c.offset + d), fire: fire}
	heap.Push(&c.timers, e)
	c.arm()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		e.stopped = true
	}
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
	c.arm()
}

func (c *clock) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.wake != nil {
		c.wake.Stop()
	}
}

// arm sets the one real timer to the earliest entry. The caller holds mu.
func (c *clock) arm() {
	if c.wake != nil {
		c.wake.Stop()
	}
	if c.closed || len(c.timers) == 0 {
		return
	}
	c.wake = time.AfterFunc(time.Until(c.timers[0].at.Add(-c.offset)), c.run)
}

func (c *clock) run() {
	c.mu.Lock()
	var due []func()
	now := time.Now().Add(c.offset)
	for len(c.timers) > 0 && !c.timers[0].at.After(now) {
		if e := heap.Pop(&c.timers).(*timerEntry); !e.stopped && !c.closed {
			due = append(due, e.fire)
		}
	}
	c.arm()
	c.mu.Unlock()
	for _, fire := range due {
		fire()
	}
}
