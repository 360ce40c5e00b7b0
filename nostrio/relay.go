package nostrio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

const (
	dialLimit    = 10 * time.Second
	writeLimit   = 10 * time.Second
	frameMax     = 512 << 10        // longer messages of a relay are passed over
	frameHardMax = 16 << 20         // longer ones end the connection
	retryMost    = 60 * time.Second // between connections
	steady       = 30 * time.Second // a connection that held so long starts the back-off anew
	noticesMax   = 20               // logged per connection
)

// relay keeps one connection up. Three goroutines work on a connection: session reads, writer writes, keeper looks now
// and then whether the relay has all our events; the state between them is guarded by mu. The writer is told by kick
// that there may be something to do.
type relay struct {
	url  string
	pool *Pool
	log  *slog.Logger
	kick chan struct{} // one slot

	mu        sync.Mutex
	status    RelayStatus
	subs      map[string]*subscription
	out       outqueue
	heard     time.Time // when the relay last gave a sign of life
	challenge string    // of AUTH, not answered yet
	authID    string    // our answer's id, not judged yet
	authed    bool
	audit     *audit   // of what the relay has of us, while it is asked
	hangUp    []string // ids of subscriptions to close

	checked time.Time // when it was asked last; this and queries are the keeper's alone
	queries int
}

// run connects again and again until ctx ends.
func (r *relay) run(ctx context.Context) {
	var pause time.Duration
	for ctx.Err() == nil {
		start := time.Now()
		err := r.guarded(func() error { return r.session(ctx) })
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > steady {
			pause = 0
		}
		pause = min(max(2*pause, r.pool.cfg.retry), retryMost)
		r.failed(err)
		r.log.Debug("relay lost", "err", err, "retry", pause)
		// Half of the pause is left to chance, so that clients don't come back all at once.
		if !sleep(ctx, pause/2+rand.N(pause/2+1)) {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// guarded turns a panic into an error: a relay's message must never take the exchange down.
func (r *relay) guarded(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
			r.log.Error("relay connection panicked", "panic", v)
		}
	}()
	return do()
}

// session is one connection, from dialling to its end. It always returns an error.
func (r *relay) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(frameHardMax)

	r.connected()
	defer r.disconnected()
	writerDone := make(chan error, 1)
	go func() {
		defer cancel() // ends the reader
		writerDone <- r.guarded(func() error { return r.writer(ctx, conn) })
	}()
	keeperDone := make(chan struct{})
	go func() {
		defer close(keeperDone)
		_ = r.guarded(func() error { r.keeper(ctx); return nil }) // a panic is logged, and the connection goes on
	}()
	err = r.reader(ctx, conn)
	cancel()
	<-keeperDone
	if werr := <-writerDone; werr != nil && !errors.Is(werr, context.Canceled) {
		return werr
	}
	return err
}

func (r *relay) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, r.url, &websocket.DialOptions{HTTPClient: r.pool.client}) //nolint:bodyclose // "You never need to close resp.Body yourself" (package websocket)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return conn, nil
}

func (r *relay) connected() {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Connected, r.status.Since, r.heard = true, now, now
	r.challenge, r.authID, r.authed, r.hangUp = "", "", false, nil
	for _, s := range r.subs {
		s.reqAt = now
	}
	r.log.Debug("relay connected")
}

func (r *relay) disconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Connected, r.status.Since = false, time.Now()
	r.out.disconnected()
	for _, s := range r.subs {
		s.disconnected(r.heard)
	}
}

func (r *relay) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.status.LastError, r.status.LastErrorAt = err.Error(), time.Now()
	}
}

// poke wakes the writer.
func (r *relay) poke() {
	select {
	case r.kick <- struct{}{}:
	default: // it is awake already
	}
}

