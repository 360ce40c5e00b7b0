package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

// alice and bob are secret keys of these tests alone.
const (
	alice = "0000000000000000000000000000000000000000000000000000000000000001"
	bob   = "0000000000000000000000000000000000000000000000000000000000000002"
)

func pub(secret string) string {
	p, _ := nostr.GetPublicKey(secret)
	return p
}

// sign makes an event; the time counts from a fixed point, in seconds.
func sign(t testing.TB, secret string, kind int, at int64, content string, tags ...nostr.Tag) nostr.Event {
	t.Helper()
	e := nostr.Event{Kind: kind, CreatedAt: nostr.Timestamp(1_700_000_000 + at), Content: content, Tags: tags}
	if err := e.Sign(secret); err != nil {
		t.Fatal(err)
	}
	return e
}

func listen(t *testing.T, cfg Config) *Server {
	t.Helper()
	srv, err := New(cfg).Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// client is a bare websocket that speaks frames.
type client struct {
	t   *testing.T
	ctx context.Context
	ws  *websocket.Conn
}

func dial(t *testing.T, srv *Server) *client {
	t.Helper()
	ctx := within(t)
	ws, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return &client{t: t, ctx: ctx, ws: ws}
}

func (c *client) sendRaw(text string) {
	c.t.Helper()
	if err := c.ws.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) send(elements ...any) {
	c.t.Helper()
	data, err := json.Marshal(elements)
	if err != nil {
		c.t.Fatal(err)
	}
	c.sendRaw(string(data))
}

// next reads one frame; events are shortened to their content.
func (c *client) next() string {
	c.t.Helper()
	_, data, err := c.ws.Read(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(data, &elements); err != nil {
		c.t.Fatalf("frame %s: %v", data, err)
	}
	if string(elements[0]) != `"EVENT"` {
		return string(data)
	}
	var e nostr.Event
	if err := json.Unmarshal(elements[2], &e); err != nil {
		c.t.Fatalf("event %s: %v", elements[2], err)
	}
	if err := verify(e); err != nil {
		c.t.Errorf("served event %s: %v", elements[2], err)
	}
	return fmt.Sprintf("EVENT %s %s", elements[1], e.Content)
}

func (c *client) want(frames ...string) {
	c.t.Helper()
	for _, want := range frames {
		if got := c.next(); got != want {
			c.t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

func (c *client) wantClosed() {
	c.t.Helper()
	for {
		if _, _, err := c.ws.Read(c.ctx); err != nil {
			if c.ctx.Err() != nil {
				c.t.Fatal("the connection stayed open")
			}
			return
		}
	}
}

func okFrame(e nostr.Event, ok bool, reason string) string {
	return string(frame("OK", e.ID, ok, reason))
}
