package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/mostro-cln/mostro/plugin/lightning"
)

// version is set by the linker (-ldflags "-X main.version=…").
var version = "dev"

// exchange is what runs behind the shell once lightningd has given its options.
type exchange interface {
	market
	// Hear takes a notification of lightningd: a hint to look sooner. It must not wait.
	Hear(topic string, params json.RawMessage)
	// Close stops every loop and closes the store; what is owed stays in the outbox. It returns when ctx ends at last.
	Close(ctx context.Context) error
}

// starter builds an exchange inside `init`: it opens the store, loads what is there and starts the loops. It waits for
// no relay. Its error disables the plugin, with the error's text as the reason. ctx ends when the plugin stops.
type starter func(ctx context.Context, c Config, n *lightning.Node, s shell) (exchange, error)

// shell is what the exchange may use of the plugin around it.
type shell struct {
	Log *slog.Logger
	// Notify sends one of our own topics to other plugins. It does not wait.
	Notify func(topic string, params any)
}

// stopLimit is what we take for a clean end; lightningd kills us 30 seconds after `shutdown`.
const stopLimit = 15 * time.Second

// streams are the process's three, or a test's.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is the whole program but for os.Exit: it speaks the plugin protocol on in and out until lightningd says
// `shutdown`, closes in, or ctx ends. The result is the exit code.
func run(ctx context.Context, args []string, s streams, start starter) int {
	if len(args) > 0 {
		switch args[0] {
		case "--options-markdown":
			return exitCode(s, writeOptionsMarkdown(s.out))
		case "--admin-markdown":
			return exitCode(s, writeAdminMarkdown(s.out))
		case "--man":
			if len(args) != 2 {
				return exitCode(s, errors.New("--man wants a directory"))
			}
			return exitCode(s, writeManPages(args[1]))
		case "--version":
			_, err := fmt.Fprintln(s.out, version)
			return exitCode(s, err)
		case "--help", "-h":
			_, err := fmt.Fprintln(s.out, helpText)
			return exitCode(s, err)
		}
		// lightningd in developer mode gives --developer: nothing to us.
	}
	return exitCode(s, runPlugin(ctx, s, start))
}

const helpText = `mostro is a plugin of Core Lightning. Add to lightningd's config:

    plugin=/path/to/mostro

mostro --options-markdown   print the table of options
mostro --admin-markdown     print the manual of the commands, in Markdown
mostro --man DIRECTORY      write their manual pages
mostro --version            print the version`

func exitCode(s streams, err error) int {
	if err != nil {
		fmt.Fprintln(s.err, "mostro:", err)
		return 1
	}
	return 0
}

// runPlugin builds the shell, serves until the end and takes down what was built, in the opposite order.
func runPlugin(ctx context.Context, s streams, start starter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := newOutlet(s.out)
	log := newLogger(out.log, slog.LevelDebug)
	f, err := newFront(log, out, methods)
	if err != nil {
		return err
	}
	p := &plugin{ctx: ctx, start: start, shell: shell{Log: log, Notify: out.notify}}
	f.hear = p.hear
	f.lib, err = newLibrary(log, methods, func(m *method, text, id string) answer {
		return runMethod(ctx, log, p.market(), m, request{id: json.RawMessage(id), note: out.notify, now: time.Now()}, text)
	}, p.boot)
	if err != nil {
		return err
	}
	go f.lib.listen(ctx, f.answered) // ends with lib.close

	err = f.serve(ctx, s.in)

	end, done := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer done()
	cancel()
	f.lib.close()
	p.close(end)
	out.close(end)
	return err
}

// plugin is the exchange from `init` on.
type plugin struct {
	ctx     context.Context // the plugin's life: the end of all that boot starts
	start   starter
	shell   shell
	running atomic.Pointer[running]
}

type running struct {
	exchange
	node *lightning.Node
}

// boot is called once, inside `init`.
func (p *plugin) boot(given map[string]string, node Config) error {
	c, err := parseConfig(given, node)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("mostro-data-dir: %w", err)
	}
	keepPanics(filepath.Join(c.DataDir, "crash.log"))
	n := lightning.NewNode(c.RPCFile)
	x, err := p.start(p.ctx, c, n, p.shell)
	if err != nil {
		n.Close()
		return err
	}
	p.running.Store(&running{x, n})
	return nil
}

func (p *plugin) market() market {
	if x := p.running.Load(); x != nil {
		return x
	}
	return nil
}

func (p *plugin) hear(topic string, params json.RawMessage) {
	if x := p.running.Load(); x != nil {
		x.Hear(topic, params)
	}
}

// close stops the exchange, if it ever ran.
func (p *plugin) close(ctx context.Context) {
	x := p.running.Load()
	if x == nil {
		return
	}
	if err := x.Close(ctx); err != nil {
		p.shell.Log.Error("close the exchange", "err", err)
	}
	x.node.Close()
}

// keepPanics writes the last words of a process that dies to a file: lightningd as a daemon throws stderr away.
func keepPanics(path string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return // the panic still reaches stderr
	}
	defer f.Close() // SetCrashOutput keeps a descriptor of its own
	_ = debug.SetCrashOutput(f, debug.CrashOptions{})
}
