package main

import (
	"sync"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// notices are the events in which the exchange speaks of itself, as published last. All methods may be called from any
// goroutine.
type notices struct {
	mu     sync.Mutex
	last   map[int]nostr.Event // by kind: there is one of each
	stamps map[int]int64
}

// stamp is the created_at of the next event of a kind: later than that of any before, across restarts too, since they
// are a second apart at least.
func (n *notices) stamp(kind int) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.raise(kind, max(time.Now().Unix(), n.stamps[kind]+1))
}

// after makes the next stamp of the kind later than at.
func (n *notices) after(kind int, at int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.raise(kind, at)
}

func (n *notices) raise(kind int, at int64) int64 {
	if n.stamps == nil {
		n.stamps = map[int]int64{}
	}
	n.stamps[kind] = max(n.stamps[kind], at)
	return n.stamps[kind]
}

func (n *notices) put(e nostr.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil {
		n.last = map[int]nostr.Event{}
	}
	n.last[e.Kind] = e
}

func (n *notices) get(kind int) (nostr.Event, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.last[kind]
	return e, ok
}

// list names those that a relay should have. Rates are no news after some minutes, and are published again by then.
func (n *notices) list() (list []nostrio.Kept) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for kind, e := range n.last {
		if kind == nostrio.KindRates {
			continue
		}
		k := nostrio.Kept{Kind: kind, CreatedAt: int64(e.CreatedAt)}
		if e.IsAddressable() {
			k.D = e.Tags.GetD()
		}
		list = append(list, k)
	}
	return list
}

// keep tells the pool what relays should have of us: the order book, the open disputes and the notices.
func (h *house) keep() *nostrio.Keep {
	return &nostrio.Keep{
		List: func() []nostrio.Kept {
			book, err := h.Book(time.Now().Unix())
			if err != nil {
				h.log.Error("read the order book", "err", err)
			}
			cases, err := h.DisputeNotes()
			if err != nil {
				h.log.Error("read the disputes", "err", err)
			}
			return append(append(nostrio.BookEvents(book), nostrio.DisputeEvents(cases)...), h.notices.list()...)
		},
		Event: h.kept,
		Newer: h.newer,
	}
}

func (h *house) kept(kind int, d string) (nostr.Event, bool) {
	switch kind {
	case nostrio.KindOrder:
		return h.keptOrder(d)
	case nostrio.KindDispute:
		return h.keptDispute(d)
	}
	return h.notices.get(kind)
}

func (h *house) keptDispute(d string) (nostr.Event, bool) {
	id, err := orders.ParseDisputeID(d)
	if err != nil {
		return nostr.Event{}, false
	}
	n, ok, err := h.DisputeNote(id)
	if err != nil {
		h.log.Error("read a dispute", "dispute", d, "err", err)
	}
	if !ok {
		return nostr.Event{}, false
	}
	return h.courier().DisputeEvent(n), true
}

func (h *house) keptOrder(d string) (nostr.Event, bool) {
	id, err := orders.ParseOrderID(d)
	if err != nil {
		return nostr.Event{}, false
	}
	a, ok, err := h.Announced(id)
	if err != nil {
		h.log.Error("read an order", "order", d, "err", err)
	}
	if !ok {
		return nostr.Event{}, false
	}
	return h.courier().OrderEvent(a), true
}

// clockSlack is how far ahead of our clock relays commonly take events.
const clockSlack = 10 * time.Minute

// newer hears of an event of ours that we don't know. Of an order nothing is changed: the store is what counts, and the
// order's next event will be later than a relay's in all cases but a clock that was far ahead. The next notice is made
// later than the relay's, if that is a time which other relays take.
func (h *house) newer(relay string, e nostr.Event) {
	h.log.Warn("a relay has a later event of ours than we know: was the clock put back, or an old backup restored?",
		"relay", relay, "kind", e.Kind, "d", e.Tags.GetD(), "event", e.ID)
	if e.Kind != nostrio.KindOrder && e.Kind != nostrio.KindDispute && e.CreatedAt.Time().Before(time.Now().Add(clockSlack)) {
		h.notices.after(e.Kind, int64(e.CreatedAt))
	}
}