// writer sends whatever is due and pings. It ends with ctx or at the first write that fails.
func (r *relay) writer(ctx context.Context, conn *websocket.Conn) error {
	ping := time.NewTicker(r.pool.cfg.ping)
	defer ping.Stop()
	for {
		frames, again := r.due(time.Now())
		for _, f := range frames {
			wctx, cancel := context.WithTimeout(ctx, writeLimit)
			err := conn.Write(wctx, websocket.MessageText, f)
			cancel()
			if err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		var timer <-chan time.Time
		if !again.IsZero() {
			timer = time.After(time.Until(again))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.kick:
		case <-timer:
		case <-ping.C:
			pctx, cancel := context.WithTimeout(ctx, r.pool.cfg.pong)
			err := conn.Ping(pctx)
			cancel()
			if err != nil {
				return fmt.Errorf("ping: %w", err)
			}
			r.mu.Lock()
			r.heard = time.Now()
			r.mu.Unlock()
		}
	}
}

// due collects the frames to send now, and says when to look again; zero for never.
func (r *relay) due(now time.Time) (frames [][]byte, again time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	look := func(at time.Time) {
		if !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	if key := r.pool.cfg.Key; r.challenge != "" && key != nil {
		e := authEvent(key, r.url, r.challenge, now.Unix())
		r.challenge, r.authID = "", e.ID
		frames = append(frames, eventFrame("AUTH", e))
	}
	for _, id := range r.hangUp {
		frames = append(frames, closeFrame(id))
	}
	r.hangUp = nil
	for _, s := range r.subs {
		fs, at := s.due(now, r.pool.cfg.Window)
		frames = append(frames, fs...)
		look(at)
	}
	events, at := r.out.due(now, r.authed)
	for _, e := range events {
		frames = append(frames, eventFrame("EVENT", e))
	}
	look(at)
	return frames, again
}

// reader handles what the relay says until the connection ends.
func (r *relay) reader(ctx context.Context, conn *websocket.Conn) error {
	notices := 0
	for {
		_, in, err := conn.Reader(ctx)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		data, err := io.ReadAll(io.LimitReader(in, frameMax+1))
		if err == nil && len(data) > frameMax {
			// One such event, stored at the relay, must not end every connection that we make.
			r.count(func(s *RelayStatus) { s.Malformed++ })
			_, err = io.Copy(io.Discard, in)
			data = nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if data == nil {
			continue
		}
		f, err := parseFrame(data)
		if err != nil {
			r.count(func(s *RelayStatus) { s.Malformed++ })
			continue
		}
		if f.label == "NOTICE" {
			if notices++; notices > noticesMax {
				continue
			}
		}
		r.handle(f, len(data))
	}
}

func (r *relay) count(what func(*RelayStatus)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what(&r.status)
}

func (r *relay) handle(f frame, size int) {
	now := time.Now()
	if f.label == "EVENT" {
		r.event(f, size, now)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = now
	switch f.label {
	case "OK":
		r.okay(f, now)
	case "EOSE":
		if s := r.sub(f.sub); s != nil {
			s.endOfStored(f.sub)
		}
	case "CLOSED":
		r.log.Debug("relay closed a subscription", "sub", f.sub, "reason", clip(f.text))
		if s := r.sub(f.sub); s != nil {
			s.closed(f.text, now, r.heard, r.pool.cfg.retry, retryMost)
			if s.waitAuth && r.authed {
				s.reqAt = now
			}
		}
	case "NOTICE":
		r.log.Debug("relay says", "notice", clip(f.text))
	case "AUTH":
		r.challenge = f.text
	}
	r.poke()
}

// sub finds the subscription that an id, or its page's id, belongs to.
func (r *relay) sub(id string) *subscription {
	for _, s := range r.subs {
		if s.id == id || s.pageID() == id {
			return s
		}
	}
	return nil
}

func (r *relay) okay(f frame, now time.Time) {
	if f.id == r.authID && f.id != "" {
		r.authID = ""
		if !f.ok {
			r.status.LastError, r.status.LastErrorAt = "auth: "+clip(f.text), now
			return
		}
		r.authed = true
		for _, s := range r.subs {
			if s.waitAuth {
				s.waitAuth, s.reqAt = false, now
			}
		}
		return
	}
	switch decided, accepted := r.out.answered(f.id, f.ok, f.text, now); {
	case decided && accepted:
		r.status.Accepted++
	case decided:
		r.status.Refused++
		r.status.LastError, r.status.LastErrorAt = "refused: "+clip(f.text), now
	}
}

// event hands an event on. Where nobody takes it in time it is dropped, and the relay is asked for it again.
func (r *relay) event(f frame, size int, now time.Time) {
	r.mu.Lock()
	s := r.sub(f.sub)
	if s == nil { // closed or never asked for
		r.mu.Unlock()
		return
	}
	s.event(f.sub, int64(f.event.CreatedAt))
	if s.sink != nil {
		s.sink(f.event)
		r.heard = now
		r.mu.Unlock()
		return
	}
	r.status.Received++
	r.heard = now
	r.mu.Unlock()

	if r.pool.deliver(Received{Event: f.event, Relay: r.url, Size: size}) {
		return
	}
	r.mu.Lock()
	r.status.Dropped++
	s.resync(now, now, r.pool.cfg.resync)
	r.mu.Unlock()
	r.poke()
}

// clip shortens a relay's text for a log.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// send queues an event. It reports whether the relay is connected; answer is called once, now or later.
func (r *relay) send(e nostr.Event, answer func(publishAnswer)) (online bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.add(e, answer)
	r.poke()
	return r.status.Connected
}

func (r *relay) subscribe(id string, f Filter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &subscription{id: id, filter: f}
	if r.status.Connected {
		s.reqAt = time.Now()
	}
	r.subs[id] = s
	r.poke()
}

// rewind has the relay asked again for what it has since then.
func (r *relay) rewind(to time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, s := range r.subs {
		if s.done == nil {
			s.rewind(to, now, r.heard, r.pool.cfg.resync)
		}
	}
	r.poke()
}
