package trader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// relays holds a connection to each relay and opens it again whenever it falls. A subscription lives until it is
// replaced: after each reconnect it is asked for anew with the same filters, which is the backfill.
type relays struct {
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	running sync.WaitGroup
	log     *slog.Logger
	links   []*link
	deliver func(subscription string, events []nostr.Event) // one call for all that a relay had stored

	mu      sync.Mutex
	subs    map[string]subscription // by name
	seq     int                     // makes each REQ's id new, so that no EOSE is taken for another's
	seen    seen
	changed chan struct{} // closed and made anew when a link's condition changes
	closed  bool
}

type subscription struct {
	id      string // name-seq
	filters []nostr.Filter
}

func newRelays(urls []string, log *slog.Logger, deliver func(string, []nostr.Event)) *relays {
	p := &relays{
		log: log, deliver: deliver, subs: make(map[string]subscription), changed: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	urls = slices.Clone(urls)
	slices.Sort(urls)
	for _, url := range slices.Compact(urls) {
		l := &link{relays: p, url: url, pending: make(map[string]chan answer), lastErr: errors.New("not connected yet")}
		p.links = append(p.links, l)
	}
	for _, l := range p.links {
		p.running.Go(l.run)
	}
	return p
}

// close ends all connections and waits for them. No event is delivered afterwards.
func (p *relays) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.running.Wait()
}

// notify wakes those who wait for a change. Call with the lock held.
func (p *relays) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// subscribe opens a subscription at all relays, in place of one of the same name.
func (p *relays) subscribe(name string, filters ...nostr.Filter) {
	p.mu.Lock()
	old := p.subs[name]
	p.seq++
	sub := subscription{id: name + "-" + strconv.Itoa(p.seq), filters: filters}
	p.subs[name] = sub
	p.mu.Unlock()
	for _, l := range p.links {
		// A link that is down, or falls now, asks when it is up again.
		if old.id != "" {
			l.send("CLOSE", old.id)
		}
		l.request(sub)
	}
}

// awaitStored waits until every relay that is connected, and at least one, has sent what it had stored for a
// subscription. With none connected it waits on; when ctx ends, the error says what is wrong with each.
func (p *relays) awaitStored(ctx context.Context, name string) error {
	for {
		p.mu.Lock()
		changed, id := p.changed, p.subs[name].id
		p.mu.Unlock()
		done, waiting := 0, 0
		for _, l := range p.links {
			switch up, stored := l.condition(id); {
			case up && stored:
				done++
			case up:
				waiting++
			}
		}
		if done > 0 && waiting == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (%s)", name, ctx.Err(), p.health())
		}
	}
}

// health tells the state of each relay in words.
func (p *relays) health() string {
	var words []string
	for _, l := range p.links {
		words = append(words, l.health())
	}
	return strings.Join(words, "; ")
}

// errUnclear means that an event may have gone out.
var errUnclear = errors.New("a relay may have the event")

// publish sends an event to all relays. Nil means that a relay has taken it, or, if none said so in time, that one may
// have: only an answer of the Mostro can tell. Any error but errUnclear, for a ctx that ended, means that none has it.
func (p *relays) publish(ctx context.Context, e nostr.Event) error {
	frame, err := json.Marshal([]any{"EVENT", e})
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	results := make(chan answer, len(p.links))
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return errClosed
	}
	for _, l := range p.links {
		// Not ended with ctx: the other relays should have it even when one was quick.
		p.running.Go(func() { results <- l.publish(p.ctx, e.ID, frame) })
	}
	p.mu.Unlock()
	unclear := false
	var refusals []error
	for range p.links {
		select {
		case r := <-results:
			switch {
			case r.ok:
				return nil
			case r.sent:
				unclear = true
			default:
				refusals = append(refusals, r.err)
			}
		case <-ctx.Done():
			return fmt.Errorf("publish: %w: %w", errUnclear, ctx.Err())
		}
	}
	if unclear {
		p.log.Warn("no relay confirmed an event", "event", e.ID)
		return nil
	}
	return fmt.Errorf("publish: no relay took the event: %w", errors.Join(refusals...))
}

// receive verifies events, drops those that were seen before, and delivers the rest.
func (p *relays) receive(name string, events []nostr.Event) {
	fresh := events[:0:0]
	for _, e := range events {
		p.mu.Lock()
		known := p.seen.has(name, e.ID)
		p.mu.Unlock()
		if known {
			continue
		}
		if err := verifyEvent(e); err != nil {
			p.log.Warn("event dropped", "event", e.ID, "err", err)
			continue
		}
		p.mu.Lock()
		first := p.seen.add(name, e.ID)
		p.mu.Unlock()
		if first {
			fresh = append(fresh, e)
		}
	}
	if len(fresh) > 0 {
		p.deliver(name, fresh)
	}
}

// current reports whether an id is that of the subscription now open under its name.
func (p *relays) current(id string) (name string, sub subscription, ok bool) {
	i := strings.LastIndexByte(id, '-')
	if i < 0 {
		return "", sub, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sub, ok = p.subs[id[:i]]
	return id[:i], sub, ok && sub.id == id
}

// seen remembers the last events, at least 8192, so that what several relays send is verified once. What it has
// forgotten comes again, which must be harmless.
type seen struct{ young, old map[seenKey]struct{} }

type seenKey struct{ name, id string }

var errClosed = errors.New("the trader is closed")

const seenHalf = 8192

func (s *seen) has(name, id string) bool {
	k := seenKey{name, id}
	_, young := s.young[k]
	_, old := s.old[k]
	return young || old
}

// add reports whether the event is new.
func (s *seen) add(name, id string) bool {
	if s.has(name, id) {
		return false
	}
	if s.young == nil || len(s.young) >= seenHalf {
		s.old, s.young = s.young, make(map[seenKey]struct{})
	}
	s.young[seenKey{name, id}] = struct{}{}
	return true
}

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	okTimeout    = 5 * time.Second // for a relay's OK, and for the connection that it needs
	pingEvery    = 30 * time.Second
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 30 * time.Second
	readLimit    = 1 << 20 // bytes of one message
	maxStored    = 20_000  // events that one relay may send before EOSE; more are dropped
)
