package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/elementsproject/glightning/jrpc2"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// method is one row of the table of RPC methods. The manifest, the help, the manual and the runes come from it.
type method struct {
	name     string
	nature   nature
	about    string // one sentence, for help
	more     string // what the manual says beyond that, paragraphs
	params   []param
	examples []string // as typed in a shell
	errors   []int    // codes beyond those that any method can answer with
	run      work
}

// nature says what a caller of a method can bring about.
type nature string

const (
	reads nature = "read"  // changes nothing
	acts  nature = "act"   // changes the exchange, moves no sats
	pays  nature = "money" // decides where somebody's sats go
)

// work is what a method does, and the type of its result, whose fields say in an `about` tag what they mean.
type work struct {
	call   func(ctx context.Context, m market, r request) (any, error)
	result reflect.Type
}

// does makes a method's work of a function. An error of type *clnio.Error goes to the caller as it is; any other one is a fault of
// ours, which the log gets and the caller does not. The result marshals to a JSON object.
func does[T any](f func(ctx context.Context, m market, r request) (T, error)) work {
	return work{
		call:   func(ctx context.Context, m market, r request) (any, error) { return f(ctx, m, r) },
		result: reflect.TypeFor[T](),
	}
}

// request is one call of a method.
type request struct {
	args
	id   json.RawMessage // of the JSON-RPC request, as lightningd wrote it
	note func(topic string, params any)
	now  time.Time
}

// tell sends the caller a line while the call goes on. He sees it if his client has enabled notifications.
func (r request) tell(format string, a ...any) {
	if r.note != nil {
		r.note("message", map[string]any{"id": r.id, "level": "info", "message": clnio.CleanLine(fmt.Sprintf(format, a...))})
	}
}

// progress tells the caller how much of the work is done.
func (r request) progress(done, total int) {
	if r.note != nil && total > 0 {
		r.note("progress", map[string]any{"id": r.id, "num": min(done, total-1), "total": total})
	}
}

// caller names by which way a request came, and who made it if he said so. Each program on the way adds to the request's
// id, lightningd the last part, so that the one before is of who came to its socket: `cli:mostro-pause#7/cln:mostro-pause#12`,
// or `…/commando:mostro-pause#3/cln:mostro-pause#12`. A caller from afar cannot choose it, one on this machine can.
func (r request) caller() string {
	var id string
	if json.Unmarshal(r.id, &id) != nil {
		id = ""
	}
	parts := strings.Split(id, "/")
	if n := len(parts); n > 1 && strings.HasPrefix(parts[n-1], "cln:") {
		parts = parts[:n-1]
	}
	way, _, _ := strings.Cut(parts[len(parts)-1], ":")
	if strings.Trim(way, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || len(way) > 32 || way == "" {
		way = "rpc"
	}
	return strings.TrimSpace(way + " " + r.text("by", ""))
}

// Codes of our own errors, in the range that lightningd leaves to plugins.
const (
	codeOther         = -1
	codeOrderNotFound = 3001
	codeWrongState    = 3002
	codeNotReady      = 3006
	codeFileExists    = 3007
	codeNoRoom        = 3008
	codeNotFound      = 3010
	codeConfirm       = 3011
)

// codeWords explain our codes in the manual.
var codeWords = map[int]string{
	clnio.CodeInvalidParams: "a parameter is missing, unknown or wrong; the message names it",
	clnio.CodeInternal:      "a fault of ours; the log has more under the incident's number",
	codeOther:               "too many calls at once, or the database cannot be written now: call again",
	codeOrderNotFound:       "there is no such order; `data.order_id`",
	codeWrongState:          "not possible in the present state; `data.reason`, and `data.status` of an order",
	codeNotReady:            "the exchange is still starting, or could not start",
	codeFileExists:          "the file exists, and nothing is replaced",
	codeNoRoom:              "the disk has no room for that",
	codeNotFound:            "there is no such dispute, user, solver or ban",
	codeConfirm:             "`confirm` is missing or does not fit; the message says what would happen",
}

// commonCodes are those that any method can answer with.
var commonCodes = []int{clnio.CodeInvalidParams, clnio.CodeInternal, codeOther, codeNotReady}

// refusal is an error with data, which marshals for sure: strings and numbers.
func refusal(code int, data map[string]any, format string, a ...any) *clnio.Error {
	e := clnio.Errorf(code, format, a...)
	if data != nil {
		e.Data, _ = json.Marshal(data)
	}
	return e
}

func orderNotFound(id orders.OrderID) *clnio.Error {
	return refusal(codeOrderNotFound, map[string]any{"order_id": id.String()}, "order %s not found", id)
}

// answer is what a method's call yields. It travels through glightning as a result, whatever it holds: the library
// knows only one error code, and loses data.
type answer struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *clnio.Error    `json:"error,omitempty"`
}

// libCall is a method in glightning's clothes. Its fields are texts of JSON, so that the library's parser, which bends
// numbers and can panic on lists, has nothing to parse: the mended parameters, and the request's id.
type libCall struct {
	Args   string `json:"args"`
	Caller string `json:"caller"`

	m   *method
	run runner
}

// runner calls a method with mended parameters on behalf of a request with that id.
type runner func(m *method, args, id string) answer

func (c *libCall) Name() string                { return c.m.name }
func (c *libCall) New() any                    { return &libCall{m: c.m, run: c.run} }
func (c *libCall) Call() (jrpc2.Result, error) { return c.run(c.m, c.Args, c.Caller), nil }

// runMethod calls the method and turns all that can come of it into an answer: a result, an error, a panic.
func runMethod(ctx context.Context, log *slog.Logger, mk market, m *method, r request, text string) (out answer) {
	defer func() {
		if p := recover(); p != nil {
			out = answer{Error: incident(log, m.name, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))}
		}
	}()
	if err := json.Unmarshal([]byte(text), &r.args); err != nil {
		return answer{Error: incident(log, m.name, fmt.Errorf("read mended parameters: %w", err))}
	}
	if mk == nil {
		return answer{Error: clnio.Errorf(codeNotReady, "mostro is still starting, try again in a moment")}
	}
	value, err := m.run.call(ctx, mk, r)
	if err != nil {
		var told *clnio.Error
		if errors.As(err, &told) {
			return answer{Error: told}
		}
		if orders.Unwritten(err) {
			log.Error("rpc method could not write", "method", m.name, "err", err)
			return answer{Error: clnio.Errorf(codeOther, "the database cannot be written now: call again, which is safe")}
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
