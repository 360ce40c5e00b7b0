package relay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

const (
	writeTimeout = 10 * time.Second // for one message, then the reader counts as gone
	pingEvery    = 30 * time.Second
)

// conn is one client. Three goroutines serve it, until the first of them ends: the handler's own reads, one writes, one
// pings.
type conn struct {
	relay  *Relay
	ctx    context.Context
	cancel context.CancelFunc // ends the connection; safe with the relay's lock held
	out    chan item          // full: the connection is dropped
	host   string             // as the client called us
	remote string

	subs map[string][]filter // guarded by the relay's lock

	// Of the reading goroutine alone:
	challenge string
	authed    bool
	allowance allowance
}

// item is what the writer has to send: the events of a subscription, then a frame.
type item struct {
	sub    string
	events []*stored
	frame  []byte    // nil: only the events
	due    time.Time // not before
	twice  bool      // each event is sent twice
}

func newConn(r *Relay, req *http.Request) *conn {
	c := &conn{
		relay: r, out: make(chan item, r.cfg.MaxQueue), host: req.Host, remote: req.RemoteAddr,
		subs: make(map[string][]filter), challenge: rand.Text(),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *conn) serve(ws *websocket.Conn) {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer ws.CloseNow()
	defer c.cancel()
	defer func() {
		if p := recover(); p != nil {
			c.relay.cfg.Log.Error("connection ended by a bug", "client", c.remote, "err", p)
		}
	}()
	helpers.Go(func() { c.write(ws) })
	helpers.Go(func() { c.ping(ws) })
	if c.relay.cfg.RequireAuth {
		c.push(item{frame: frame("AUTH", c.challenge)})
	}
	for {
		kind, data, err := ws.Read(c.ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageText {
			c.notice("invalid: messages are text")
			continue
		}
		c.handle(data)
	}
}

func (c *conn) write(ws *websocket.Conn) {
	defer c.cancel()
	for {
		select {
		case <-c.ctx.Done():
			return
		case it := <-c.out:
			if c.send(ws, it) != nil {
				return
			}
		}
	}
}

func (c *conn) send(ws *websocket.Conn, it item) error {
	if wait := time.Until(it.due); !it.due.IsZero() && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-timer.C:
		}
	}
	for _, e := range it.events {
		data := eventFrame(it.sub, e)
		if err := c.sendFrame(ws, data); err != nil {
			return err
		}
		if it.twice {
			if err := c.sendFrame(ws, data); err != nil {
				return err
			}
		}
	}
	if it.frame == nil {
		return nil
	}
	return c.sendFrame(ws, it.frame)
}

func (c *conn) sendFrame(ws *websocket.Conn, data []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, writeTimeout)
	defer cancel()
	return ws.Write(ctx, websocket.MessageText, data)
}

func (c *conn) ping(ws *websocket.Conn) {
	defer c.cancel()
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(c.ctx, writeTimeout)
			err := ws.Ping(ctx)
			cancel()
			if err != nil {
				return
			}
		}
	}
}

// push queues an item without waiting. A reader so slow that its queue is full is dropped: it must ask again anyway.
func (c *conn) push(it item) {
	select {
	case c.out <- it:
	default:
		c.relay.cfg.Log.Info("slow reader dropped", "client", c.remote)
		c.cancel()
	}
}

// offer queues an event for each subscription that asks for it. Call with the relay's lock held.
func (c *conn) offer(e *stored) {
	faults := c.relay.faults
	for id, filters := range c.subs {
		if !matchesAny(filters, &e.event) {
			continue
		}
		it := item{sub: id, events: []*stored{e}, twice: faults.Duplicate}
		if faults.Delay > 0 {
			it.due = time.Now().Add(faults.Delay)
		}
		c.push(it)
	}
}

func (c *conn) notice(text string) { c.push(item{frame: frame("NOTICE", text)}) }

func (c *conn) closed(id, reason string) { c.push(item{frame: frame("CLOSED", id, reason)}) }

func (c *conn) handle(data []byte) {
	req, err := parseRequest(data)
	if err != nil {
		c.notice("invalid: " + err.Error())
		return
	}
	switch {
	case req.verb == "EVENT" && len(req.args) == 1:
		c.event(req.args[0])
	case req.verb == "REQ" && len(req.args) >= 2:
		c.req(req.args[0], req.args[1:])
	case req.verb == "CLOSE" && len(req.args) == 1:
		if id, ok := subscriptionID(req.args[0]); ok {
			c.relay.unsubscribe(c, id)
		}
	case req.verb == "AUTH" && len(req.args) == 1:
		c.auth(req.args[0])
	default:
		c.notice(fmt.Sprintf("invalid: no message %.20q with %d arguments", req.verb, len(req.args)))
	}
}

func (c *conn) event(data json.RawMessage) {
	if !c.allowance.take(c.relay.cfg.EventsPerMinute, time.Now()) {
		// The id is needed for the answer; it is not verified, as that is the work to be saved.
		var e struct{ ID string }
		_ = json.Unmarshal(data, &e) // without an id the answer names none
		c.answer(e.ID, false, "rate-limited: slow down")
		return
	}
	e, err := parseEvent(data)
	if err != nil {
		c.answer(e.ID, false, "invalid: "+err.Error())
		return
	}
	if c.relay.cfg.RequireAuth && !c.authed {
		c.answer(e.ID, false, "auth-required: this relay takes events after AUTH")
		return
	}
	if e.Kind == nostr.KindClientAuthentication {
		c.answer(e.ID, false, "invalid: send this kind with AUTH")
		return
	}
	ok, reason := c.relay.receive(e)
	c.answer(e.ID, ok, reason)
}

// answer sends OK, unless that is what has been switched off.
func (c *conn) answer(id string, ok bool, reason string) {
	if !c.relay.currentFaults().DropOK {
		c.push(item{frame: frame("OK", id, ok, reason)})
	}
}

func (c *conn) req(name json.RawMessage, args []json.RawMessage) {
	id, ok := subscriptionID(name)
	if !ok {
		c.notice("invalid: a subscription id is a string of 1 to 64 characters")
		return
	}
	if c.relay.cfg.RequireAuth && !c.authed {
		c.closed(id, "auth-required: this relay serves events after AUTH")
		return
	}
	if len(args) > c.relay.cfg.MaxFilters {
		c.refuse(id, fmt.Sprintf("invalid: more than %d filters", c.relay.cfg.MaxFilters))
		return
	}
	filters := make([]filter, len(args))
	for i, arg := range args {
		var err error
		if filters[i], err = parseFilter(arg); err != nil {
			c.refuse(id, "invalid: "+err.Error())
			return
		}
	}
	if err := c.relay.subscribe(c, id, filters); err != nil {
		c.closed(id, err.Error())
	}
}

// refuse answers a bad REQ. CLOSED says that no subscription of that name is open, so an older one ends, too.
func (c *conn) refuse(id, reason string) {
	c.relay.unsubscribe(c, id)
	c.closed(id, reason)
}

func subscriptionID(raw json.RawMessage) (string, bool) {
	var id string
	if json.Unmarshal(raw, &id) != nil {
		return "", false
	}
	return id, len(id) >= 1 && len(id) <= 64
}

// allowance lets through so many events a minute, and as many at once.
type allowance struct {
	left float64
	last time.Time
}

func (a *allowance) take(perMinute int, now time.Time) bool {
	if perMinute <= 0 {
		return true
	}
	if a.last.IsZero() {
		a.left = float64(perMinute)
	} else {
		a.left = min(float64(perMinute), a.left+now.Sub(a.last).Minutes()*float64(perMinute))
	}
	a.last = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
