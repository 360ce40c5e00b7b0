package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/elementsproject/glightning/jrpc2"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// method is one row of the table of RPC methods.
type method struct {
	name   string
	about  string // one sentence, for help
	params []param
	// call answers with a value that marshals to a JSON object. An error of type *clnio.Error goes to the caller as it
	// is; any other one is a fault of ours, which the log gets and the caller does not.
	call func(ctx context.Context, m market, a args) (any, error)
}

// Codes of our own errors, in the range that lightningd leaves to plugins.
const (
	codeOther         = -1
	codeOrderNotFound = 3001
	codeNotReady      = 3006
)

// answer is what a method's call yields. It travels through glightning as a result, whatever it holds: the library
// knows only one error code, and loses data.
type answer struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *clnio.Error    `json:"error,omitempty"`
}

// libCall is a method in glightning's clothes. Its one field is the mended parameters as the text of a JSON object, so
// that the library's parser, which bends numbers and can panic on lists, has nothing to parse.
type libCall struct {
	Args string `json:"args"`

	m   *method
	run func(m *method, args string) answer
}

func (c *libCall) Name() string                { return c.m.name }
func (c *libCall) New() any                    { return &libCall{m: c.m, run: c.run} }
func (c *libCall) Call() (jrpc2.Result, error) { return c.run(c.m, c.Args), nil }

// runMethod calls the method and turns all that can come of it into an answer: a result, an error, a panic.
func runMethod(ctx context.Context, log *slog.Logger, mk market, m *method, text string) (out answer) {
	defer func() {
		if p := recover(); p != nil {
			out = answer{Error: incident(log, m.name, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))}
		}
	}()
	var a args
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return answer{Error: incident(log, m.name, fmt.Errorf("read mended parameters: %w", err))}
	}
	if mk == nil {
		return answer{Error: clnio.Errorf(codeNotReady, "mostro is still starting, try again in a moment")}
	}
	value, err := m.call(ctx, mk, a)
	if err != nil {
		var told *clnio.Error
		if errors.As(err, &told) {
			return answer{Error: told}
		}
		return answer{Error: incident(log, m.name, err)}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return answer{Error: incident(log, m.name, fmt.Errorf("marshal the result: %w", err))}
	}
	if string(raw) == "null" {
		return answer{Error: incident(log, m.name, errors.New("the result is nothing"))}
	}
	return answer{Result: raw}
}

// incident logs a fault under a number and gives the caller the number alone.
func incident(log *slog.Logger, method string, err error) *clnio.Error {
	var b [4]byte
	rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	log.Error("rpc method has a fault", "method", method, "incident", id, "err", err)
	return clnio.Errorf(clnio.CodeInternal, "internal error, incident %s: the log of lightningd says more", id)
}
