package nostrio

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// Keep says which of our replaceable and addressable events relays should have. After each connect, and about every
// hour, a relay is asked for those that it has, and is sent, alone, what it lacks or has in an older revision: it may
// have been wiped or replaced, or have missed events while it was down for longer than its queue remembers.
// The functions are called from many goroutines.
type Keep struct {
	// List names all events that relays should have now, each address once. It is called at every look at a relay, so
	// it had better sign nothing.
	List func() []Kept
	// Event makes the signed event that stands at an address now; false if there never was one. It is asked for what a
	// relay lacks, and for orders and disputes that a relay shows as live and List does not name: such a one has ended, and
	// the relay has missed that.
	Event func(kind int, d string) (nostr.Event, bool)
	// Newer hears of an event at a relay that we have signed and know nothing of, or of a revision later than Event's:
	// the clock was put back, or an old backup is in use. The relay will not take ours. May be nil.
	Newer func(relay string, e nostr.Event)
}

// Kept is the address of an event and the time of its present revision.
type Kept struct {
	Kind      int
	D         string // tag d; empty for a replaceable kind
	CreatedAt int64  // unix seconds
}

const (
	strayWindow = 24 * time.Hour // how far to look back for orders that a relay shows and should not
	giveWindow  = 16             // events under way to a relay that lacks them
	refusedMost = 16             // in a row, then a relay is left alone until the next look
)

// keeper looks at what the relay has of us, as long as the connection lasts.
func (r *relay) keeper(ctx context.Context) {
	k := r.pool.cfg.Keep
	if k == nil {
		return
	}
	// A relay that comes and goes is not asked for the whole book each time.
	wait := max(0, time.Until(r.checked.Add(r.pool.cfg.space)))
	for sleep(ctx, wait) {
		r.checked = time.Now()
		r.look(ctx, k)
		every := r.pool.cfg.keep
		wait = every - every/10 + rand.N(every/5+1)
	}
}

// list makes the list, or returns one that somebody else has begun since this was called: relays come back together,
// and reading a long book takes a while. It is not to be changed.
func (p *Pool) list(k *Keep) []Kept {
	since := time.Now()
	p.listing.Lock()
	defer p.listing.Unlock()
	if p.listedAt.Before(since) {
		begun := time.Now()
		p.listed = k.List()
		p.listedAt = begun
	}
	return p.listed
}

// look goes through one kind after the other. Orders and disputes are looked at even if there should be none.
func (r *relay) look(ctx context.Context, k *Keep) {
	list := r.pool.list(k)
	kinds, byKind := []int{KindOrder, KindDispute}, map[int][]Kept{}
	for _, e := range list {
		if !slices.Contains(kinds, e.Kind) {
			kinds = append(kinds, e.Kind)
		}
		byKind[e.Kind] = append(byKind[e.Kind], e)
	}
	for _, kind := range kinds {
		a := newAudit(r.pool.cfg.Key.PubKey(), kind, byKind[kind])
		covers, ok := r.ask(ctx, a)
		if !ok {
			if ctx.Err() == nil {
				r.log.Debug("relay does not say what it has", "kind", kind)
			}
			return
		}
		give := append(a.lacking(covers), r.odd(a, k)...)
		if len(give) == 0 {
			continue
		}
		r.log.Info("relay lacks events", "kind", kind, "count", len(give))
		r.give(ctx, k, kind, give)
	}
	r.count(func(s *RelayStatus) { s.Checked = time.Now() })
}

// ask fills the audit with what the relay has. The list was made before, so that whatever it names has reached the
// relay before the question, is in the queue, or is seen to be taken while the relay answers. False: no whole answer.
func (r *relay) ask(ctx context.Context, a *audit) (covers func(at int64) bool, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, r.pool.cfg.query)
	defer cancel()
	done := make(chan struct{})
	r.queries++
	s := &subscription{
		id:     "mostro-own-" + strconv.Itoa(r.queries), // another each time: a late EOSE is none of the next query
		filter: Filter{Kinds: []int{a.kind}, Authors: append(Filter{}.Authors, r.pool.cfg.Key.PubKey())},
		from:   a.since(time.Now()), reqAt: time.Now(), sink: a.see, done: sync.OnceFunc(func() { close(done) }),
	}
	r.mu.Lock()
	r.subs[s.id], r.audit = s, a
	r.poke()
	r.mu.Unlock()
	select {
	case <-done:
		ok = true
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.subs, s.id)
	r.audit = nil
	r.hangUp = append(r.hangUp, s.id)
	if s.until != 0 {
		r.hangUp = append(r.hangUp, s.pageID())
	}
	r.poke()
	return s.covers, ok
}

// took notes an event that the relay has said to have.
func (r *relay) took(e nostr.Event) {
	if r.audit != nil {
		r.audit.see(e)
	}
}

// odd looks into what the relay has and should not have: it returns the d of those that it has missed the end of, and
// reports those that are from a time that we don't know.
func (r *relay) odd(a *audit, k *Keep) (give []string) {
	for _, e := range append(a.stray, a.newer...) {
		d := address(e)
		ours, ok := k.Event(a.kind, d)
		switch {
		case ok && ours.CreatedAt > e.CreatedAt:
			if a.slots[d] == nil {
				give = append(give, d)
			}
		case ok && ours.CreatedAt == e.CreatedAt, k.Newer == nil:
		default:
			if _, _, err := verifyEvent(e); err == nil { // the relay could have made it up
				k.Newer(r.url, e)
			}
		}
	}
	slices.Sort(give)
	return slices.Compact(give)
}

// give sends the relay what it lacks, a few at a time, so that what is published meanwhile does not wait behind a whole
// book. Events are made at the last moment, as they then are. A relay that limits the rate holds this up; one that
// refuses is left alone.
func (r *relay) give(ctx context.Context, k *Keep, kind int, ds []string) {
	answers := make(chan publishAnswer, giveWindow)
	open, refused := 0, 0
	hear := func(a publishAnswer) {
		if open--; a.ok {
			refused = 0
			r.count(func(s *RelayStatus) { s.Mended++ })
		} else {
			refused++
		}
	}
	for _, d := range ds {
		e, ok := k.Event(kind, d)
		if !ok {
			continue
		}
		for open == giveWindow || !r.offer(e, func(a publishAnswer) { answers <- a }) {
			select {
			case a := <-answers:
				hear(a)
			case <-time.After(time.Second): // the queue is long, or the relay slow
			case <-ctx.Done():
				return
			}
		}
		open++
		if refused >= refusedMost {
			r.log.Debug("relay refuses what it lacks", "kind", kind)
			return
		}
	}
	for open > 0 {
		select {
		case a := <-answers:
			hear(a)
		case <-ctx.Done():
			return
		}
	}
}

// offer queues an event if the queue is not half full: what is published now goes first. Answer is called once, now or
// later.
func (r *relay) offer(e nostr.Event, answer func(publishAnswer)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.out.list) > r.out.max/2 {
		return false
	}
	r.out.add(e, answer)
	r.poke()
	return true
}
