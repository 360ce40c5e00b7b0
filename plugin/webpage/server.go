package webpage

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// Config says what to serve, and where.
type Config struct {
	Listen string // IP:port; port 0 takes a free one, and another after each failure
	About  About
	Files  fs.FS // nil: the client that was built into this program
	Log    *slog.Logger

	MaxConnections int           // 256; the next is closed at once
	HeaderTimeout  time.Duration // for a request to arrive, and for an idle connection to ask again; 10 s
	WriteTimeout   time.Duration // for an answer to be read; 2 min
	Retry          time.Duration // first wait after a failure to listen, doubled up to a minute; 1 s
}

func (c Config) withDefaults() Config {
	or := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&c.HeaderTimeout, 10*time.Second)
	or(&c.WriteTimeout, 2*time.Minute)
	or(&c.Retry, time.Second)
	if c.MaxConnections <= 0 {
		c.MaxConnections = 256
	}
	if c.Files == nil {
		c.Files = Built()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

const (
	maxRetry  = time.Minute
	maxHeader = 16 << 10 // bytes of a request's head
	stopLimit = time.Second
)

// Page is the web client at a port.
type Page struct {
	cfg     Config
	handler http.Handler

	mu      sync.Mutex // guards all below
	url     string
	problem error
}

// New reads the files; it does not listen yet.
func New(c Config) (*Page, error) {
	c = c.withDefaults()
	files, err := load(c.Files)
	if err != nil {
		return nil, err
	}
	h, err := newHandler(files, c.About)
	if err != nil {
		return nil, err
	}
	return &Page{cfg: c, handler: recovering(c.Log, h)}, nil
}

// State is the address at which the page is served now, or why it is not. Both are empty before Run.
func (p *Page) State() (url string, problem error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url, p.problem
}

func (p *Page) set(url string, problem error) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed = url != p.url || fmt.Sprint(problem) != fmt.Sprint(p.problem)
	p.url, p.problem = url, problem
	return changed
}

// Run serves until ctx ends and returns its error. A port that cannot be had is tried again and again.
func (p *Page) Run(ctx context.Context) error {
	wait := p.cfg.Retry
	for {
		served, err := p.serve(ctx)
		if ctx.Err() != nil {
			p.set("", nil)
			return ctx.Err()
		}
		if served {
			wait = p.cfg.Retry
		}
		if p.set("", err) { // each reason once
			p.cfg.Log.Warn("the web client is not served; trying again", "listen", p.cfg.Listen, "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, maxRetry)
	}
}

// serve listens once, until ctx ends or the port is lost. Served reports whether it could.
func (p *Page) serve(ctx context.Context) (served bool, err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", p.cfg.Listen)
	if err != nil {
		return false, fmt.Errorf("serve the web client: %w", err)
	}
	srv := &http.Server{
		Handler: p.handler, MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: p.cfg.HeaderTimeout, ReadTimeout: p.cfg.HeaderTimeout, IdleTimeout: p.cfg.HeaderTimeout,
		WriteTimeout: p.cfg.WriteTimeout,
		ErrorLog:     log.New(io.Discard, "", 0), // strangers could fill the node's log with it
	}
	url := "http://" + ln.Addr().String()
	p.set(url, nil)
	p.cfg.Log.Info("the web client is served", "url", url)
	free := context.AfterFunc(ctx, func() { stop(srv) })
	err = srv.Serve(&gate{Listener: ln, free: make(chan struct{}, p.cfg.MaxConnections)})
	if !free() {
		stop(srv) // it runs already; wait for it
	}
	_ = srv.Close() // what a lost port has left
	return true, fmt.Errorf("serve the web client: %w", err)
}

// stop lets answers under way end, but not for long.
func stop(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close() // it is closed whatever it says
	}
}

// recovering is the edge: a fault in one answer ends that answer alone.
func recovering(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				log.Error("panic", "in", "web client", "panic", v, "stack", string(debug.Stack()))
				panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// gate bounds the connections of a listener. One too many is closed: the queue in front of us would be the attacker's.
type gate struct {
	net.Listener
	free chan struct{}
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case g.free <- struct{}{}:
			return &guest{Conn: c, leave: sync.OnceFunc(func() { <-g.free })}, nil
		default:
			c.Close()
		}
	}
}

// guest is a connection that gives its place back.
type guest struct {
	net.Conn
	leave func()
}

// CloseWrite lets net/http say goodbye before it closes, so that a refusal reaches a client who is still sending.
func (g *guest) CloseWrite() error {
	if c, ok := g.Conn.(*net.TCPConn); ok {
		return c.CloseWrite()
	}
	return nil
}

func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
