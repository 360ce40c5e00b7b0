package clnio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders/failpoint"
)

var (
	// ErrNotSent wraps a call of which no byte reached the node: it certainly did not run,
	// and calling again is safe.
	ErrNotSent = errors.New("not sent to the node")

	// ErrUnknownOutcome wraps a call that was sent and whose answer was lost, came too late
	// or could not be read. The command may have run or may still be running; ask the node
	// before doing anything twice.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

const (
	// maxReply bounds one reply of the node. A busy node's listsendpays has tens of MB.
	maxReply = 256 << 20

	// writeLimit ends a write when the node does not drain its socket.
	writeLimit = 30 * time.Second
)

// Client calls commands of the node over its Unix socket. Many calls share one connection
// and their replies may come in any order. The connection is made by the first call and
// again by the first call after it was lost. A Client is safe for concurrent use.
type Client struct {
	// Prefix begins every id, "PREFIX:METHOD#N", so that the node's log shows who asked.
	// It must not change after the first call. NewClient sets "mostro".
	Prefix string

	path    string
	dialing chan struct{} // holds one token: one goroutine dials, the others wait

	mu     sync.Mutex // guards what follows
	live   *link
	calls  uint64
	closed bool
}

// NewClient returns a client for the socket at socketPath. It does not connect yet.
func NewClient(socketPath string) *Client {
	return &Client{Prefix: "mostro", path: socketPath, dialing: make(chan struct{}, 1)}
}

// Call runs method with params and decodes the answer into result, which may be nil.
// params is an object, an array or nil for none. Numbers that land in an interface are
// [json.Number].
//
// An answer that is an error comes back as [*Error]. Every other error wraps [ErrNotSent]
// or [ErrUnknownOutcome]. The end of ctx ends our waiting, not the command.
func (c *Client) Call(ctx context.Context, method string, params any, result any) error {
	id, request, err := c.request(method, params)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", method, ErrNotSent, err)
	}
	failpoint.Hit("before", "rpc", method)
	l, answer, err := c.send(ctx, id, request)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer l.forget(id)
	select {
	case m := <-answer:
		failpoint.Hit("after", "rpc", method)
		return open(method, m, result)
	case <-l.down:
		// The answer may have come just before the connection went.
		select {
		case m := <-answer:
			return open(method, m, result)
		default:
			return fmt.Errorf("%s: %w: connection lost: %w", method, ErrUnknownOutcome, l.err)
		}
	case <-ctx.Done():
		return fmt.Errorf("%s: %w: %w", method, ErrUnknownOutcome, context.Cause(ctx))
	}
}

// Close ends the connection and every call on it; those calls see [ErrUnknownOutcome].
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	l := c.live
	c.live = nil
	c.mu.Unlock()
	if l != nil {
		l.fail(net.ErrClosed)
	}
	return nil
}

// request builds the bytes of one call and its id as it will come back.
func (c *Client) request(method string, params any) (id string, request []byte, err error) {
	c.mu.Lock()
	c.calls++
	n := c.calls
	c.mu.Unlock()
	rawID, err := marshal(fmt.Sprintf("%s:%s#%d", c.Prefix, method, n))
	if err != nil {
		return "", nil, err
	}
	rawParams := []byte("{}") // the node refuses a request without params
	if params != nil {
		if rawParams, err = marshal(params); err != nil {
			return "", nil, err
		}
	}
	request, err = frame(Message{ID: rawID, Method: method, Params: rawParams})
	return string(rawID), request, err
}

// send puts the request on a live connection. A connection that breaks before it took a
// single byte was lost since the last call: that is tried once more on a new one.
func (c *Client) send(ctx context.Context, id string, request []byte) (*link, <-chan Message, error) {
	for try := 0; ; try++ {
		l, err := c.connected(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		answer, n, err := l.send(ctx, id, request)
		switch {
		case err == nil:
			return l, answer, nil
		case n > 0:
			return nil, nil, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
		case try > 0 || ctx.Err() != nil:
			return nil, nil, fmt.Errorf("%w: %w", ErrNotSent, err)
		}
	}
}

// connected returns the live connection, or makes one.
func (c *Client) connected(ctx context.Context) (*link, error) {
	if l, err := c.current(); l != nil || err != nil {
		return l, err
	}
	select {
	case c.dialing <- struct{}{}:
		defer func() { <-c.dialing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l, err := c.current(); l != nil || err != nil {
		return l, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, fmt.Errorf("connect to the node: %w", err)
	}
	l := newLink(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		l.fail(net.ErrClosed)
		return nil, net.ErrClosed
	}
	c.live = l
	return l, nil
}

func (c *Client) current() (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("client: %w", net.ErrClosed)
	}
	if c.live != nil && !c.live.isDown() {
		return c.live, nil
	}
	return nil, nil
}

// open takes the result out of a reply. A reply that we cannot read is an unknown outcome:
// the command ran, and what it did is in the part that we failed to understand.
func open(method string, m Message, result any) error {
	if m.Error != nil {
		return m.Error
	}
	if len(m.Result) == 0 {
		return fmt.Errorf("%s: %w: reply has neither result nor error", method, ErrUnknownOutcome)
	}
	if result == nil {
		return nil
	}
	if raw, ok := result.(*json.RawMessage); ok {
		*raw = m.Result
		return nil
	}
	if err := decode(m.Result, result); err != nil {
		return fmt.Errorf("%s: %w: read the result: %w", method, ErrUnknownOutcome, err)
	}
	return nil
}
