package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/elementsproject/glightning/glightning"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// library is glightning behind two pipes. It frames messages with two newlines and answers each in a goroutine of its
// own; what it writes may be anything.
type library struct {
	log      *slog.Logger
	plugin   *glightning.Plugin
	to       *clnio.Writer
	toEnd    *os.File
	from     *os.File
	fromIn   *os.File // the library's end of from; closed once the library is done
	ended    chan struct{}
	proxy    string // the node's, host:port; set before init is asked, since glightning drops half of it
	proxyAll bool
	booted   error // what boot said; written before the library answers init
}

// newLibrary registers options and methods with glightning and starts it.
func newLibrary(l *slog.Logger, methods []*method, run runner, boot func(map[string]string, Config) error) (*library, error) {
	tameLibrary(l)
	lib := &library{log: l, ended: make(chan struct{})}
	lib.plugin = glightning.NewPlugin(func(p *glightning.Plugin, _ map[string]glightning.Option, c *glightning.Config) {
		lib.booted = lib.boot(p, c, boot)
	})
	for _, o := range options {
		if err := lib.plugin.RegisterNewOption(o.name, o.about, o.value); err != nil {
			return nil, fmt.Errorf("register option %s: %w", o.name, err)
		}
	}
	for _, m := range methods {
		if err := lib.plugin.RegisterMethod(glightning.NewRpcMethod(&libCall{m: m, run: run}, m.about)); err != nil {
			return nil, fmt.Errorf("register method %s: %w", m.name, err)
		}
	}
	in, toEnd, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open a pipe to glightning: %w", err)
	}
	from, fromIn, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a pipe from glightning: %w", err), in.Close(), toEnd.Close())
	}
	lib.to, lib.toEnd, lib.from, lib.fromIn = clnio.NewWriter(toEnd), toEnd, from, fromIn
	go func() { // ends when close shuts the pipe
		defer close(lib.ended)
		if err := lib.plugin.Start(in, fromIn); err != nil {
			l.Error("glightning has stopped", "err", err)
		}
		in.Close()
	}()
	return lib, nil
}

// tameLibrary keeps glightning away from the process's streams and logs. Under lightningd it sends package log through
// a pipe that dies of a line over 64 KiB and takes the process with it; two of its switches make it log each write,
// and each log write again; a third refuses parameters that it does not know.
func tameLibrary(l *slog.Logger) {
	for _, name := range []string{"LIGHTNINGD_PLUGIN", "GOLIGHT_DEBUG_IO", "GOLIGHT_DEBUG_IO_IN", "GOLIGHT_DEBUG_LOGFILE", "GOLIGHT_STRICT_MODE"} {
		os.Unsetenv(name)
	}
	log.SetFlags(0)
	log.SetOutput(lineLog{l})
}

// lineLog takes the lines of package log.
type lineLog struct{ log *slog.Logger }

func (l lineLog) Write(b []byte) (int, error) {
	l.log.Debug("library says", "line", string(b))
	return len(b), nil
}

// boot reads the options back from glightning and starts the exchange.
func (lib *library) boot(p *glightning.Plugin, c *glightning.Config, boot func(map[string]string, Config) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			lib.log.Error("start has a fault", "err", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error at start: %v", r)
		}
	}()
	if c == nil {
		return errors.New("lightningd gave no configuration")
	}
	given := map[string]string{}
	for _, o := range options {
		value, err := p.GetOption(o.name)
		if err != nil {
			return fmt.Errorf("read option %s: %w", o.name, err)
		}
		given[o.name] = value
	}
	node := nodeOf(c.LightningDir, c.RpcFile, c.Network, c.Startup)
	node.Proxy, node.ProxyAll = lib.proxy, lib.proxyAll
	return boot(given, node)
}

// ask sends the library a request under a number of ours.
func (lib *library) ask(id int64, method string, params any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("ask glightning: %w", err)
	}
	if err := lib.to.Write(clnio.Message{ID: fmt.Appendf(nil, "%d", id), Method: method, Params: raw}); err != nil {
		return fmt.Errorf("ask glightning: %w", err)
	}
	return nil
}

func (lib *library) bootError() error { return lib.booted }

// listen hands each reply of the library to answered until the pipe closes. The library writes one JSON object a line;
// what is none is dropped.
func (lib *library) listen(ctx context.Context, answered func(context.Context, clnio.Message)) {
	r := bufio.NewReader(lib.from)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 1 {
			lib.line(ctx, line, answered)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				lib.log.Error("read glightning", "err", err)
			}
			return
		}
	}
}

func (lib *library) line(ctx context.Context, line []byte, answered func(context.Context, clnio.Message)) {
	var m clnio.Message
	switch err := json.Unmarshal(line, &m); {
	case err != nil:
		lib.log.Warn("glightning wrote something that is not a message", "bytes", len(line))
	case m.Method != "":
		lib.log.Debug("glightning notified", "topic", m.Method)
	default:
		answered(ctx, m)
	}
}

// close ends the library: no further request is taken.
func (lib *library) close() {
	lib.toEnd.Close()
	<-lib.ended
	lib.fromIn.Close()
}
