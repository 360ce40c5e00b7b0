package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

// Config says what a relay allows. The zero value is right for most tests; each zero number means the default named.
type Config struct {
	Name        string // in the information document
	Description string
	Log         *slog.Logger // nil: silent

	RequireAuth bool // NIP-42: nothing is taken or served before AUTH

	MaxMessage       int64 // bytes of one message of a client; 512 KiB
	MaxConnections   int   // 4096; more are answered 503
	MaxSubscriptions int   // per connection; 64
	MaxFilters       int   // per subscription; 32
	MaxLimit         int   // stored events per filter; 10,000
	MaxEvents        int   // kept in all, the oldest go first; 100,000
	MaxQueue         int   // messages that may wait for one reader, which is dropped at the next; 4096
	EventsPerMinute  int   // taken from one connection; 0: as many as come
}

func (c Config) withDefaults() Config {
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if c.MaxMessage <= 0 {
		c.MaxMessage = 512 << 10
	}
	orInt(&c.MaxConnections, 4096)
	orInt(&c.MaxSubscriptions, 64)
	orInt(&c.MaxFilters, 32)
	orInt(&c.MaxLimit, 10_000)
	orInt(&c.MaxEvents, 100_000)
	orInt(&c.MaxQueue, 4096)
	if c.Name == "" {
		c.Name = "in-memory relay"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Relay keeps events and serves them; it is an http.Handler. Its methods may be called from any goroutine.
type Relay struct {
	cfg  Config
	gone sync.WaitGroup // connections being served

	mu       sync.Mutex // guards all below
	store    *store
	conns    map[*conn]struct{}
	watchers map[*watcher]struct{}
	changed  chan struct{} // closed and made anew when a subscription opens or ends
	faults   Faults
	down     bool        // no connections are taken
	closed   bool        // for good
	purge    *time.Timer // removes what has expired; nil when nothing will
	purgeAt  int64       // unix seconds
}

// New makes a relay without a listening socket. Serve it with net/http, or call Listen.
func New(cfg Config) *Relay {
	cfg = cfg.withDefaults()
	return &Relay{
		cfg:      cfg,
		store:    newStore(cfg.MaxEvents),
		conns:    make(map[*conn]struct{}),
		watchers: make(map[*watcher]struct{}),
		changed:  make(chan struct{}),
	}
}

// Close drops every client and takes no more. The events can still be looked at.
func (r *Relay) Close() {
	r.setDown(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.purge != nil {
		r.purge.Stop()
		r.purge = nil
	}
}

// setDown with true ends all connections, waits for them, and lets no new one in.
func (r *Relay) setDown(down bool) {
	r.mu.Lock()
	r.down = down
	r.mu.Unlock()
	if down {
		r.DisconnectAll()
		r.gone.Wait()
	}
}

// ServeHTTP serves the WebSocket, or to a plain request the NIP-11 information document.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
		r.serveInfo(w, req)
		return
	}
	c := newConn(r, req)
	if err := r.admit(c); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer r.leave(c)
	// Any origin may speak to a relay: it knows no cookies, and web clients live elsewhere.
	ws, err := websocket.Accept(w, req, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		r.cfg.Log.Debug("websocket refused", "err", err)
		return
	}
	ws.SetReadLimit(r.cfg.MaxMessage)
	c.serve(ws)
}

func (r *Relay) admit(c *conn) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return errors.New("the relay is down")
	}
	if len(r.conns) >= r.cfg.MaxConnections {
		return errors.New("the relay is full")
	}
	r.conns[c] = struct{}{}
	r.gone.Add(1)
	return nil
}

func (r *Relay) leave(c *conn) {
	r.mu.Lock()
	delete(r.conns, c)
	r.subscriptionsChanged()
	r.mu.Unlock()
	r.gone.Done()
}

// subscriptionsChanged wakes who waits for subscribers. Call with the lock held.
func (r *Relay) subscriptionsChanged() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Publish puts an event into the relay as if a client had sent it, past the faults. The error holds the relay's reason,
// with its machine-readable prefix; an event that the relay has already is no error.
func (r *Relay) Publish(e nostr.Event) error {
	if !isHex(e.ID, 64) || !isHex(e.PubKey, 64) || !isHex(e.Sig, 128) {
		return errors.New("invalid: not a signed event")
	}
	if err := verify(e); err != nil {
		return fmt.Errorf("invalid: %w", err)
	}
	if ok, reason := r.take(e); !ok {
		return errors.New(reason)
	}
	return nil
}

// take stores a verified event and hands it to the subscribers, in one step: no subscriber misses an event between its
// stored events and the live ones, and none gets it twice.
func (r *Relay) take(e nostr.Event) (ok bool, reason string) {
	s, err := newStored(e)
	if err != nil {
		return false, "invalid: " + err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh, ok, reason := r.store.put(s, time.Now().Unix())
	if !fresh {
		return ok, reason
	}
	r.schedulePurge(s.expires)
	for c := range r.conns {
		c.offer(s)
	}
	for w := range r.watchers {
		w.see(&s.event)
	}
	return ok, reason
}

// subscribe opens a subscription, or replaces the one of that name, and queues the stored events and EOSE.
func (r *Relay) subscribe(c *conn, id string, filters []filter) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, replaces := c.subs[id]; !replaces && len(c.subs) >= r.cfg.MaxSubscriptions {
		return fmt.Errorf("rate-limited: more than %d subscriptions", r.cfg.MaxSubscriptions)
	}
	c.subs[id] = filters
	c.push(item{sub: id, events: r.store.query(filters, time.Now().Unix(), r.cfg.MaxLimit), frame: frame("EOSE", id)})
	r.subscriptionsChanged()
	return nil
}

func (r *Relay) unsubscribe(c *conn, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(c.subs, id)
	r.subscriptionsChanged()
}

// schedulePurge makes sure that the timer runs when an event expires. Call with the lock held.
func (r *Relay) schedulePurge(at int64) {
	if at == 0 || r.closed || r.purge != nil && r.purgeAt <= at {
		return
	}
	if r.purge != nil {
		r.purge.Stop()
	}
	r.purgeAt = at
	// At most one sweep a second, however many events expire; until then an expired event is there but not served.
	wait := max(time.Until(time.Unix(at, 0)), time.Second)
	r.purge = time.AfterFunc(wait, r.purgeExpired)
}

func (r *Relay) purgeExpired() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.purge = nil
	r.schedulePurge(r.store.purge(time.Now().Unix()))
}
