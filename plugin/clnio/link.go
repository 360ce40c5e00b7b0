package clnio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// link is one connection of a [Client], from dial to loss. Its reader goroutine starts
// with it and ends with the connection.
type link struct {
	conn    net.Conn
	writing chan struct{} // holds one token: one request is written at a time
	down    chan struct{} // closed when the connection is lost
	err     error         // why; written before down is closed

	mu      sync.Mutex
	waiting map[string]chan Message // raw id → where its reply goes, capacity one
}

func newLink(conn net.Conn) *link {
	l := &link{
		conn:    conn,
		writing: make(chan struct{}, 1),
		down:    make(chan struct{}),
		waiting: map[string]chan Message{},
	}
	go l.read()
	return l
}

// send writes one request and says how many bytes may have reached the node.
func (l *link) send(ctx context.Context, id string, request []byte) (<-chan Message, int, error) {
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-l.down:
		return nil, 0, l.err
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, context.Cause(ctx)
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return nil, 0, fmt.Errorf("write request: %w", err)
	}
	answer := make(chan Message, 1)
	l.mu.Lock()
	l.waiting[id] = answer
	l.mu.Unlock()

	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = l.conn.SetWriteDeadline(time.Unix(1, 0)) // fails only if the connection is gone already
	})
	n, err := l.conn.Write(request)
	if !stop() {
		<-cut // or it would cut the next request short
	}
	if err == nil {
		return answer, n, nil
	}
	l.forget(id)
	if n > 0 || ctx.Err() == nil {
		// Half a request is out, or the connection is broken: nothing may follow on it.
		l.fail(err)
	}
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return nil, n, fmt.Errorf("write request: %w", err)
}

// forget gives up the claim on a reply; when it comes nobody hears it.
func (l *link) forget(id string) {
	l.mu.Lock()
	delete(l.waiting, id)
	l.mu.Unlock()
}

// read hands each reply to its call until the connection ends.
func (l *link) read() {
	r := NewReader(l.conn, maxReply)
	for {
		raw, err := r.Next()
		if err != nil {
			l.fail(err)
			return
		}
		var m Message
		if err := json.Unmarshal(raw, &m); err != nil {
			l.fail(fmt.Errorf("read a reply: %w", err))
			return
		}
		if m.Method != "" || len(m.ID) == 0 {
			continue // a notification: nobody here asked for it
		}
		l.mu.Lock()
		answer := l.waiting[string(m.ID)]
		delete(l.waiting, string(m.ID))
		l.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// fail ends the connection; the first reason stays.
func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isDown() {
		return
	}
	l.err = err
	close(l.down)
	l.conn.Close()
}

func (l *link) isDown() bool {
	select {
	case <-l.down:
		return true
	default:
		return false
	}
}
