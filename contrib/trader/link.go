package trader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

// link is the connection to one relay. Its run goroutine dials, reads, and dials again; anyone may write.
type link struct {
	relays *relays
	url    string

	mu      sync.Mutex
	ws      *websocket.Conn // nil while down
	lastErr error           // why it is down
	pending map[string]chan answer
	backlog map[string][]nostr.Event // stored events until EOSE, by subscription id
	stored  map[string]bool          // subscription ids whose stored events are all here
}

// answer is what became of an event at one relay.
type answer struct {
	ok   bool
	sent bool  // it went out, and nothing is known of it
	err  error // when neither
}

func (l *link) run() {
	backoff := firstBackoff
	for {
		start := time.Now()
		err := l.session()
		if l.relays.ctx.Err() != nil {
			return
		}
		if time.Since(start) > time.Minute {
			backoff = firstBackoff
		}
		l.relays.log.Debug("relay is down", "relay", l.url, "err", err, "retry", backoff)
		// Jitter, so that not all clients of a relay come back in one moment.
		timer := time.NewTimer(backoff/2 + rand.N(backoff))
		select {
		case <-timer.C:
		case <-l.relays.ctx.Done():
			timer.Stop()
			return
		}
		backoff = min(backoff*2, lastBackoff)
	}
}

// session is one connection from dial to fall.
func (l *link) session() (err error) {
	dialCtx, cancelDial := context.WithTimeout(l.relays.ctx, dialTimeout)
	ws, _, err := websocket.Dial(dialCtx, l.url, nil)
	cancelDial()
	if err != nil {
		l.down(err)
		return err
	}
	ws.SetReadLimit(readLimit)
	ctx, cancel := context.WithCancel(l.relays.ctx)
	var pinging sync.WaitGroup
	pinging.Go(func() { ping(ctx, ws) })
	defer pinging.Wait()
	defer cancel()
	defer ws.CloseNow()
	defer func() { l.down(err) }()
	l.up(ws)
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		l.handle(data)
	}
}

// ping ends a connection whose other side has silently gone.
func ping(ctx context.Context, ws *websocket.Conn) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			pingCtx, cancel := context.WithTimeout(ctx, writeTimeout)
			err := ws.Ping(pingCtx)
			cancel()
			if err != nil {
				ws.CloseNow()
				return
			}
		}
	}
}

// up makes the connection known and asks for all subscriptions.
func (l *link) up(ws *websocket.Conn) {
	l.mu.Lock()
	l.ws = ws
	l.backlog = make(map[string][]nostr.Event)
	l.stored = make(map[string]bool)
	l.mu.Unlock()
	l.relays.mu.Lock()
	l.relays.notify()
	subs := make([]subscription, 0, len(l.relays.subs))
	for _, sub := range l.relays.subs {
		subs = append(subs, sub)
	}
	l.relays.mu.Unlock()
	for _, sub := range subs {
		l.request(sub)
	}
}

// down forgets the connection. What was sent and not answered stays unclear.
func (l *link) down(err error) {
	l.mu.Lock()
	l.ws, l.lastErr = nil, err
	for id, ch := range l.pending {
		ch <- answer{sent: true}
		delete(l.pending, id)
	}
	l.mu.Unlock()
	l.relays.mu.Lock()
	l.relays.notify()
	l.relays.mu.Unlock()
}

func (l *link) condition(subID string) (up, stored bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ws != nil, l.stored[subID]
}

func (l *link) health() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ws != nil {
		return l.url + " is connected"
	}
	return fmt.Sprintf("%s is down: %v", l.url, l.lastErr)
}

// request opens a subscription if the link is up.
func (l *link) request(sub subscription) {
	elements := []any{"REQ", sub.id}
	for _, f := range sub.filters {
		elements = append(elements, f)
	}
	l.send(elements...)
}

// send writes a frame if the link is up. An error of the write shows as the connection's fall.
func (l *link) send(elements ...any) {
	data, err := json.Marshal(elements)
	if err != nil {
		l.relays.log.Error("frame does not encode", "err", err)
		return
	}
	l.mu.Lock()
	ws := l.ws
	l.mu.Unlock()
	if ws != nil {
		_ = l.write(ws, data)
	}
}

func (l *link) write(ws *websocket.Conn, data []byte) error {
	ctx, cancel := context.WithTimeout(l.relays.ctx, writeTimeout)
	defer cancel()
	return ws.Write(ctx, websocket.MessageText, data)
}

