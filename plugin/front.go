package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
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

	// boot starts the exchange; the library calls it inside `init`. Its error disables the plugin with one line.
	boot func(given map[string]string, node Config) error
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
		f.reply(ctx, m.ID, answer{Error: clnio.Errorf(clnio.CodeMethodNotFound, "unknown command '%s'", cleanLine(shorten(m.Method)))})
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

// check answers whether a command's parameters are right, and does nothing.
func (f *front) check(raw json.RawMessage) answer {
	name, rest, wrong := checkedCommand(raw)
	if wrong != nil {
		return answer{Error: wrong}
	}
	m := f.methods[name]
	if m == nil {
		return answer{Error: clnio.Errorf(clnio.CodeMethodNotFound, "unknown command '%s'", cleanLine(shorten(name)))}
	}
	if _, wrong := mend(rest, m.params); wrong != nil {
		return answer{Error: wrong}
	}
	raw, _ = json.Marshal(map[string]string{"command_to_check": name}) // a string: cannot fail
	return answer{Result: raw}
}

// checkedCommand splits the params of `check` into the command's name and the command's own params.
func checkedCommand(raw json.RawMessage) (name string, rest json.RawMessage, wrong *clnio.Error) {
	missing := clnio.Errorf(clnio.CodeInvalidParams, "missing required parameter: command_to_check")
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil || len(list) == 0 || json.Unmarshal(list[0], &name) != nil {
			return "", nil, missing
		}
		rest, err := json.Marshal(list[1:])
		if err != nil {
			return "", nil, missing
		}
		return name, rest, nil
	}
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &fields) != nil || json.Unmarshal(fields["command_to_check"], &name) != nil {
		return "", nil, missing
	}
	delete(fields, "command_to_check")
	rest, err := json.Marshal(fields)
	if err != nil {
		return "", nil, missing
	}
	return name, rest, nil
}

// call judges a method's parameters and hands it to the library.
func (f *front) call(ctx context.Context, m clnio.Message) {
	if !f.ready.Load() {
		f.reply(ctx, m.ID, answer{Error: f.notReady()})
		return
	}
	a, wrong := mend(m.Params, f.methods[m.Method].params)
	if wrong != nil {
		f.reply(ctx, m.ID, answer{Error: wrong})
		return
	}
	text, _ := json.Marshal(a) // strings: cannot fail
	id, ok := f.begin(m)
	if !ok {
		f.reply(ctx, m.ID, answer{Error: clnio.Errorf(codeOther, "%d mostro commands are at work already, try again in a moment", maxCalls)})
		return
	}
	if err := f.lib.ask(id, m.Method, map[string]string{"args": string(text)}); err != nil {
		f.end(id)
		f.reply(ctx, m.ID, answer{Error: incident(f.log, m.Method, err)})
	}
}

func (f *front) notReady() *clnio.Error {
	if why := f.refused.Load(); why != nil {
		return clnio.Errorf(codeNotReady, "%s", *why)
	}
	return clnio.Errorf(codeNotReady, "mostro is still starting, try again in a moment")
}

// begin gives a request a number of ours; false when too many are at work.
func (f *front) begin(m clnio.Message) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pending) >= maxCalls {
		return 0, false
	}
	f.lastID++
	f.pending[f.lastID] = pendingCall{m.ID, m.Method}
	return f.lastID, true
}

func (f *front) end(id int64) (pendingCall, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.pending[id]
	delete(f.pending, id)
	return p, ok
}

// answered takes one reply of the library.
func (f *front) answered(ctx context.Context, m clnio.Message) {
	var id int64
	if json.Unmarshal(m.ID, &id) != nil {
		f.log.Debug("glightning answered nobody")
		return
	}
	p, ok := f.end(id)
	if !ok {
		f.log.Debug("glightning answered twice")
		return
	}
	if p.method == "init" {
		f.initAnswered(ctx, p, m)
		return
	}
	var a answer
	switch {
	case m.Error != nil:
		a.Error = incident(f.log, p.method, m.Error)
	case json.Unmarshal(m.Result, &a) != nil || len(a.Result) == 0 && a.Error == nil:
		a = answer{Error: incident(f.log, p.method, errors.New("glightning lost the result"))}
	}
	f.reply(ctx, p.id, a)
}

// initParams is what we read of `init`.
type initParams struct {
	Options       map[string]json.RawMessage `json:"options"`
	Configuration struct {
		LightningDir string `json:"lightning-dir"`
		RPCFile      string `json:"rpc-file"`
		Startup      bool   `json:"startup"`
		Network      string `json:"network"`
	} `json:"configuration"`
}

// init mends what lightningd says and hands it to the library, which calls boot. The answer comes through answered.
func (f *front) init(ctx context.Context, m clnio.Message) {
	var p initParams
	if err := json.Unmarshal(m.Params, &p); err != nil {
		f.disable(ctx, m.ID, fmt.Sprintf("init of lightningd is not readable: %v", err))
		return
	}
	if f.begun.Swap(true) {
		f.reply(ctx, m.ID, answer{Error: clnio.Errorf(clnio.CodeInvalidRequest, "init was asked before")})
		return
	}
	given := map[string]string{}
	for _, o := range options {
		if text, ok := optionText(p.Options[o.name]); ok {
			given[o.name] = text
		} else {
			given[o.name] = o.value // the library cannot tell "not given" from ""
		}
	}
	id, ok := f.begin(m)
	if !ok {
		f.disable(ctx, m.ID, "too many requests before init")
		return
	}
	c := p.Configuration
	err := f.lib.ask(id, "init", map[string]any{
		"options": given,
		"configuration": map[string]any{ // no more than the library reads: it chokes on what it does not expect
			"lightning-dir": c.LightningDir, "rpc-file": c.RPCFile, "startup": c.Startup, "network": c.Network,
		},
	})
	if err != nil {
		f.end(id)
		f.disable(ctx, m.ID, err.Error())
	}
}

// optionText is an option's value as text, whatever type lightningd gave it.
func optionText(raw json.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return "", false
	}
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return "", false
		}
		var parts []string
		for _, item := range list {
			if s, ok := optionText(item); ok {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, ","), true
	}
	return string(raw), true
}

func (f *front) initAnswered(ctx context.Context, p pendingCall, m clnio.Message) {
	if m.Error != nil {
		f.disable(ctx, p.id, "glightning refused init: "+m.Error.Message)
		return
	}
	if err := f.lib.bootError(); err != nil {
		f.disable(ctx, p.id, err.Error())
		return
	}
	f.ready.Store(true)
	f.reply(ctx, p.id, answer{Result: json.RawMessage(`{}`)})
}

// disable answers init so that lightningd goes on without us and says why, on one line.
func (f *front) disable(ctx context.Context, id json.RawMessage, why string) {
	line := "mostro does not start: " + cleanLine(strings.ReplaceAll(why, "\n", " "))
	f.refused.Store(&line)
	f.log.Error(line)
	raw, _ := json.Marshal(map[string]string{"disable": line}) // a string: cannot fail
	f.reply(ctx, id, answer{Result: raw})
}

// nodeOf is the part of Config that lightningd gives.
func nodeOf(dir, rpcFile, network string, startup bool) Config {
	if !filepath.IsAbs(rpcFile) {
		rpcFile = filepath.Join(dir, rpcFile)
	}
	return Config{LightningDir: dir, RPCFile: rpcFile, Network: network, Startup: startup}
}
