package clnio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeNode answers requests on a Unix socket as a test says.
type fakeNode struct {
	t    *testing.T
	path string
	ln   net.Listener

	mu    sync.Mutex
	conns []net.Conn
}

// serve runs handle for each connection, which ends when handle returns.
func serve(t *testing.T, handle func(*Reader, net.Conn)) *fakeNode {
	t.Helper()
	n := &fakeNode{t: t, path: filepath.Join(t.TempDir(), "rpc")}
	n.listen(handle)
	t.Cleanup(n.stop)
	return n
}

func (n *fakeNode) listen(handle func(*Reader, net.Conn)) {
	ln, err := net.Listen("unix", n.path)
	if err != nil {
		n.t.Fatal(err)
	}
	n.ln = ln
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n.mu.Lock()
			n.conns = append(n.conns, conn)
			n.mu.Unlock()
			go func() {
				defer conn.Close()
				handle(NewReader(conn, 1<<20), conn)
			}()
		}
	}()
}

func (n *fakeNode) stop() {
	n.ln.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.Close()
	}
	n.conns = nil
}

func next(r *Reader) (m Message, ok bool) {
	raw, err := r.Next()
	if err != nil {
		return m, false
	}
	return m, json.Unmarshal(raw, &m) == nil
}

func reply(conn net.Conn, id json.RawMessage, result string) {
	fmt.Fprintf(conn, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", id, result)
}

// echo answers every request with its params.
func echo(r *Reader, conn net.Conn) {
	for {
		m, ok := next(r)
		if !ok {
			return
		}
		reply(conn, m.ID, string(m.Params))
	}
}

func client(t *testing.T, n *fakeNode) *Client {
	c := NewClient(n.path)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClientMatchesRepliesByIDInAnyOrder(t *testing.T) {
	const calls = 40
	n := serve(t, func(r *Reader, conn net.Conn) {
		var held []Message
		for range calls {
			m, ok := next(r)
			if !ok {
				return
			}
			held = append(held, m)
		}
		fmt.Fprint(conn, `{"jsonrpc":"2.0","method":"block_added","params":{"block_added":{"height":1}}}`)
		for i := range held {
			m := held[len(held)-1-i]
			fmt.Fprint(conn, `{"jsonrpc":"2.0","id":"somebody:else#1","result":{}}`)
			reply(conn, m.ID, string(m.Params))
			fmt.Fprint(conn, "\n", `{"jsonrpc":"2.0","method":"progress","params":{}}`, "\n\n")
		}
		next(r)
	})
	c := client(t, n)
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			var out struct{ N int }
			err := c.Call(t.Context(), "echo", map[string]int{"n": i}, &out)
			if err != nil || out.N != i {
				t.Errorf("call %d: got %d, %v", i, out.N, err)
			}
		})
	}
	wg.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.conns) != 1 {
		t.Errorf("%d connections for %d calls, want one", len(n.conns), calls)
	}
}

