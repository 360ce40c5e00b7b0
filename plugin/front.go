package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// front stands between lightningd and glightning. glightning keeps the options and methods and dispatches the calls;
// the front owns the real stdin and stdout, because the library's edges can kill a plugin, and with it a node:
//
//   - it answers getmanifest (the library's lacks half of today's members), hooks and `check` by itself;
//   - it judges and mends parameters before the library sees them, and refuses the wrong ones with −32602;
//   - it keeps ids as raw bytes, since lightningd compares them so;
//   - it carries errors past the library, which knows one code only, and drops whatever of the library's output is
//     not a JSON object.
//
// One goroutine reads lightningd and never waits for a handler. A second one reads the library, a third delivers
// notifications in the order in which they came.
type front struct {
	log     *slog.Logger
	out     *outlet
	methods map[string]*method
	named   json.RawMessage // the manifest
	lib     *library

	// hear takes notifications, one at a time.
	hear func(topic string, params json.RawMessage)

	hints   chan hint
	missed  atomic.Int64           // notifications dropped since the last delivery
	begun   atomic.Bool            // `init` was asked
	ready   atomic.Bool            // `init` was answered well
	refused atomic.Pointer[string] // why `init` was not
	mu      sync.Mutex
	lastID  int64
	pending map[int64]pendingCall
}

// pendingCall is a request that the library is working on.
type pendingCall struct {
	id     json.RawMessage // as lightningd wrote it
	method string
}

type hint struct {
	topic  string
	params json.RawMessage
}

const (
	// maxRequest bounds one message of lightningd; its largest are notifications of some KiB.
	maxRequest = 16 << 20
	// maxCalls bounds the methods at work at once; a further one is refused and can be called again.
	maxCalls = 32
	// maxHints bounds the notifications that wait; a further one is dropped. They are hints, and every loop polls.
	maxHints = 512
)

func newFront(log *slog.Logger, out *outlet, methods []*method) (*front, error) {
	f := &front{
		log: log, out: out, methods: map[string]*method{}, pending: map[int64]pendingCall{},
		hints: make(chan hint, maxHints),
	}
	for _, m := range methods {
		f.methods[m.name] = m
	}
	var err error
	if f.named, err = newManifest(methods); err != nil {
		return nil, fmt.Errorf("build the manifest: %w", err)
	}
	return f, nil
}

// serve reads lightningd until it says `shutdown`, closes the pipe, or ctx ends; all three are nil.
func (f *front) serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go f.deliver(ctx)
	messages := make(chan json.RawMessage)
	failed := make(chan error, 1)
	go func() { // ends with the pipe, or with the process: a read of stdin cannot be interrupted
		r := clnio.NewReader(in, maxRequest)
		for {
			raw, err := r.Next()
			if err != nil {
				failed <- err
				return
			}
			select {
			case messages <- raw:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case raw := <-messages:
			if f.take(ctx, raw) {
				return nil
			}
		case err := <-failed:
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return fmt.Errorf("read lightningd: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// take handles one message and says whether it was the last one.
func (f *front) take(ctx context.Context, raw json.RawMessage) (last bool) {
	var m clnio.Message
	if err := json.Unmarshal(raw, &m); err != nil {
		f.log.Warn("message of lightningd is not a request", "err", err)
		return false
	}
	switch {
	case m.IsNotification():
		if m.Method == "shutdown" {
			return true
		}
		f.hint(m.Method, m.Params)
	case m.Method == "":
		f.log.Debug("reply of lightningd that nobody waits for")
	case m.Method == "getmanifest":
		f.reply(ctx, m.ID, answer{Result: f.named})
	case m.Method == hookInvoicePayment:
		f.reply(ctx, m.ID, answer{Result: json.RawMessage(`{"result":"continue"}`)})
	case m.Method == "init":
		f.init(ctx, m)
	case m.Method == "check":
		f.reply(ctx, m.ID, f.check(m.Params))
	case f.methods[m.Method] != nil:
		f.call(ctx, m)
	default:
		f.reply(ctx, m.ID, answer{Error: clnio.Errorf(clnio.CodeMethodNotFound, "unknown command '%s'", clnio.CleanLine(shorten(m.Method)))})
	}
	return false
}

func (f *front) reply(ctx context.Context, id json.RawMessage, a answer) {
	f.out.reply(ctx, clnio.Message{ID: id, Result: a.Result, Error: a.Error})
}

// hint queues a notification; with a full queue it is dropped, and delivery says how many were.
func (f *front) hint(topic string, params json.RawMessage) {
	if !f.ready.Load() {
		return
	}
	select {
	case f.hints <- hint{topic, params}:
	default:
		f.missed.Add(1)
	}
}

func (f *front) deliver(ctx context.Context) {
	for {
		select {
		case h := <-f.hints:
			if n := f.missed.Swap(0); n > 0 {
				f.log.Warn("notifications of lightningd were dropped", "count", n)
			}
			f.hearSafely(h)
		case <-ctx.Done():
			return
		}
	}
}

func (f *front) hearSafely(h hint) {
	defer func() {
		if p := recover(); p != nil {
			f.log.Error("notification handler has a fault", "topic", h.topic, "err", p)
		}
	}()
	if f.hear != nil {
		f.hear(h.topic, unwrap(h.topic, h.params))
	}
}

// unwrap takes a notification's payload out of what lightningd puts around it: an object named after the topic, or,
// for topics of plugins on older nodes, {"origin", "payload"}.
func unwrap(topic string, params json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(params, &fields) != nil {
		return params
	}
	if inner, ok := fields[topic]; ok {
		return inner
	}
	if inner, ok := fields["payload"]; ok && fields["origin"] != nil {
		return unwrap(topic, inner)
	}
	return params
}
