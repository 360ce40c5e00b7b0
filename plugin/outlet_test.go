package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// gatedWriter takes nothing until it is opened.
type gatedWriter struct {
	open chan struct{}
	mu   sync.Mutex
	text strings.Builder
}

func (w *gatedWriter) Write(b []byte) (int, error) {
	<-w.open
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

// lightningd does not read: nobody may hang in a log call, and no reply may be lost.
func TestFullOutletDropsLogsAndKeepsReplies(t *testing.T) {
	w := &gatedWriter{open: make(chan struct{})}
	o := newOutlet(w)
	for i := range 3 * outletSize {
		o.log("info", fmt.Sprintf("line %d", i))
		o.notify("mostro_order", map[string]int{"n": i})
	}
	replied := make(chan struct{})
	go func() {
		o.reply(t.Context(), clnio.Message{ID: []byte("1"), Result: []byte(`{}`)})
		close(replied)
	}()
	select {
	case <-replied:
		t.Fatal("a reply did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	close(w.open)
	<-replied
	o.close(t.Context())
	text := w.text.String()
	if !strings.Contains(text, `"id":1,"result":{}`) {
		t.Error("the reply is lost")
	}
	if !strings.Contains(text, "lines dropped") || !strings.Contains(text, "line 0") {
		t.Error("nobody is told of the lines that were dropped")
	}
}

func TestOutletEndsWithItsReader(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(errors.New("gone"))
	o := newOutlet(w)
	o.log("info", "x")
	<-o.ended
	if o.err == nil {
		t.Error("the writer ended without an error")
	}
	for range 2 * outletSize {
		o.reply(t.Context(), clnio.Message{}) // must not wait for a reader who is gone
	}
	o.close(t.Context())
}

func TestReplyGivesUpWithItsContext(t *testing.T) {
	w := &gatedWriter{open: make(chan struct{})}
	o := newOutlet(w)
	defer close(w.open)
	for range 2 * outletSize {
		o.log("info", "x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.reply(ctx, clnio.Message{})
	o.close(ctx)
}

func TestNotificationThatIsNoJSONIsLogged(t *testing.T) {
	var w gatedWriter
	w.open = make(chan struct{})
	close(w.open)
	o := newOutlet(&w)
	o.notify("mostro_alert", make(chan int))
	o.close(t.Context())
	if !strings.Contains(w.text.String(), `"level":"error"`) {
		t.Errorf("got %q", w.text.String())
	}
}