func TestClientRequestIsWhatTheNodeExpects(t *testing.T) {
	got := make(chan string, 2)
	n := serve(t, func(r *Reader, conn net.Conn) {
		for {
			raw, err := r.Next()
			if err != nil {
				return
			}
			got <- string(raw)
			var m Message
			json.Unmarshal(raw, &m)
			reply(conn, m.ID, "{}")
		}
	})
	c := client(t, n)
	c.Prefix = "holdinvoice"
	if err := c.Call(t.Context(), "getinfo", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "invoice", map[string]string{"description": "a<b>&c"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"jsonrpc":"2.0","id":"holdinvoice:getinfo#1","method":"getinfo","params":{}}`,
		`{"jsonrpc":"2.0","id":"holdinvoice:invoice#2","method":"invoice","params":{"description":"a<b>&c"}}`,
	} {
		if g := <-got; g != want {
			t.Errorf("got %s\nwant %s", g, want)
		}
	}
}

func TestClientKeepsNumbersExact(t *testing.T) {
	n := serve(t, echo)
	c := client(t, n)
	const big = `{"groupid":9007199254740993,"deep":[18446744073709551615]}`
	var loose map[string]any
	var typed struct{ Groupid uint64 }
	var raw json.RawMessage
	for _, out := range []any{&loose, &typed, &raw} {
		if err := c.Call(t.Context(), "echo", json.RawMessage(big), out); err != nil {
			t.Fatal(err)
		}
	}
	if loose["groupid"] != json.Number("9007199254740993") || typed.Groupid != 9007199254740993 || string(raw) != big {
		t.Errorf("got %v, %v, %s", loose, typed, raw)
	}
}

func TestClientReturnsTheNodesError(t *testing.T) {
	n := serve(t, func(r *Reader, conn net.Conn) {
		m, _ := next(r)
		fmt.Fprintf(conn, `{"jsonrpc":"2.0","id":%s,"error":{"code":900,"message":"Duplicate label","data":{"label":"x"}}}`, m.ID)
		next(r)
	})
	err := client(t, n).Call(t.Context(), "invoice", nil, nil)
	var e *Error
	if !errors.As(err, &e) || e.Code != 900 || e.Message != "Duplicate label" || string(e.Data) != `{"label":"x"}` {
		t.Fatalf("got %v", err)
	}
	if errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrNotSent) {
		t.Fatalf("an answer is a known outcome: %v", err)
	}
}

func TestClientConnectsLazilyAndAgainAfterLoss(t *testing.T) {
	n := serve(t, echo)
	c := client(t, n)
	for range 3 {
		if err := c.Call(t.Context(), "a", nil, nil); err != nil {
			t.Fatal(err)
		}
		n.stop()
		err := c.Call(t.Context(), "b", nil, nil)
		if err == nil {
			t.Fatal("answered without a node")
		}
		if !errors.Is(err, ErrNotSent) && !errors.Is(err, ErrUnknownOutcome) {
			t.Fatalf("got %v", err)
		}
		n.listen(echo)
	}
	// The loss is known by now, so this one must get through.
	if err := c.Call(t.Context(), "c", nil, nil); err != nil {
		t.Fatal(err)
	}
}

func TestClientSaysWhatCertainlyDidNotReachTheNode(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	n := serve(t, echo)
	closed := NewClient(n.path)
	closed.Close()
	tests := []struct {
		name   string
		client *Client
		ctx    context.Context
		params any
	}{
		{"no socket", NewClient(filepath.Join(t.TempDir(), "none")), t.Context(), nil},
		{"path too long for a socket", NewClient("/" + strings.Repeat("x", 200)), t.Context(), nil},
		{"ctx ended before", client(t, n), ended, nil},
		{"params that are not json", client(t, n), t.Context(), make(chan int)},
		{"client closed", closed, t.Context(), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.client.Call(tt.ctx, "xpay", tt.params, nil)
			if !errors.Is(err, ErrNotSent) || errors.Is(err, ErrUnknownOutcome) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestClientSaysWhenTheOutcomeIsUnknown(t *testing.T) {
	tests := []struct {
		name   string
		handle func(*Reader, net.Conn, func())
	}{
		{"connection lost after the request", func(r *Reader, _ net.Conn, _ func()) { next(r) }},
		{"connection lost inside the reply", func(r *Reader, conn net.Conn, _ func()) {
			m, _ := next(r)
			fmt.Fprintf(conn, `{"jsonrpc":"2.0","id":%s,"resu`, m.ID)
		}},
		{"the socket speaks no json", func(r *Reader, conn net.Conn, _ func()) {
			next(r)
			fmt.Fprint(conn, "panic: oh no")
			next(r)
		}},
		{"reply without result and error", func(r *Reader, conn net.Conn, _ func()) {
			m, _ := next(r)
			fmt.Fprintf(conn, `{"jsonrpc":"2.0","id":%s}`, m.ID)
			next(r)
		}},
		{"result of another shape", func(r *Reader, conn net.Conn, _ func()) {
			m, _ := next(r)
			reply(conn, m.ID, `"text"`)
			next(r)
		}},
		{"ctx ends while the node is silent", func(r *Reader, _ net.Conn, cancel func()) {
			next(r)
			cancel()
			next(r)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			n := serve(t, func(r *Reader, conn net.Conn) { tt.handle(r, conn, cancel) })
			var out struct{}
			err := client(t, n).Call(ctx, "xpay", nil, &out)
			if !errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrNotSent) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestClientGoesOnAfterACallWasGivenUp(t *testing.T) {
	asked := make(chan struct{})
	n := serve(t, func(r *Reader, conn net.Conn) {
		late, _ := next(r)
		close(asked)
		m, _ := next(r)
		reply(conn, late.ID, `{"v":"late"}`)
		reply(conn, m.ID, `{"v":"mine"}`)
		next(r)
	})
	c := client(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { gone <- c.Call(ctx, "wait", nil, nil) }()
	<-asked
	cancel()
	if err := <-gone; !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
		t.Fatalf("given up: %v", err)
	}
	var out struct{ V string }
	if err := c.Call(t.Context(), "getinfo", nil, &out); err != nil || out.V != "mine" {
		t.Fatalf("next call: %q, %v", out.V, err)
	}
}

func TestClientCloseEndsCallsUnderWay(t *testing.T) {
	asked := make(chan struct{})
	n := serve(t, func(r *Reader, conn net.Conn) {
		next(r)
		close(asked)
		next(r)
	})
	c := client(t, n)
	gone := make(chan error)
	go func() { gone <- c.Call(t.Context(), "wait", nil, nil) }()
	<-asked
	c.Close()
	if err := <-gone; !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
}

// A node that drains nothing must not hold a caller for longer than its ctx, and the bytes
// that did go out make the outcome unknown.
func TestClientWriteEndsWithCtx(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	defer close(over)
	n := serve(t, func(_ *Reader, conn net.Conn) {
		conn.Read(make([]byte, 1))
		cancel()
		<-over
	})
	err := client(t, n).Call(ctx, "datastore", map[string]string{"hex": strings.Repeat("00", 4<<20)}, nil)
	if !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func ExampleClient() {
	c := NewClient("/home/bob/.lightning/bitcoin/lightning-rpc")
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var info struct {
		ID          string `json:"id"`
		Blockheight uint32 `json:"blockheight"`
	}
	err := c.Call(ctx, "getinfo", nil, &info)
	var refused *Error
	switch {
	case errors.As(err, &refused):
		fmt.Println("the node says no:", refused.Message)
	case errors.Is(err, ErrNotSent):
		fmt.Println("no node there")
	case errors.Is(err, ErrUnknownOutcome):
		fmt.Println("it may have run")
	}
	// Output: no node there
}
