package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// call is one path of the control API.
type call func(w *world, ctx context.Context, params []byte) (any, error)

// with makes a call of a function with typed parameters.
func with[P any](f func(w *world, ctx context.Context, p P) (any, error)) call {
	return func(w *world, ctx context.Context, params []byte) (any, error) {
		var p P
		d := json.NewDecoder(bytes.NewReader(params))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil && !errors.Is(err, io.EOF) {
			return nil, badRequest(err.Error())
		}
		return f(w, ctx, p)
	}
}

// calls is the whole API; the comment of main.go describes it.
var calls = map[string]call{
	"wallets": with((*world).listWallets), "invoice": with((*world).invoice), "offer": with((*world).offer),
	"lnurl": with((*world).lnurl), "received": with((*world).received), "pay": with((*world).pay),
	"payment": with((*world).payment), "decode": with((*world).decode), "audit": with((*world).audit),
	"mine": with((*world).mine), "clock": with((*world).clock),

	"relay": with((*world).disturbRelay), "faults": with((*world).setFaults), "exchange": with((*world).disturbExchange),
	"rpc": with((*world).rpc),

	"orders": with((*world).listOrders), "order": with((*world).showOrder), "events": with((*world).events),
	"dispute": with((*world).dispute), "solver": with((*world).solver),
	"seed": with((*world).seed), "partner": with((*world).partner), "partners": with((*world).listPartners),
}

// none is the parameters of a call that has none.
type none struct{}

// badRequest is a call that makes no sense.
type badRequest string

func (b badRequest) Error() string { return string(b) }

const (
	maxParams = 1 << 20
	// callLimit is what a call may take; thousands of orders take the longest.
	callLimit = 5 * time.Minute
)

// listen serves the API; hangUp ends it, and the world's tasks with it.
func (w *world) listen(addr string) (hangUp func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the control API: %w", err)
	}
	root := "/" + strings.ToLower(rand.Text())
	w.about.Control = "http://" + l.Addr().String() + root
	srv := &http.Server{
		Handler: http.StripPrefix(root, w), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return w.ctx },
	}
	go srv.Serve(l) // until hangUp
	return func() {
		w.end()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close() // it is closed whatever it says
		}
	}, nil
}

// ServeHTTP answers one call.
func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	h := out.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Private-Network", "true")
	h.Set("Cache-Control", "no-store")
	path := strings.Trim(r.URL.Path, "/")
	do, known := calls[path]
	switch {
	case r.Method == http.MethodOptions:
		out.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && path == "":
		reply(out, http.StatusOK, w.about)
	case !known:
		reply(out, http.StatusNotFound, fault{Error: "no call /" + path})
	case r.Method != http.MethodPost:
		reply(out, http.StatusMethodNotAllowed, fault{Error: "want POST"})
	default:
		w.serve(out, r, do)
	}
}

// fault is what a call that went wrong answers. Code is the node's, where the node said no.
type fault struct {
	Error string `json:"error"`
	Code  int    `json:"code,omitempty"`
}

func (w *world) serve(out http.ResponseWriter, r *http.Request, do call) {
	ctx, cancel := context.WithTimeout(r.Context(), callLimit)
	defer cancel()
	params, err := io.ReadAll(http.MaxBytesReader(out, r.Body, maxParams))
	if err != nil {
		reply(out, http.StatusBadRequest, fault{Error: err.Error()})
		return
	}
	result, err := guarded(do, w, ctx, params)
	var bad badRequest
	var no *clnio.Error
	switch {
	case err == nil:
		reply(out, http.StatusOK, result)
	case errors.As(err, &bad):
		reply(out, http.StatusBadRequest, fault{Error: err.Error()})
	case errors.As(err, &no):
		reply(out, http.StatusUnprocessableEntity, fault{Error: err.Error(), Code: no.Code})
	case errors.Is(err, context.DeadlineExceeded):
		reply(out, http.StatusGatewayTimeout, fault{Error: err.Error()})
	default:
		reply(out, http.StatusInternalServerError, fault{Error: err.Error()})
	}
}

// guarded is the edge: a fault in one call is an answer.
func guarded(do call, w *world, ctx context.Context, params []byte) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault: %v\n%s", p, debug.Stack())
		}
	}()
	return do(w, ctx, params)
}

func reply(out http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer is no JSON"}`)
	}
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(status)
	_, _ = out.Write(append(body, '\n')) // the client has gone, or reads it
}

// house finds an exchange by its number.
func (w *world) house(number int) (*exchange, error) {
	if number < 0 || number >= len(w.about.Exchanges) {
		return nil, badRequest(fmt.Sprintf("exchange: there is no number %d", number))
	}
	return w.about.Exchanges[number], nil
}

// ask makes a call at an exchange's node and hands its answer on.
func (w *world) ask(ctx context.Context, number int, method string, params any) (any, error) {
	x, err := w.house(number)
	if err != nil {
		return nil, err
	}
	var result json.RawMessage
	err = x.sim.Call(ctx, method, params, &result)
	return result, err
}

// askAll does so at each node and puts the exchange's number into each answer.
func (w *world) askAll(ctx context.Context, method string, params any) (list []map[string]any, err error) {
	for _, x := range w.about.Exchanges {
		result := map[string]any{}
		if err := x.sim.Call(ctx, method, params, &result); err != nil {
			return nil, err
		}
		result["exchange"] = x.Number
		list = append(list, result)
	}
	return list, nil
}