// publish sends an event when the link is up and waits for the relay's OK.
func (l *link) publish(ctx context.Context, id string, frame []byte) answer {
	ctx, cancel := context.WithTimeout(ctx, okTimeout)
	defer cancel()
	ws, err := l.awaitUp(ctx)
	if err != nil {
		return answer{err: err}
	}
	done := make(chan answer, 1)
	l.mu.Lock()
	if l.ws != ws {
		l.mu.Unlock()
		return answer{err: fmt.Errorf("%s: connection lost", l.url)}
	}
	l.pending[id] = done
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pending, id)
		l.mu.Unlock()
	}()
	if err := l.write(ws, frame); err != nil {
		return answer{sent: true} // parts may have gone out
	}
	select {
	case a := <-done:
		return a
	case <-ctx.Done():
		return answer{sent: true}
	}
}

func (l *link) awaitUp(ctx context.Context) (*websocket.Conn, error) {
	for {
		l.relays.mu.Lock()
		changed := l.relays.changed
		l.relays.mu.Unlock()
		l.mu.Lock()
		ws := l.ws
		l.mu.Unlock()
		if ws != nil {
			return ws, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errors.New(l.health())
		}
	}
}

// handle reads a relay's message. What it does not understand it passes over.
func (l *link) handle(data []byte) {
	defer func() {
		if p := recover(); p != nil { // a bug that a relay's message has found must not end the program
			l.relays.log.Error("message of a relay dropped by a bug", "relay", l.url, "err", p)
		}
	}()
	var elements []json.RawMessage
	if json.Unmarshal(data, &elements) != nil || len(elements) < 2 {
		return
	}
	var verb, id, text string
	_ = json.Unmarshal(elements[0], &verb) // one that is no string matches no case
	if json.Unmarshal(elements[1], &id) != nil {
		return
	}
	switch {
	case verb == "EVENT" && len(elements) == 3:
		l.event(id, elements[2])
	case verb == "EOSE":
		l.eose(id)
	case verb == "OK" && len(elements) >= 3:
		var ok bool
		_ = json.Unmarshal(elements[2], &ok) // no boolean counts as a refusal
		if len(elements) > 3 {
			_ = json.Unmarshal(elements[3], &text) // words for people
		}
		l.ok(id, ok, text)
	case verb == "CLOSED":
		if len(elements) > 2 {
			_ = json.Unmarshal(elements[2], &text)
		}
		l.closed(id, text)
	case verb == "NOTICE":
		l.relays.log.Debug("relay's notice", "relay", l.url, "notice", id)
	}
}

func (l *link) event(subID string, data json.RawMessage) {
	name, _, ok := l.relays.current(subID)
	if !ok {
		return
	}
	var e nostr.Event
	if e.UnmarshalJSON(data) != nil || len(e.ID) != 64 {
		return
	}
	l.mu.Lock()
	if !l.stored[subID] {
		if len(l.backlog[subID]) < maxStored {
			l.backlog[subID] = append(l.backlog[subID], e)
		}
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.relays.receive(name, []nostr.Event{e})
}

func (l *link) eose(subID string) {
	l.mu.Lock()
	events := l.backlog[subID]
	delete(l.backlog, subID)
	l.mu.Unlock()
	if name, _, ok := l.relays.current(subID); ok {
		l.relays.receive(name, events)
	}
	l.mu.Lock()
	l.stored[subID] = true
	l.mu.Unlock()
	l.relays.mu.Lock()
	l.relays.notify()
	l.relays.mu.Unlock()
}

func (l *link) ok(id string, ok bool, text string) {
	l.mu.Lock()
	done := l.pending[id]
	delete(l.pending, id)
	l.mu.Unlock()
	if done == nil {
		return
	}
	a := answer{ok: ok || strings.HasPrefix(text, "duplicate:")}
	if !a.ok {
		a.err = fmt.Errorf("%s: %s", l.url, text)
	}
	done <- a
}

// closed asks again, after a while, for a subscription that the relay has ended.
func (l *link) closed(subID, reason string) {
	_, sub, ok := l.relays.current(subID)
	if !ok {
		return
	}
	l.relays.log.Info("relay closed a subscription", "relay", l.url, "reason", reason)
	l.mu.Lock()
	ws := l.ws
	delete(l.stored, subID)
	l.mu.Unlock()
	time.AfterFunc(time.Second, func() {
		l.mu.Lock()
		same := l.ws == ws && ws != nil
		l.mu.Unlock()
		if _, _, still := l.relays.current(subID); same && still && l.relays.ctx.Err() == nil {
			l.request(sub)
		}
	})
}
